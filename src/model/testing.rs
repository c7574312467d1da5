//! What the tests of this layer share.

use std::path::PathBuf;

use super::format::{How, Scanned, scan};
use super::manifest::Manifest;
use crate::base::progress::Silent;
use crate::base::{ObjectId, ReadAt};

/// A file of the real workload beside the repository; `None` where it is not there, which only a machine that
/// sets `MVC_REQUIRE_WORKLOAD` treats as a failure.
#[expect(clippy::print_stderr, reason = "a test that skips must say so")]
pub(crate) fn workload(path: &str) -> Option<PathBuf> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/workload")
        .join(path);
    if file.exists() {
        return Some(file);
    }
    assert!(
        std::env::var_os("MVC_REQUIRE_WORKLOAD").is_none(),
        "{} is required and missing",
        file.display()
    );
    eprintln!("skipped: {} is not there", file.display());
    None
}

/// The bytes of a safetensors file with this header and this much data.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

/// A tensor of a GGUF file: its name, its sides with the innermost first, the number of its type, and its offset.
pub(crate) type GgufTensor<'a> = (&'a str, &'a [u64], u32, u64);

/// The bytes of a GGUF file with these keys (a key, the number of its kind, its value), tensors, and data at the next
/// multiple of 32.
pub(crate) fn gguf(
    keys: &[(&str, u32, &[u8])],
    tensors: &[GgufTensor<'_>],
    data: &[u8],
) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((keys.len() as u64).to_le_bytes());
    let text = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u64).to_le_bytes());
        file.extend(text.as_bytes());
    };
    for (key, kind, value) in keys {
        text(&mut file, key);
        file.extend(kind.to_le_bytes());
        file.extend(*value);
    }
    for (name, sides, kind, offset) in tensors {
        text(&mut file, name);
        file.extend((sides.len() as u32).to_le_bytes());
        file.extend(sides.iter().flat_map(|side| side.to_le_bytes()));
        file.extend(kind.to_le_bytes());
        file.extend(offset.to_le_bytes());
    }
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend_from_slice(data);
    file
}

/// The manifest of a file that was just scanned, hashed the slow way.
pub(crate) fn hashed(file: &dyn ReadAt, scanned: Scanned) -> Manifest {
    let span_ids: Vec<_> = scanned
        .tiling
        .spans()
        .iter()
        .map(|span| {
            let mut bytes = vec![0; span.len as usize];
            file.read_exact_at(&mut bytes, span.offset)
                .expect("spans lie in the file");
            ObjectId::of(&bytes)
        })
        .collect();
    let view_ids: Vec<_> = scanned
        .tiling
        .gathers()
        .iter()
        .map(|gather| gather.id(file, &Silent).expect("views lie in the file"))
        .collect();
    scanned.tiling.with_ids(&span_ids, &view_ids)
}

/// The manifest of a well-formed file.
pub(crate) fn manifest(file: &dyn ReadAt, name: &str) -> Manifest {
    let scanned = scan(file, name, How::default()).expect("well-formed");
    hashed(file, scanned)
}
