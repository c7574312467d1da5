//! One id for the weights of a model, however they are packed.

use super::manifest::{Format, Manifest};
use crate::base::id::IdHasher;
use crate::base::text::quote_into;
use crate::base::{ObjectId, RepoPath};

/// The domain of weights ids; its number changes if what is hashed changes.
const DOMAIN: &str = "mvc 1 weights";

/// The id of a model's weights: the same for one file, shards, another header or order, and a `.pth` twin.
///
/// It is the BLAKE3, in a domain of its own, of one line per tensor of all files, sorted by their bytes:
/// `tensor <name> <dtype> <shape> <id>`, spelled as in sidecars; aliases and views count as the tensors that they
/// are. Of an opaque file it is one line `file <path> <id>`.
pub fn weights_id<'a>(files: impl Iterator<Item = (&'a RepoPath, &'a Manifest)>) -> ObjectId {
    let mut lines = Vec::new();
    for (path, manifest) in files {
        if manifest.format == Format::Opaque {
            let mut line = "file ".to_owned();
            quote_into(&mut line, path.as_str());
            let id = manifest.segments.first().map(|segment| segment.id());
            line.push_str(&format!(" {}\n", id.unwrap_or(ObjectId::of(b""))));
            lines.push(line);
        }
        for entry in manifest.tensors() {
            let mut line = "tensor ".to_owned();
            quote_into(&mut line, &entry.name);
            line.push_str(&format!(" {} ", entry.dtype));
            super::manifest::write_shape(&mut line, &entry.shape);
            line.push_str(&format!(" {}\n", entry.id));
            lines.push(line);
        }
    }
    lines.sort_unstable();
    let mut hasher = IdHasher::in_domain(DOMAIN);
    for line in &lines {
        hasher.update(line.as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{manifest, safetensors};

    fn id(files: &[(&str, &Manifest)]) -> ObjectId {
        let paths: Vec<_> = files
            .iter()
            .map(|(path, manifest)| (RepoPath::new(path).expect("good"), *manifest))
            .collect();
        weights_id(paths.iter().map(|(path, manifest)| (path, *manifest)))
    }

    #[test]
    fn packing_does_not_matter_and_names_do() {
        let one = safetensors(
            r#"{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
            &[7, 8, 9],
        );
        let other = safetensors(
            r#"{"__metadata__":{"x":"y"},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}} "#,
            &[8, 9, 7],
        );
        let a = safetensors(
            r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
            &[8, 9],
        );
        let b = safetensors(
            r#"{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
            &[7],
        );
        let c = safetensors(
            r#"{"c":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
            &[7],
        );
        let [one, other, a, b, c] =
            [one, other, a, b, c].map(|file| manifest(&file, "x.safetensors"));
        let whole = id(&[("x.safetensors", &one)]);
        assert_eq!(whole, id(&[("y.safetensors", &other)]));
        assert_eq!(whole, id(&[("2.safetensors", &b), ("1.safetensors", &a)]));
        assert_ne!(whole, id(&[("2.safetensors", &c), ("1.safetensors", &a)]));
        assert_ne!(whole, id(&[("1.safetensors", &a)]));
    }

    #[test]
    fn of_an_opaque_file_its_path_counts() {
        let plain = manifest(&b"bytes".to_vec(), "x.bin");
        assert_ne!(id(&[("x.bin", &plain)]), id(&[("y.bin", &plain)]));
        let empty = manifest(&Vec::new(), "x.bin");
        assert_ne!(id(&[("x.bin", &empty)]), id(&[]));
    }
}
