//! There and back.

mod refused;

use proptest::prelude::*;

use super::*;
use crate::base::{Failure, Kind};
use crate::model::testing::{gguf, manifest, safetensors};

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
    let body = rendered_body(&manifest);
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
    // Every list has one place: a long one is not written out, and a short one does not lie in the store.
    let written_out = manifest.to_text();
    let error = Manifest::parse(written_out.as_bytes()).expect_err("too long");
    assert!(matches!(error, ManifestError::Inline), "{error}");
    let body = large(MAX_INLINE).body();
    let needless = Stored {
        count: MAX_INLINE as u64,
        ..stored
    };
    let error = Manifest::parse_stored(&needless, body.as_bytes()).expect_err("too short");
    assert!(matches!(error, ManifestError::Stored), "{error}");
    let body = rendered_body(&manifest);
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

fn rendered_body(manifest: &Manifest) -> Vec<u8> {
    let rendered = manifest.render().expect("readable");
    rendered.body.expect("too long for git")
}

#[test]
fn what_has_no_bytes_has_its_place_and_its_id() {
    let none = ObjectId::of(b"");
    let text = format!(
        "mvc 1 torch\n\
         literal 1 {one}\n\
         tensor \"a\" U8 0 0 {none}\n\
         storage \"7\" F32 0 {none}\n\
         view \"b\" F32 0 0 - {none}\n\
         view \"c\" F32 0x4611686018427387904 0 - {none}\n\
         storage \"2\" U8 4 {one}\n\
         view \"d\" U8 2 0 - {one}\n\
         view \"e\" U8 0 4 - {none}\n\
         tensor \"Z\" U8 0 0 {none}\n",
        one = id(1),
    );
    assert_eq!(inline(&text).to_text(), text);
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
    let mut moved = good.clone();
    moved.segments[0] = Segment::Literal {
        bytes: moved.segments[0].bytes() - 1,
        id: moved.segments[0].id(),
    };
    assert!(matches!(
        moved.check_header(&file),
        Err(ManifestError::HeaderLength { .. } | ManifestError::Header(_))
    ));
    let mut short = good.clone();
    short.segments.truncate(2);
    assert!(short.check_header(&file).is_err());
    let mut other = file.clone();
    other[8] = b'x';
    assert!(matches!(good.check(&other), Err(ManifestError::Header(_))));
}

#[test]
fn lines_of_gguf_must_agree_with_the_header() {
    let tensors = [("a", &[32, 2][..], 2, 0), ("b", &[2][..], 0, 64)];
    let file = gguf(&[], &tensors, &[7; 72]);
    let good = manifest(&file, "x.gguf");
    good.check(&file).expect("it is this file's");
    // All that is needed is the front, as the store holds it.
    let header = file[..good.segments[0].bytes() as usize].to_vec();
    good.check_header(&header).expect("it is this file's");
    type Lie = fn(&mut Tensor);
    let lies: [Lie; 3] = [
        |tensor| tensor.name = "c".into(),
        |tensor| tensor.dtype = Dtype::I32,
        |tensor| tensor.shape = vec![1, 2],
    ];
    for lie in lies {
        let mut manifest = good.clone();
        let Some(Segment::Tensor(tensor)) = manifest.segments.last_mut() else {
            panic!("the last segment is a tensor");
        };
        lie(tensor);
        assert!(matches!(
            manifest.check(&file),
            Err(ManifestError::Disagrees { .. })
        ));
        Manifest::parse(manifest.to_text().as_bytes()).expect("nothing is wrong with the text");
    }
    // A tensor left out, its bytes a literal's.
    let mut fewer = good.clone();
    fewer.segments.truncate(2);
    fewer.segments.push(Segment::Literal {
        bytes: 36,
        id: id(1),
    });
    assert!(matches!(fewer.check(&file), Err(ManifestError::Disagrees { name }) if name == "b"));
    let mut other = file.clone();
    other[4] = 1;
    assert!(matches!(good.check(&other), Err(ManifestError::Header(_))));
    // Elsewhere the same words are a dtype of unknown size.
    let elsewhere = good.to_text().replace("mvc 1 gguf", "mvc 1 torch");
    let elsewhere = elsewhere.replace("Q4_0 2x32 36", "Q4_0 2x31 36");
    assert!(Manifest::parse(elsewhere.as_bytes()).is_ok());
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let names = prop::collection::btree_set(any::<String>(), 1..3);
    let kind = prop_oneof![Just(0u8), Just(1), Just(2)];
    let one = (kind, names, 0u64..5, 1u64..4, any::<u8>());
    prop::collection::vec(one, 0..8).prop_map(|parts| {
        let mut segments: Vec<Segment> = Vec::new();
        for (i, (kind, names, rows, columns, n)) in parts.into_iter().enumerate() {
            let names: Vec<String> = names.into_iter().map(|name| format!("{i}{name}")).collect();
            let bytes = rows * columns * 2;
            let none = ObjectId::of(b"");
            let id = if rows == 0 { none } else { id(n) };
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
                    dtype: Dtype::Bool,
                    // More than any view shows, so that none is the whole of it.
                    bytes: bytes + 1,
                    id: ObjectId::of(&[n]),
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
