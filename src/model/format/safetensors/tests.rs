//! Headers as they are, and as an attacker would write them.

use proptest::prelude::*;

use super::*;
use crate::base::source::FileSource;
use crate::base::{Failure, Kind};
use crate::model::format::{How, scan};
use crate::model::testing::{manifest, safetensors, workload};

fn refused(file: &[u8]) -> String {
    let error = scan(&file.to_vec(), "x.safetensors", How::default()).expect_err("malformed");
    assert_eq!(error.kind(), Kind::BadInput);
    let says = ["--opaque", "git lfs pull", "download"];
    assert!(
        error
            .hint()
            .is_some_and(|hint| says.iter().any(|way| hint.contains(way)))
    );
    let source = std::error::Error::source(&error).expect("the problem is the source");
    source.to_string()
}

#[test]
fn whatever_is_wrong_is_named() {
    let u8s = |name: &str, begin: u64, end: u64| {
        let len = end.saturating_sub(begin);
        format!(r#""{name}":{{"dtype":"U8","shape":[{len}],"data_offsets":[{begin},{end}]}}"#)
    };
    let file = |tensors: &[String], data: usize| {
        safetensors(&format!("{{{}}}", tensors.join(",")), &vec![0; data])
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "too few for a header"),
        (vec![1; 7], "too few for a header"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec(),
            "a git-lfs pointer",
        ),
        (b"<!DOCTYPE html><html></html>".to_vec(), "a web page"),
        (b"<html><head></head></html>".to_vec(), "a web page"),
        (
            u64::MAX.to_le_bytes().to_vec(),
            "claims 18446744073709551615 bytes",
        ),
        (
            100_000_001u64.to_le_bytes().to_vec(),
            "claims 100000001 bytes",
        ),
        (
            1000u64.to_le_bytes().to_vec(),
            "claims 1008 bytes, and the file has 8",
        ),
        (0u64.to_le_bytes().to_vec(), "does not begin"),
        (safetensors(" {}", &[]), "does not begin"),
        (safetensors("[]", &[]), "does not begin"),
        (safetensors("{}\n", &[]), "goes on after"),
        (safetensors("{}x", &[]), "goes on after"),
        (safetensors("{", &[]), "cannot be read"),
        (safetensors("{\"\u{1b}\":1}", &[]), "cannot be read"),
        (
            safetensors(&"{\"a\":".repeat(200_000), &[]),
            "cannot be read",
        ),
        (
            safetensors(&format!("{{\"a\":{{\"x\":{}", "[".repeat(200_000)), &[]),
            "the tensor \"a\": EOF while parsing a list",
        ),
        (
            file(&[u8s("a", 0, 1), u8s("a", 1, 2)], 2),
            "\"a\" is given twice",
        ),
        (
            safetensors(r#"{"__metadata__":{},"__metadata__":{}}"#, &[]),
            "\"__metadata__\" is given twice",
        ),
        (
            safetensors(r#"{"__metadata__":{"k":"a","k":"b"}}"#, &[]),
            "metadata key \"k\" is given twice",
        ),
        (
            safetensors(r#"{"__metadata__":{"k":1}}"#, &[]),
            "expected a string",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
                &[],
            ),
            "the tensor \"a\": \"dtype\" is given twice",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"U8","x":1,"x":2,"shape":[0],"data_offsets":[0,0]}}"#,
                &[],
            ),
            "\"x\" is given twice",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"U 8","shape":[0],"data_offsets":[0,0]}}"#,
                &[],
            ),
            "the tensor \"a\": a dtype that is no name",
        ),
        (
            safetensors(r#"{"a":{"dtype":"U8","shape":[0]}}"#, &[]),
            "no data_offsets",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}"#,
                &[],
            ),
            "the tensor \"a\": invalid value",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}"#,
                &[0],
            ),
            "the tensor \"a\": invalid type",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}}"#,
                &[],
            ),
            "the tensor \"a\"",
        ),
        (
            safetensors(
                &format!(
                    r#"{{"a":{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}}}"#,
                    "1,".repeat(64)
                ),
                &[0],
            ),
            "more dimensions than are read",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
                &[],
            ),
            "sides whose product is too large",
        ),
        (
            // No sidecar could say it.
            safetensors(
                r#"{"a":{"dtype":"F4","shape":[9223372036854775808],"data_offsets":[0,0]}}"#,
                &[],
            ),
            "sides whose product is too large",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[0,4611686018427387904,2],"data_offsets":[0,0]}}"#,
                &[],
            ),
            "sides whose product is too large",
        ),
        (
            safetensors(
                r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
                &[0; 4],
            ),
            "the tensor \"a\" is F32 [2], and its place has 4 bytes",
        ),
        (file(&[u8s("a", 3, 1)], 3), "\"a\" ends before it begins"),
        (
            file(&[u8s("a", 0, 5)], 4),
            "\"a\" ends 1 bytes after the file",
        ),
        (
            file(&[u8s("a", u64::MAX, u64::MAX)], 4),
            "\"a\" ends 18446744073709551611 bytes after",
        ),
        (
            file(&[u8s("a", 0, 3), u8s("b", 2, 4)], 4),
            "\"a\" and \"b\" overlap",
        ),
        (
            file(&[u8s("a", 0, 2), u8s("b", 0, 2)], 2),
            "\"a\" and \"b\" overlap",
        ),
        (
            file(&[u8s("a", 0, 4), u8s("z", 2, 2)], 4),
            "\"a\" and \"z\" overlap",
        ),
        (
            file(&[u8s("a", 0, 1), u8s("b", 3, 4)], 4),
            "2 bytes before the tensor \"b\"",
        ),
        (
            file(&[u8s("a", 1, 4)], 4),
            "1 bytes before the tensor \"a\"",
        ),
        (file(&[u8s("a", 0, 1)], 4), "3 bytes at the end"),
        (file(&[], 1), "1 bytes at the end"),
    ];
    for (file, expected) in cases {
        let problem = refused(&file);
        assert!(
            problem.contains(expected),
            "{problem:?} should say {expected:?}"
        );
        assert!(!problem.contains('\u{1b}'));
        assert!(scan(&file, "x.safetensors", How { opaque: true }).is_ok());
    }
}

#[test]
fn odd_files_that_are_well_formed_are_read() {
    let header = r#"{"z":{"dtype":"U8","shape":[0,7],"data_offsets":[3,3]},
        "f4":{"dtype":"F4","shape":[2],"data_offsets":[3,4],"extra":[{}]},
        "odd":{"dtype":"I16","shape":[],"data_offsets":[1,3]},
        "a":{"dtype":"U8","shape":[0],"data_offsets":[3,3]},
        "":{"dtype":"F8_E8M0","shape":[1],"data_offsets":[0,1]}}   "#;
    let file = safetensors(header, &[1, 2, 3, 4]);
    let manifest = manifest(&file, "dir/X.SAFETENSORS");
    let names: Vec<_> = manifest.tensors().into_iter().map(|t| t.name).collect();
    assert_eq!(names, ["", "odd", "a", "z", "f4"]);
    assert_eq!(manifest.file_len(), file.len() as u64);
    manifest.check(&file).expect("it is this file's");
}

#[test]
fn the_workload_is_read() {
    let Some(path) = workload("minilm/v2.safetensors") else {
        return;
    };
    let file = FileSource::open(&path).expect("readable");
    let scanned = scan(&file, "v2.safetensors", How::default()).expect("well-formed");
    assert_eq!(scanned.tiling.spans().len(), 1 + 104);
    assert_eq!(scanned.tiling.file_len(), file.len());
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(
        header in r#"[\{\}\[\]",: a-z0-9]{0,60}"#,
        hits in prop::collection::vec((0usize..400, any::<u8>()), 0..4),
    ) {
        let good = r#"{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}"#;
        for header in [header.as_str(), good] {
            let mut file = safetensors(header, &[0; 9]);
            for (at, byte) in &hits {
                if let Some(old) = file.get_mut(*at) {
                    *old = *byte;
                }
            }
            if let Ok(scanned) = scan(&file, "x.safetensors", How::default()) {
                prop_assert_eq!(scanned.tiling.file_len(), file.len() as u64);
            }
        }
    }
}
