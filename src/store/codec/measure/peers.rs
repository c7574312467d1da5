//! What others make of the same chunks.

use std::process::Command;

use super::{best, rounds};

#[path = "../../../../tests/bench/bitx.rs"]
mod bitx;

/// BitX, chunk by chunk.
pub(super) fn bitx(chunks: &[(&[u8], &[u8])], width: usize) -> super::Figures {
    let mut coder = bitx::BitX::new().expect("zstd");
    let mut stored = Vec::new();
    let encoding = best(|| {
        let coded = chunks
            .iter()
            .map(|(new, base)| coder.encode(new, base, width).expect("zstd"));
        stored = coded.collect();
    });
    let mut decode = |at: usize| {
        let decoded = coder.decode(&stored[at], chunks[at].1, width);
        decoded.expect("it was just encoded")
    };
    assert!(
        (0..chunks.len()).all(|at| decode(at) == chunks[at].0),
        "other bytes"
    );
    let decoding = best(|| (0..chunks.len()).for_each(|at| _ = decode(at)));
    let size = stored.iter().flatten().map(Vec::len).sum();
    (size, encoding, decoding)
}

/// ZipNN on all chunks as one, or on their XOR, by the Python that `MVC_PYTHON` names. The first word of a case is its
/// dtype.
pub(super) fn zipnn(case: &str, chunks: &[(&[u8], &[u8])], xor: bool) -> Option<super::Figures> {
    let python = std::env::var_os("MVC_PYTHON")?;
    let dtype = match case.split([' ', ',']).next()? {
        "E5M2" => "float8_e5m2",
        "F16" => "float16",
        "BF16" => "bfloat16",
        "F32" => "float32",
        _ => return None,
    };
    let bytes = chunks.iter().flat_map(|(new, base)| {
        let other = |at: usize| if xor { base[at] } else { 0 };
        (0..new.len()).map(move |at| new[at] ^ other(at))
    });
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes.collect::<Vec<u8>>()).expect("written");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/measure_zipnn.py");
    let output = Command::new(python)
        .args(["-W", "ignore", script, dtype, &rounds().to_string()])
        .arg(file.path())
        .output()
        .expect("Python");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let numbers: Vec<f64> = said
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers[..] {
        [size, encode, decode] => Some((size as usize, encode, decode)),
        _ => panic!("measure_zipnn.py said {said:?}"),
    }
}
