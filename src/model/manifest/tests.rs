//! There and back, and every way not to be a sidecar.

use proptest::prelude::*;

use super::*;
use crate::base::{Failure, Kind};
use crate::model::testing::{manifest, safetensors};

fn id(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 32])
}

fn inline(text: &str) -> Manifest {
    match Manifest::parse(text.as_bytes()) {
        Ok(Sidecar::Inline(manifest)) => manifest,
        other => panic!("{other:?} of {text}"),
    }
}

fn sample() -> String {
    let hex = "ab".repeat(32);
    format!(
        "mvc 1 torch\n\
         literal 64 {hex}\n\
         group \"encoder.layer.0\"\n\
         tensor \"encoder.layer.0.weight\" BF16 2x3 12 {hex}\n\
         alias \"head \\\"tied\\\"\" \"encoder.layer.0.weight\"\n\
         group \"\"\n\
         tensor \"scale\" F32 scalar 4 {hex}\n\
         literal 1 {hex}\n\
         group \"qkv\"\n\
         storage \"5\" F32 24 {hex}\n\
         view \"qkv.q\" F32 2 0 - {hex}\n\
         view \"qkv.t\" F32 2x2 8 1,2 {hex}\n"
    )
}

#[test]
fn the_text_says_it_all() {
    let manifest = inline(&sample());
    assert_eq!(manifest.to_text(), sample());
    assert_eq!(manifest.file_len(), 64 + 12 + 4 + 1 + 24);
    let entries = manifest.tensors();
    let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "encoder.layer.0.weight",
            "head \"tied\"",
            "scale",
            "qkv.q",
            "qkv.t"
        ]
    );
    let last = &entries[4].location;
    assert_eq!((last.offset, last.within, last.bytes), (81 + 8, 8, 16));
    assert_eq!(last.strides.as_deref(), Some(&[1, 2][..]));
    assert_eq!(manifest.objects().len(), 5);
    assert!(inline("mvc 1 opaque\n").segments.is_empty());
}

#[test]
fn the_list_of_a_large_file_lies_in_the_store() {
    let tensor = |i: usize| {
        Segment::Tensor(Tensor {
            name: format!("layers.{i}.w"),
            dtype: Dtype::U8,
            shape: vec![1],
            bytes: 1,
            id: id(i as u8),
            aliases: Vec::new(),
        })
    };
    let large = |count: usize| Manifest {
        format: Format::Torch,
        segments: (0..count).map(tensor).collect(),
    };
    assert_eq!(large(MAX_INLINE).render().expect("short").body, None);
    let manifest = large(MAX_INLINE + 1);
    let rendered = manifest.render().expect("readable");
    let body = rendered.body.expect("too long for git");
    let sidecar = Manifest::parse(rendered.text.as_bytes()).expect("mvc wrote it");
    assert_eq!(sidecar.to_text(), rendered.text);
    let Sidecar::Stored(stored) = sidecar else {
        panic!("{sidecar:?}");
    };
    assert_eq!(stored.id, ObjectId::of(&body));
    assert_eq!(
        Manifest::parse_stored(&stored, &body).expect("whole"),
        manifest
    );
    let short = Stored { count: 3, ..stored };
    assert!(matches!(
        Manifest::parse_stored(&short, &body),
        Err(ManifestError::Count { found: 20_001, .. })
    ));
    let wrong = body.strip_suffix(b"\n").expect("ends a line");
    assert!(matches!(
        Manifest::parse_stored(&stored, wrong),
        Err(ManifestError::NotCanonical { .. })
    ));
}

#[test]
fn a_list_that_nobody_would_read_is_not_written() {
    let aliased = |aliases: usize| Manifest {
        format: Format::Torch,
        segments: vec![Segment::Tensor(Tensor {
            name: "!".repeat(1 << 20),
            dtype: Dtype::U8,
            shape: vec![1],
            bytes: 1,
            id: id(0),
            aliases: (0..aliases).map(|i| format!("a{i:09}")).collect(),
        })],
    };
    // Every alias repeats the long name: there are some bytes beside it, so that 512 of them are too long.
    aliased(400).check_length().expect("long, and readable");
    let long = aliased(512).render().expect_err("more than is read");
    assert!(matches!(long, ManifestError::LongList), "{long}");
    assert_eq!(long.kind(), Kind::BadInput);
}

#[test]
fn every_other_text_is_refused_in_its_own_words() {
    let hex = "ab".repeat(32);
    let good = sample();
    let with = |lines: &str| format!("mvc 1 torch\n{}", lines.replace('#', &hex));
    let cases: Vec<(String, Kind, &str)> = vec![
        (
            good.replace("literal 1 ", "<<<<<<< HEAD\nliteral 1 "),
            Kind::Conflict,
            "line 8 of the sidecar is a conflict marker",
        ),
        (
            good.replace("literal 1 ", "=======\nliteral 1 "),
            Kind::Conflict,
            "line 8",
        ),
        (
            good.replace('\n', "\r\n"),
            Kind::BadInput,
            "line 1 of the sidecar ends with a carriage",
        ),
        (
            good.replace("mvc 1", "mvc 2"),
            Kind::Unsupported,
            "it has version 2",
        ),
        (
            good.replace("torch", "gguf"),
            Kind::Unsupported,
            "it has the format \"gguf\"",
        ),
        (
            with("sparse \"a\" #\n"),
            Kind::Unsupported,
            "line 2 is a \"sparse\" line",
        ),
        (String::new(), Kind::BadInput, "does not begin with `mvc`"),
        (
            "version https://git-lfs".into(),
            Kind::BadInput,
            "does not begin",
        ),
        ("mvc".into(), Kind::BadInput, "lacks the version"),
        ("mvc 1".into(), Kind::BadInput, "lacks the format"),
        (
            "mvc x torch\n".into(),
            Kind::BadInput,
            "version that is no number",
        ),
        ("mvc 1 torch more\n".into(), Kind::BadInput, "more words"),
        (
            "mvc 1 torch".into(),
            Kind::BadInput,
            "line 2 of the sidecar is not as mvc writes it",
        ),
        (
            good.trim_end().into(),
            Kind::BadInput,
            "not as mvc writes it",
        ),
        (with("\n"), Kind::BadInput, "line 2 of the sidecar is empty"),
        (
            with("literal 07 #\n"),
            Kind::BadInput,
            "not as mvc writes it",
        ),
        (with("literal +7 #\n"), Kind::BadInput, "no number"),
        (with("literal 0 #\n"), Kind::BadInput, "without bytes"),
        (
            with("literal 1 #\nliteral 1 #\n"),
            Kind::BadInput,
            "second literal",
        ),
        (with("literal 1 #0\n"), Kind::BadInput, "no id"),
        (
            with("literal 1 # \n"),
            Kind::BadInput,
            "not as mvc writes it",
        ),
        (with("literal 1 # x\n"), Kind::BadInput, "more fields"),
        (
            with("literal 99999999999999999999 #\n"),
            Kind::BadInput,
            "no number",
        ),
        (
            with("literal 9223372036854775808 #\n"),
            Kind::BadInput,
            "longer than any file",
        ),
        (
            with("literal 9223372036854775807 #\ntensor \"a\" U8 1 1 #\n"),
            Kind::BadInput,
            "longer than any file",
        ),
        (
            with("tensor a U8 1 1 #\n"),
            Kind::BadInput,
            "no name in quotes",
        ),
        (
            with("tensor \"a U8 1 1 #\n"),
            Kind::BadInput,
            "no name in quotes",
        ),
        (
            with("tensor \"\\ud800\" U8 1 1 #\n"),
            Kind::BadInput,
            "no name in quotes",
        ),
        (
            with("tensor \"\\u0061\" U8 1 1 #\n"),
            Kind::BadInput,
            "not as mvc writes it",
        ),
        (with("tensor \"a\" U8 1x 1 #\n"), Kind::BadInput, "no shape"),
        (with("tensor \"a\" U-8 1 1 #\n"), Kind::BadInput, "no dtype"),
        (
            with("tensor \"a\" F32 1 1 #\n"),
            Kind::BadInput,
            "\"a\" has a length",
        ),
        (
            with("tensor \"a\" F32 18446744073709551615x2 1 #\n"),
            Kind::BadInput,
            "\"a\" has a length",
        ),
        (
            with(&format!("tensor \"a\" U8 {}1 1 #\n", "1x".repeat(64))),
            Kind::BadInput,
            "too many dimensions",
        ),
        (
            with("tensor \"a\" U8 1 1 #\ntensor \"a\" U8 1 1 #\n"),
            Kind::BadInput,
            "\"a\" is listed twice",
        ),
        (
            with("group \"a\"\ntensor \"b\" U8 1 1 #\n"),
            Kind::BadInput,
            "line 2 of the sidecar is not",
        ),
        (
            with("tensor \"a.b\" U8 1 1 #\n"),
            Kind::BadInput,
            "line 2 of the sidecar is not",
        ),
        (
            with("alias \"a\" \"b\"\n"),
            Kind::BadInput,
            "is an alias of something",
        ),
        (
            with("tensor \"b\" U8 1 1 #\nalias \"a\" \"b\"\n"),
            Kind::BadInput,
            "\"a\" is not in its place",
        ),
        (
            with("view \"a\" U8 1 0 - #\n"),
            Kind::BadInput,
            "without a storage",
        ),
        (
            with("storage \"0\" U8 1 #\n"),
            Kind::BadInput,
            "without views",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 2 0 - #\n"),
            Kind::BadInput,
            "\"a\" reaches beyond its storage",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 2x2 0 9223372036854775807,1 #\n"),
            Kind::BadInput,
            "reaches beyond",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" F4 1 0 - #\n"),
            Kind::BadInput,
            "reaches beyond",
        ),
        (
            with("storage \"0\" U8 4 #\nview \"a\" U8 2x2 0 2,1 #\n"),
            Kind::BadInput,
            "has strides",
        ),
        (
            with("storage \"0\" U8 2 #\nview \"b\" U8 1 0 - #\nview \"a\" U8 1 0 - #\n"),
            Kind::BadInput,
            "not in its place",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 1000000000 0 0 #\n"),
            Kind::BadInput,
            "repeats its bytes too often",
        ),
        (
            with("tensor \"a\" U8 1 1 #\n").replace("torch", "opaque"),
            Kind::BadInput,
            "of a kind",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 1 0 - #\n").replace("torch", "safetensors"),
            Kind::BadInput,
            "of a kind",
        ),
        (
            with("tensors 99999999999 #\n"),
            Kind::BadInput,
            "announces 99999999999 tensors",
        ),
        (
            with("tensors 1 #\nliteral 1 #\n"),
            Kind::BadInput,
            "line 2 of the sidecar",
        ),
        (
            with("tensors 01 #\n"),
            Kind::BadInput,
            "not as mvc writes it",
        ),
    ];
    for (text, kind, words) in cases {
        let error = Manifest::parse(text.as_bytes()).expect_err(&text);
        assert_eq!(error.kind(), kind, "{error} of {text}");
        assert!(
            error.to_string().contains(words),
            "{error:?} should say {words:?}"
        );
    }
    let error = Manifest::parse(b"mvc 1 torch\n\xff").expect_err("no UTF-8");
    assert!(matches!(error, ManifestError::Encoding));
    let error = Manifest::parse(&vec![b'x'; MAX_TEXT + 1]).expect_err("too long");
    assert!(matches!(error, ManifestError::TooLong { .. }));
}

#[test]
fn lines_must_agree_with_the_header() {
    let file = safetensors(
        r#"{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[],"data_offsets":[2,3]}}"#,
        &[1, 2, 3],
    );
    let good = manifest(&file, "x.safetensors");
    good.check(&file).expect("it is this file's");
    let lie = |change: fn(&mut Tensor)| {
        let mut manifest = good.clone();
        let Some(Segment::Tensor(tensor)) = manifest.segments.last_mut() else {
            panic!("the last segment is a tensor");
        };
        change(tensor);
        manifest.check(&file)
    };
    assert!(
        matches!(lie(|t| t.name = "c".into()), Err(ManifestError::Disagrees { name }) if name == "b")
    );
    assert!(matches!(
        lie(|t| t.dtype = Dtype::Bool),
        Err(ManifestError::Disagrees { .. })
    ));
    assert!(matches!(
        lie(|t| t.shape = vec![1]),
        Err(ManifestError::Disagrees { .. })
    ));
    assert!(matches!(
        lie(|t| t.bytes = 2),
        Err(ManifestError::Length { .. })
    ));
    let mut short = good.clone();
    short.segments.truncate(2);
    assert!(short.check_header(&file).is_err());
    let mut other = file.clone();
    other[8] = b'x';
    assert!(matches!(good.check(&other), Err(ManifestError::Header(_))));
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let names = prop::collection::btree_set(any::<String>(), 1..3);
    let kind = prop_oneof![Just(0u8), Just(1), Just(2)];
    let one = (kind, names, 0u64..5, 1u64..4, any::<u8>());
    prop::collection::vec(one, 0..8).prop_map(|parts| {
        let mut segments: Vec<Segment> = Vec::new();
        for (i, (kind, names, rows, columns, n)) in parts.into_iter().enumerate() {
            let names: Vec<String> = names.into_iter().map(|name| format!("{i}{name}")).collect();
            let (id, bytes) = (id(n), rows * columns * 2);
            let literal_before = matches!(segments.last(), Some(Segment::Literal { .. }));
            segments.push(match kind {
                0 if !literal_before => Segment::Literal {
                    bytes: bytes + 1,
                    id,
                },
                1 => Segment::Tensor(Tensor {
                    name: names[0].clone(),
                    dtype: Dtype::F16,
                    shape: vec![rows, columns],
                    bytes,
                    id,
                    aliases: names[1..].to_vec(),
                }),
                _ => Segment::Storage(Storage {
                    key: i.to_string(),
                    dtype: Dtype::F16,
                    bytes,
                    id,
                    views: names
                        .into_iter()
                        .map(|name| View {
                            name,
                            dtype: Dtype::Bool,
                            shape: vec![columns, rows],
                            offset: 0,
                            strides: crate::model::view::normal(&[columns, rows], &[1, columns]),
                            id,
                        })
                        .collect(),
                }),
            });
        }
        segments
    })
}

proptest! {
    #[test]
    fn any_manifest_goes_there_and_back(segments in segments()) {
        let manifest = Manifest { format: Format::Torch, segments };
        let text = manifest.to_text();
        let read = Manifest::parse(text.as_bytes());
        prop_assert_eq!(read.expect("mvc wrote it"), Sidecar::Inline(manifest));
    }

    #[test]
    fn no_text_makes_it_panic(
        hits in prop::collection::vec((0usize..900, any::<u8>()), 1..4),
        cut in 0usize..900,
    ) {
        let mut text = sample().into_bytes();
        for (at, byte) in hits {
            if let Some(old) = text.get_mut(at) {
                *old = byte;
            }
        }
        text.truncate(cut.max(1));
        if let Ok(Sidecar::Inline(manifest)) = Manifest::parse(&text) {
            prop_assert_eq!(manifest.to_text().into_bytes(), text);
        }
    }
}
