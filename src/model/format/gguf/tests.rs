//! Files as ggml has them, and as an attacker would write them.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::base::{Dtype, ObjectId};
use crate::model::Sidecar;
use crate::model::format::{How, scan};
use crate::model::testing::{GgufTensor, gguf, manifest};

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path.join("fixtures/gguf").join(name)).expect("fixtures are there")
}

/// Why a file is kept as plain bytes.
fn refused(file: &dyn ReadAt) -> String {
    let scanned = scan(file, "x.gguf", How::default()).expect("never an error");
    let [note] = scanned.notes.as_slice() else {
        panic!("{:?}", scanned.notes);
    };
    assert_eq!(scanned.tiling.spans().len(), usize::from(!file.is_empty()));
    let why = note.strip_prefix("kept as plain bytes: ");
    why.expect("says what follows from it").to_owned()
}

/// A key that says the alignment.
fn aligned(to: &[u8; 4]) -> (&'static str, u32, &[u8]) {
    ("general.alignment", 4, to)
}

/// The lines of a file, without ids.
fn lines(file: &dyn ReadAt) -> Vec<String> {
    let text = manifest(file, "x.gguf").to_text();
    let shown = text.lines().skip(1).map(|line| {
        let (line, _) = line.rsplit_once(' ').expect("an id or a name");
        line.to_owned()
    });
    shown.filter(|line| line != "group").collect()
}

#[test]
fn what_the_formats_own_library_writes_is_read() {
    let file = fixture("quantised.gguf");
    let manifest = manifest(&file, "quantised.gguf");
    assert_eq!(manifest.format, Format::Gguf);
    assert_eq!(manifest.file_len(), file.len() as u64);
    manifest.check(&file).expect("it is this file's");
    let text = manifest.to_text();
    let read = Manifest::parse(text.as_bytes()).expect("mvc wrote it");
    assert_eq!(read, Sidecar::Inline(manifest.clone()));
    let entries = manifest.tensors();
    assert_eq!(entries.len(), 24);
    for entry in &entries[..19] {
        assert_eq!(entry.name, format!("blk.0.{}", entry.dtype));
        assert_eq!(entry.shape, [2, 256]);
        assert_eq!(entry.dtype.bytes(&entry.shape), Some(entry.location.bytes));
    }
    let steps = entries.last().expect("there are some");
    // Rows first, as the array was in Python.
    assert_eq!((&steps.dtype, &steps.shape[..]), (&Dtype::I64, &[2, 3][..]));
    let numbers: Vec<u8> = (1..=6i64).flat_map(i64::to_le_bytes).collect();
    assert_eq!(steps.id, ObjectId::of(&numbers));
    // The same numbers in another file are the same object.
    let values = crate::model::testing::manifest(&fixture("values.gguf"), "values.gguf");
    let shared = values.tensors();
    let shared = shared
        .iter()
        .filter(|tensor| entries.iter().any(|e| e.id == tensor.id));
    assert_eq!(shared.count(), 5);
}

#[test]
fn literals_are_wherever_no_tensor_is() {
    // Two blocks, then a number that is not at the next place, in neither order.
    let tensors: &[GgufTensor] = &[
        ("b", &[], 0, 128),
        ("a", &[32, 2], 2, 0),
        ("z", &[0, 4], 0, 64),
    ];
    let mut data = vec![7; 132];
    data.extend(b"rest");
    let file = gguf(&[], tensors, &data);
    let header = file.len() - data.len();
    let expected = [
        format!("literal {header}"),
        "tensor \"a\" Q4_0 2x32 36".into(),
        "literal 28".into(),
        "tensor \"z\" F32 4x0 0".into(),
        "literal 64".into(),
        "tensor \"b\" F32 scalar 4".into(),
        "literal 4".into(),
    ];
    assert_eq!(lines(&file), expected);
    // Of version 2, with other keys and another alignment.
    let nested: Vec<u8> = [9u32, 2, 0, 8, 1, 0, 0, 0, 5, 0, 0]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    // An array of two arrays: one of one empty text, and one of no I32.
    let keys = [
        ("a.list", 9, nested.as_slice()),
        aligned(&[8, 0, 0, 0]),
        ("", 12, &[0; 8][..]),
    ];
    let mut file = gguf(&keys, &[("x", &[2], 24, 8)], &[0; 10]);
    file[4] = 2;
    // What is padded to 32 here may begin at a multiple of 8 before that.
    let end = file.len() - 10;
    let start = file[..end]
        .iter()
        .rposition(|byte| *byte == 8)
        .expect("the offset")
        + 8;
    file.drain(start.next_multiple_of(8)..end);
    assert_eq!(
        lines(&file).last().map(String::as_str),
        Some("tensor \"x\" I8 2 2")
    );
}

#[test]
fn whatever_is_wrong_is_named() {
    let one = |tensor: GgufTensor, data: usize| gguf(&[], &[tensor], &vec![0; data]);
    let good = one(("a", &[2], 0, 0), 8);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let key = |kind: u32, value: &[u8]| gguf(&[("k", kind, value)], &[("a", &[2], 0, 0)], &[0; 8]);
    let array = |kind: u32, count: u64| [&kind.to_le_bytes()[..], &count.to_le_bytes()].concat();
    let two = |a: GgufTensor, b: GgufTensor, data: usize| gguf(&[], &[a, b], &vec![0; data]);
    let long = "n".repeat(65_536);
    let sized = |to: &[u8; 4]| gguf(&[aligned(to)], &[("a", &[2], 0, 0)], &[0; 8]);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "does not begin with `GGUF`"),
        (b"GGU".to_vec(), "does not begin with `GGUF`"),
        (b"version https://git-lfs".to_vec(), "does not begin with"),
        (b"GGUF".to_vec(), "goes on after the file ends"),
        (with(4, &[0, 0, 0, 3]), "its numbers are big-endian"),
        (with(4, &[1]), "it is GGUF of version 1,"),
        (with(4, &[4]), "it is GGUF of version 4,"),
        (with(4, &[0]), "it is GGUF of version 0,"),
        (
            with(8, &[0xff; 8]),
            "announces 18446744073709551615 tensors",
        ),
        (with(8, &[0, 9, 61, 0]), "goes on after the file ends"),
        (with(8, &[1, 9, 61, 0]), "announces 4000001 tensors"),
        (with(16, &[1, 0, 1]), "announces 65537 keys"),
        (with(24, &[0xff; 8]), "a name of 18446744073709551615 bytes"),
        (
            with(32, &[0xff]),
            "the name of its tensor 0, counted from 0",
        ),
        (gguf(&[], &[], &[]), "it holds no tensors"),
        (
            gguf(&[], &[(&long, &[2], 0, 0)], &[0; 8]),
            "name of 65536 bytes",
        ),
        (key(13, &[0; 8]), "key \"k\" has a value of an unknown kind"),
        (
            key(8, &u64::MAX.to_le_bytes()),
            "goes on after the file ends",
        ),
        (
            key(8, &(1u64 << 40).to_le_bytes()),
            "goes on after the file ends",
        ),
        (key(9, &array(0, u64::MAX)), "goes on after the file ends"),
        (key(9, &array(12, u64::MAX)), "goes on after the file ends"),
        (key(9, &array(8, u64::MAX)), "goes on after the file ends"),
        (key(9, &array(9, u64::MAX)), "goes on after the file ends"),
        (
            key(9, &array(9, 1).repeat(9)),
            "arrays in arrays more than 8 deep",
        ),
        (
            key(9, &array(9, u64::MAX).repeat(99_999)),
            "more than 8 deep",
        ),
        (
            gguf(
                &[("k", 0, &[1]), ("k", 0, &[2])],
                &[("a", &[2], 0, 0)],
                &[0; 8],
            ),
            "key \"k\" is given twice",
        ),
        (
            gguf(
                &[("general.alignment", 10, &[32, 0, 0, 0, 0, 0, 0, 0])],
                &[("a", &[2], 0, 0)],
                &[0; 8],
            ),
            "\"general.alignment\" is no number of 32 bits",
        ),
        (sized(&[0; 4]), "is not a power of two from 8 to 1048576"),
        (sized(&[4, 0, 0, 0]), "is not a power of two"),
        (sized(&[24, 0, 0, 0]), "is not a power of two"),
        (sized(&[0, 0, 0, 0x80]), "is not a power of two"),
        (one(("a", &[1, 1, 1, 1, 2], 0, 0), 8), "\"a\" has 5 sides"),
        (with(33, &[0xff; 4]), "\"a\" has 4294967295 sides"),
        (
            one(("a", &[u64::MAX], 0, 0), 8),
            "sides whose product is too large",
        ),
        (
            one(("a", &[1 << 40, 1 << 40], 0, 0), 8),
            "product is too large",
        ),
        (one(("a", &[1 << 62], 0, 0), 8), "product is too large"),
        (
            one(("a", &[0, 1 << 40, 1 << 40], 0, 0), 0),
            "product is too large",
        ),
        (one(("a", &[2], 4, 0), 8), "\"a\" has the type 4, which"),
        (one(("a", &[2], u32::MAX, 0), 8), "has the type 4294967295"),
        (
            one(("a", &[16, 2], 2, 0), 36),
            "\"a\" has rows that are not whole blocks",
        ),
        (one(("a", &[], 2, 0), 36), "rows that are not whole blocks"),
        (
            one(("a", &[2], 0, 8), 16),
            "\"a\" lies at 8, which is not a multiple",
        ),
        (one(("a", &[2], 0, 0), 7), "\"a\" ends after the file does"),
        (one(("a", &[2], 0, 32), 8), "\"a\" ends after the file does"),
        (
            one(("a", &[2], 0, u64::MAX - 31), 8),
            "\"a\" ends after the file",
        ),
        (
            one(("a", &[1 << 60], 0, 1 << 63), 8),
            "\"a\" ends after the file",
        ),
        (one(("\u{1b}", &[2], 0, 32), 8), "\" ends after"),
        (
            two(("a", &[2], 0, 0), ("a", &[2], 0, 32), 40),
            "tensor \"a\" is listed twice",
        ),
        (
            two(("b", &[2], 0, 0), ("a", &[2], 0, 0), 8),
            "tensors \"a\" and \"b\" overlap",
        ),
        (
            two(("a", &[9], 0, 0), ("b", &[2], 0, 32), 40),
            "tensors \"a\" and \"b\" overlap",
        ),
        (
            two(("a", &[9], 0, 0), ("b", &[0], 0, 32), 40),
            "tensors \"a\" and \"b\" overlap",
        ),
    ];
    for (file, expected) in cases {
        let problem = refused(&file);
        assert!(
            problem.contains(expected),
            "{problem:?} should say {expected:?}"
        );
        assert!(!problem.contains('\u{1b}'));
        let asked = scan(&file, "x.gguf", How { opaque: true }).expect("bytes");
        assert!(asked.notes.is_empty());
    }
    assert!(
        scan(&good, "x.gguf", How::default())
            .expect("bytes")
            .notes
            .is_empty()
    );
}

#[test]
fn a_file_that_is_cut_anywhere_is_plain_bytes() {
    let file = fixture("quantised.gguf");
    let last = manifest(&file, "quantised.gguf").tensors();
    let last = &last.last().expect("there are some").location;
    // After it are bytes of padding that nobody needs.
    for len in 0..(last.offset + last.bytes) as usize {
        refused(&file[..len].to_vec());
    }
}

/// A file of which only the front is there, and that ends far behind.
struct Sparse(Vec<u8>, u64);

impl ReadAt for Sparse {
    fn len(&self) -> u64 {
        self.1
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        for (i, byte) in buffer.iter_mut().enumerate() {
            *byte = *self.0.get(offset as usize + i).unwrap_or(&0);
        }
        Ok(())
    }
}

#[test]
fn headers_are_read_up_to_a_bound() {
    let text = (300u64 << 20).to_le_bytes();
    let front = gguf(&[("k", 8, &text)], &[("a", &[2], 0, 0)], &[]);
    let file = Sparse(front, 1 << 40);
    let error = read_header(&file, file.len()).expect_err("it is long");
    assert!(
        error.to_string().contains("more than 268435456 bytes"),
        "{error}"
    );
    // All zero: as many empty keys as are announced, each with a number of 8 bits, so one is given twice.
    let front = gguf(&[("", 0, &[0])], &[], &[]);
    let mut file = Sparse(front, 1 << 40);
    file.0[8..24].copy_from_slice(&[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    let error = read_header(&file, file.len()).expect_err("keys are given once");
    assert!(error.to_string().contains("given twice"), "{error}");
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(
        hits in prop::collection::vec((0usize..1800, any::<u8>()), 0..4),
        cut in 0usize..9000,
    ) {
        let mut file = fixture("quantised.gguf");
        file.truncate(cut.max(24));
        for (at, byte) in &hits {
            if let Some(old) = file.get_mut(*at) {
                *old = *byte;
            }
        }
        let scanned = scan(&file, "x.gguf", How::default()).expect("never an error");
        prop_assert_eq!(scanned.tiling.file_len(), file.len() as u64);
        if scanned.notes.is_empty() {
            let manifest = crate::model::testing::hashed(&file, scanned);
            manifest.check(&file).expect("it is this file's");
            let text = manifest.to_text();
            prop_assert_eq!(Manifest::parse(text.as_bytes()).expect("mvc wrote it"), Sidecar::Inline(manifest));
        }
    }
}
