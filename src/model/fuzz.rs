//! The readers of weights files, their indexes and their sidecars as functions of any bytes.

use crate::base::ObjectId;
use crate::base::fuzz::Target;
use crate::base::progress::Silent;
use crate::model::format::{How, scan};
use crate::model::manifest::{Format, Manifest, ManifestError, Sidecar, Stored};
use crate::model::shards::Index;
use crate::model::tile_as;

/// All of this layer.
pub(crate) static TARGETS: [Target; 6] = [
    Target {
        name: "sidecar",
        run: sidecar,
        memory: |bytes| (4 << 10) + 24 * bytes.len(),
    },
    Target {
        name: "list",
        run: list,
        memory: |bytes| (4 << 10) + 24 * bytes.len(),
    },
    Target {
        name: "safetensors",
        run: |bytes| weights(bytes, "model.safetensors"),
        memory: |bytes| (32 << 10) + 32 * bytes.len(),
    },
    Target {
        name: "torch",
        run: |bytes| weights(bytes, "model.pth"),
        memory: |bytes| (64 << 10) + 64 * bytes.len(),
    },
    Target {
        name: "gguf",
        run: |bytes| weights(bytes, "model.gguf"),
        memory: |bytes| (32 << 10) + 32 * bytes.len(),
    },
    Target {
        name: "shards",
        run: |bytes| Index::parse(bytes).is_ok(),
        memory: |bytes| (8 << 10) + 32 * bytes.len(),
    },
];

/// A sidecar, and all that is computed of one without its weights.
fn sidecar(text: &[u8]) -> bool {
    let Ok(sidecar) = Manifest::parse(text) else {
        return false;
    };
    assert_eq!(sidecar.to_text().as_bytes(), text, "there is one text");
    if let Sidecar::Inline(manifest) = &sidecar {
        look(manifest);
    }
    true
}

fn look(manifest: &Manifest) {
    assert_eq!(manifest.tensors().len(), manifest.count());
    assert_eq!(manifest.objects().len(), manifest.segments.len());
    assert_eq!(tile_as(manifest).file_len(), manifest.file_len());
    // Bytes that are none of it.
    let _ = manifest.check(&b"none".to_vec());
    let _ = manifest.check_header(&vec![b'{'; 64]);
}

/// A list of tensors that lies in the store, with a byte for its format and 8 for the count that announced it.
fn list(bytes: &[u8]) -> bool {
    let Some((front, body)) = bytes.split_first_chunk::<9>() else {
        return false;
    };
    let [format, count @ ..] = *front;
    let stored = Stored {
        format: Format::ALL[usize::from(format) % Format::ALL.len()],
        count: u64::from_le_bytes(count),
        id: ObjectId::of(body),
    };
    match Manifest::parse_stored(&stored, body) {
        Ok(manifest) => {
            look(&manifest);
            true
        }
        // All of it was read: only that such a short one belongs to git is wrong with it.
        Err(error) => matches!(error, ManifestError::Stored),
    }
}

/// A weights file: how it is cut, and that its sidecar says so. False where its tensors are not seen.
fn weights(bytes: &[u8], name: &str) -> bool {
    let file = bytes.to_vec();
    let Ok(scanned) = scan(&file, name, How::default()) else {
        return false;
    };
    let tiling = scanned.tiling;
    let mut end = 0;
    let ids = tiling.spans().iter().map(|span| {
        assert_eq!(span.offset, end, "spans follow each other");
        end += span.len;
        ObjectId::of(&bytes[span.offset as usize..end as usize])
    });
    let ids: Vec<_> = ids.collect();
    assert_eq!(end, bytes.len() as u64, "spans are the file");
    // Views may show 16 MiB of a small file, over and over: to hash as many for each seed says nothing more.
    let short = 8 * bytes.len() as u64;
    let views = tiling
        .gathers()
        .iter()
        .map(|view| match view.len() > short {
            true => Ok(ObjectId::of(b"")),
            false => view.id(&file, &Silent),
        });
    let views: Result<Vec<_>, _> = views.collect();
    let manifest = tiling.with_ids(&ids, &views.expect("views lie in the file"));
    assert!(manifest.check(&file).is_ok(), "it describes its own file");
    let rendered = manifest.render().expect("what is cut can be written");
    let read = Manifest::parse(rendered.text.as_bytes());
    assert!(
        rendered.body.is_some() || read.is_ok_and(|read| read == Sidecar::Inline(manifest)),
        "its sidecar is read back"
    );
    scanned.notes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::check::check;
    use crate::model::testing;

    fn target(name: &str) -> &'static Target {
        let found = TARGETS.iter().find(|target| target.name == name);
        found.expect("a target of this name")
    }

    fn fixture(name: &str) -> Vec<u8> {
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        std::fs::read(fixtures.join(name)).expect("fixtures are there")
    }

    fn safetensors() -> Vec<u8> {
        let header = r#"{"__metadata__":{"format":"pt"},"encoder.layer.0.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"none":{"dtype":"BF16","shape":[0,7],"data_offsets":[24,24]},"é.scale":{"dtype":"F8_E4M3","shape":[],"data_offsets":[24,25]}}  "#;
        testing::safetensors(header, &[7; 25])
    }

    fn gguf() -> Vec<u8> {
        let architecture = [&5u64.to_le_bytes()[..], b"llama"].concat();
        let words = [
            &8u32.to_le_bytes()[..],
            &1u64.to_le_bytes(),
            &2u64.to_le_bytes(),
            b"it",
        ];
        let keys: [(&str, u32, &[u8]); 3] = [
            ("general.architecture", 8, &architecture),
            ("tokenizer.ggml.tokens", 9, &words.concat()),
            ("general.alignment", 4, &32u32.to_le_bytes()),
        ];
        let tensors: [testing::GgufTensor<'_>; 3] = [
            ("token_embd.weight", &[8, 3], 0, 0),
            ("blk.0.attn_q.weight", &[32, 2], 2, 96),
            ("none", &[0], 1, 160),
        ];
        testing::gguf(&keys, &tensors, &[3; 160])
    }

    #[test]
    fn sidecars() {
        let text =
            |bytes: &Vec<u8>, name: &str| testing::manifest(bytes, name).to_text().into_bytes();
        let id = ObjectId::of(b"list");
        let views = format!(
            "mvc 1 torch\nliteral 64 {id}\ntensor \"a\" F32 scalar 4 {id}\nalias \"b\" \"a\"\ngroup \"qkv\"\nstorage \"5\" F32 24 {id}\nview \"qkv.q\" F32 2 0 - {id}\nview \"qkv.t\" F32 2x2 8 1,2 {id}\n"
        );
        let seeds = vec![
            ("safetensors", text(&safetensors(), "model.safetensors")),
            ("torch", text(&fixture("torch/train.pt"), "train.pt")),
            ("views", views.into_bytes()),
            ("gguf", text(&gguf(), "model.gguf")),
            ("opaque", text(&b"x".to_vec(), "x.bin")),
            ("empty", b"mvc 1 opaque\n".to_vec()),
            (
                "stored",
                format!("mvc 1 safetensors\ntensors 20001 {id}\n").into_bytes(),
            ),
        ];
        check(target("sidecar"), seeds);
    }

    #[test]
    fn lists() {
        let manifest = testing::manifest(&fixture("torch/train.pt"), "train.pt");
        let text = manifest.to_text();
        let (_, body) = text.split_once('\n').expect("more lines");
        let count = (manifest.count() as u64).to_le_bytes();
        let seed = [&[1], &count[..], body.as_bytes()].concat();
        check(target("list"), vec![("torch", seed)]);
    }

    #[test]
    fn weights_files() {
        check(
            target("safetensors"),
            vec![
                ("three", safetensors()),
                ("none", testing::safetensors("{}", &[])),
            ],
        );
        let torch = ["alone.pt", "float8.pt", "state.pth", "train.pt"];
        let torch = torch.map(|name| (name, fixture(&format!("torch/{name}"))));
        check(target("torch"), torch.to_vec());
        check(
            target("gguf"),
            vec![
                ("three", gguf()),
                ("quantised", fixture("gguf/quantised.gguf")),
            ],
        );
    }

    #[test]
    fn indexes_of_shards() {
        let index = br#"{"metadata":{"total_size":25},"weight_map":{"a":"model-00001-of-00002.safetensors","b.c":"model-00002-of-00002.safetensors"}}"#;
        check(target("shards"), vec![("two", index.to_vec())]);
    }
}
