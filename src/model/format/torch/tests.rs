//! Checkpoints as torch writes them, and as somebody would who wishes harm.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::base::ObjectId;
use crate::model::format::{How, scan};
use crate::model::testing::{manifest, workload};

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path.join("fixtures/torch").join(name)).expect("fixtures are there")
}

fn note(file: &dyn ReadAt, name: &str) -> String {
    let scanned = scan(file, name, How::default()).expect("never an error");
    let [note] = scanned.notes.as_slice() else {
        panic!("{:?}", scanned.notes);
    };
    assert_eq!(scanned.tiling.spans().len(), usize::from(!file.is_empty()));
    let why = note.strip_prefix("kept as plain bytes: ");
    why.expect("says what follows from it").to_owned()
}

#[test]
fn every_fixture_is_read_as_its_maker_says() {
    let expected: serde_json::Value =
        serde_json::from_slice(&fixture("expected.json")).expect("the maker writes JSON");
    let files = expected["tensors"].as_object().expect("an object");
    for (name, tensors) in files {
        let file = fixture(name);
        let manifest = manifest(&file, name);
        assert_eq!(manifest.format, Format::Torch, "{name}");
        assert_eq!(manifest.file_len(), file.len() as u64);
        let entries = manifest.tensors();
        let tensors = tensors.as_object().expect("an object");
        assert_eq!(entries.len(), tensors.len(), "{name}");
        for entry in entries {
            let tensor = &tensors[&entry.name];
            let hex = tensor["bytes"].as_str().expect("text").as_bytes();
            let pairs = hex.chunks(2).map(|pair| std::str::from_utf8(pair));
            let bytes: Vec<u8> = pairs
                .map(|pair| u8::from_str_radix(pair.expect("hex"), 16).expect("hex"))
                .collect();
            assert_eq!(entry.id, ObjectId::of(&bytes), "{name} {}", entry.name);
            assert_eq!(tensor["dtype"], entry.dtype.name());
            assert_eq!(tensor["shape"], serde_json::json!(entry.shape));
        }
        let text = manifest.to_text();
        let read = Manifest::parse(text.as_bytes()).expect("mvc wrote it");
        assert_eq!(read, crate::model::Sidecar::Inline(manifest));
    }
    for (name, why) in expected["refused"].as_object().expect("an object") {
        assert_eq!(
            why.as_str(),
            Some(note(&fixture(name), name).as_str()),
            "{name}"
        );
    }
}

#[test]
fn tied_weights_are_aliases_and_slices_are_views() {
    let text = manifest(&fixture("state.pth"), "state.pth").to_text();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("literal"))
        .map(|line| line.rsplit_once(' ').map_or(line, |(line, _)| line))
        .collect();
    let has = |wanted: &[&str]| lines.windows(wanted.len()).any(|window| window == wanted);
    assert!(has(&[
        "storage \"1\" F32 72",
        "view \"blocks.0.q\" F32 2x3 0 -",
        "view \"blocks.0.k\" F32 2x3 24 -",
        "view \"blocks.0.v\" F32 2x3 48 -",
    ]));
    assert!(has(&["view \"blocks.1.turned\" F32 5x4 0 1,5"]), "{text}");
    assert!(has(&["view \"blocks.1.repeated\" F32 4x3 0 0,1"]));
    assert!(has(&["tensor \"half\" F16 2x1 4"]));
    assert!(has(&["tensor \"steps\" I64 scalar 8"]));
    // The tied weight is seen in two shapes, so that none of its names is the whole of it.
    assert!(has(&["view \"embed.weight\" F32 4x3 0 -"]));
    let text = manifest(&fixture("train.pt"), "train.pt").to_text();
    assert!(text.contains("\nalias \"model_state.conv1.weight\" \"ema.0\"\n"));
}

#[test]
fn nothing_is_run() {
    let _ = manifest(&fixture("evil.pt"), "evil.pt");
    assert!(!PathBuf::from("/tmp/mvc-was-here").exists());
}

#[test]
fn a_checkpoint_and_its_twin_have_one_identity() {
    let (Some(pth), Some(twin)) = (
        workload("cnn/model.pth"),
        workload("cnn/epoch10.safetensors"),
    ) else {
        return;
    };
    let read = |path: PathBuf| {
        let file = std::fs::read(&path).expect("readable");
        let name = path.to_string_lossy().into_owned();
        let mut entries = manifest(&file, &name).tensors();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let facts = entries
            .into_iter()
            .map(|e| (e.name, e.dtype, e.shape, e.id));
        facts.collect::<Vec<_>>()
    };
    let (pth, twin) = (read(pth), read(twin));
    assert_eq!(pth.len(), 8);
    assert_eq!(pth, twin);
}

/// The place of a signature, the `n`th from the front.
fn find(file: &[u8], signature: &[u8], n: usize) -> usize {
    let mut places = (0..file.len()).filter(|i| file[*i..].starts_with(signature));
    places.nth(n).expect("it is there")
}

#[test]
fn archives_that_lie_are_plain_bytes() {
    const DIRECTORY: &[u8] = b"PK\x01\x02";
    const END: &[u8] = b"PK\x05\x06";
    const LOCAL: &[u8] = b"PK\x03\x04";
    let good = fixture("alone.pt");
    let with = |signature: &[u8], n: usize, at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        let at = find(&file, signature, n) + at;
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let max = u32::MAX.to_le_bytes();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            good[..good.len() - 1].to_vec(),
            "does not end where the file does",
        ),
        (good[..10].to_vec(), "is too short"),
        (
            [&good[..], b"x"].concat(),
            "does not end where the file does",
        ),
        (
            with(END, 0, 20, &[1, 0]),
            "does not end where the file does",
        ),
        (with(END, 0, 4, &[1, 0]), "has several volumes"),
        (
            with(END, 0, 8, &[5, 0, 5, 0]),
            "has a directory that cannot be read",
        ),
        (with(END, 0, 8, &[1, 0, 1, 0]), "is longer than its entries"),
        (
            with(END, 0, 8, &[0xff; 4]),
            "claims more entries than are read",
        ),
        (with(END, 0, 12, &max), "is not where it should be"),
        (with(END, 0, 16, &max), "is not where it should be"),
        (with(DIRECTORY, 0, 8, &[1, 0]), "is encrypted"),
        (with(DIRECTORY, 0, 10, &[8, 0]), "is compressed"),
        (with(DIRECTORY, 0, 24, &max), "has entries of two lengths"),
        (
            with(DIRECTORY, 0, 20, &[&max[..], &max[..]].concat()),
            "outside of itself",
        ),
        (with(DIRECTORY, 0, 42, &max), "outside of itself"),
        (
            with(DIRECTORY, 0, 42, &[1, 0, 0, 0]),
            "that its directory does not know",
        ),
        (
            with(DIRECTORY, 0, 28, &[0xff, 0xff]),
            "a directory that cannot be read",
        ),
        (
            with(DIRECTORY, 0, 46, b"b"),
            "that its directory calls otherwise",
        ),
        (with(DIRECTORY, 1, 46, &[0xff]), "names that are not UTF-8"),
        (
            with(LOCAL, 1, 8, &[8, 0]),
            "that its directory does not know",
        ),
        (with(LOCAL, 1, 28, &[0xff, 0xff]), "outside of itself"),
    ];
    for (file, why) in cases {
        let note = note(&file, "alone.pt");
        assert!(note.contains(why), "{note:?} should say {why:?}");
    }
    // The second entry's header inside of the bytes of the first, which are made longer.
    let mut inside = good.clone();
    let (first, second) = (find(&good, DIRECTORY, 0), find(&good, LOCAL, 1));
    let longer = (second as u32).to_le_bytes();
    inside[first + 20..first + 28].copy_from_slice(&[longer, longer].concat());
    assert!(note(&inside, "x.pt").contains("entries that overlap"));
    // Two records of one entry.
    let (a, b) = (find(&good, DIRECTORY, 0), find(&good, DIRECTORY, 1));
    let mut twice = good[..b].to_vec();
    twice.extend_from_slice(&good[a..b]);
    twice.extend_from_slice(&good[find(&good, END, 0)..]);
    let end = twice.len() - 22;
    let len = (end - a) as u32;
    twice[end + 8..end + 12].copy_from_slice(&[2, 0, 2, 0]);
    twice[end + 12..end + 16].copy_from_slice(&len.to_le_bytes());
    assert!(note(&twice, "x.pt").contains("two entries of one name"));
}

#[test]
fn an_archive_with_large_records_is_read() {
    let good = fixture("alone.pt");
    let end = good.len() - 22;
    let field = |at: usize, len: usize| {
        let mut wide = [0; 8];
        wide[..len].copy_from_slice(&good[end + at..end + at + len]);
        u64::from_le_bytes(wide)
    };
    let (records, bytes, start) = (field(10, 2), field(12, 4), field(16, 4));
    let mut large = good[..end].to_vec();
    large.extend_from_slice(b"PK\x06\x06");
    for number in [44, 0x2d_002d, 0, 0] {
        let width = if number == 44 { 8 } else { 4 };
        large.extend_from_slice(&u64::to_le_bytes(number)[..width]);
    }
    for number in [records, records, bytes, start] {
        large.extend_from_slice(&number.to_le_bytes());
    }
    large.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    large.extend_from_slice(&(end as u64).to_le_bytes());
    large.extend_from_slice(&1u32.to_le_bytes());
    large.extend_from_slice(&good[end..]);
    let tail = large.len() - 22;
    large[tail + 8..tail + 20].fill(0xff);
    assert_eq!(manifest(&large, "x.pt").format, Format::Torch);
    large[tail + 8..tail + 10].copy_from_slice(&[1, 0]);
    large[tail + 10..tail + 12].copy_from_slice(&[1, 0]);
    assert!(note(&large, "x.pt").contains("end records that disagree"));
}

/// What is said about a pickle.
fn of_pickle(body: &[u8]) -> String {
    let mut bytes = vec![0x80, 2];
    bytes.extend_from_slice(body);
    let outcome = pickle::read(&bytes).and_then(|(values, top)| names::all(&values, top));
    match outcome {
        Ok(named) => format!("{} tensors", named.len()),
        Err(Stop::Refused(refusal)) => refusal.to_string(),
        Err(Stop::Read(error)) => panic!("{error}"),
    }
}

/// Instructions that push a tensor with these numbers: elements in its storage, offset, sides, strides.
fn tensor(elements: i32, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let int = |n: i32| [&b"J"[..], &n.to_le_bytes()].concat();
    let text = |t: &str| [&b"X"[..], &(t.len() as u32).to_le_bytes(), t.as_bytes()].concat();
    let tuple = |numbers: &[i32]| {
        let items: Vec<u8> = numbers.iter().flat_map(|n| int(*n)).collect();
        [&b"("[..], &items, b"t"].concat()
    };
    [
        &b"ctorch._utils\n_rebuild_tensor_v2\n(("[..],
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        &int(elements),
        b"tQ",
        &int(offset),
        &tuple(shape),
        &tuple(strides),
        b"\x89}tR",
    ]
    .concat()
}

#[test]
fn pickles_that_mean_harm_are_refused() {
    let whole = |tensor: Vec<u8>| of_pickle(&[&tensor[..], b"."].concat());
    assert_eq!(whole(tensor(4, 0, &[2, 2], &[2, 1])), "1 tensors");
    assert!(whole(tensor(-1, 0, &[2], &[1])).contains("negative length"));
    assert!(whole(tensor(4, -1, &[2], &[1])).contains("numbers cannot be"));
    assert!(whole(tensor(4, 0, &[-2], &[1])).contains("are no numbers"));
    assert!(whole(tensor(4, 0, &[2], &[1, 1])).contains("numbers cannot be"));
    assert!(whole(tensor(4, 0, &[1; 65], &[1; 65])).contains("more dimensions"));
    let good = tensor(4, 0, &[2], &[1]);
    let wrapped = |before: &[u8], after: &[u8]| of_pickle(&[before, &good, after].concat());
    let cases: Vec<(String, &str)> = vec![
        (of_pickle(b""), "is cut off"),
        (of_pickle(b"."), "takes a value where there is none"),
        (of_pickle(b"NN."), "values left over"),
        (of_pickle(b"(N."), "values left over"),
        (of_pickle(b"N.N"), "goes on after its end"),
        (of_pickle(b"t."), "takes a mark"),
        (of_pickle(b"(0."), "takes a value"),
        (of_pickle(b"h\x05."), "has not kept"),
        (of_pickle(b"X\xff\xff\xff\xffab."), "is cut off"),
        (
            of_pickle(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab."),
            "is cut off",
        ),
        (of_pickle(b"\x8b\xff\xff\xff\x7fab."), "is cut off"),
        (of_pickle(b"X\x01\0\0\0\xff."), "not UTF-8"),
        (of_pickle(b"cos"), "is cut off"),
        (
            of_pickle(b"(cos\nsystem\no."),
            "an instruction that checkpoints do not have",
        ),
        (of_pickle(b"(icos\nsystem\n."), "an instruction"),
        (of_pickle(b"\x82\x01."), "an instruction"),
        (of_pickle(b"Pabc\n."), "an instruction"),
        (of_pickle(b"NQ."), "something other than a storage"),
        (of_pickle(b"NNa."), "something other than a list"),
        (of_pickle(b"NNNs."), "something other than a dict"),
        (of_pickle(b"}(Nu."), "a key without a value"),
        (of_pickle(b"NN\x93."), "other than text"),
        (of_pickle(b"}."), "it holds no tensors"),
        (
            wrapped(b"cos\nsystem\n", b"\x85R."),
            "inside an object of os.system",
        ),
        (wrapped(b"ca\nb\n)\x81", b"b."), "inside an object of a.b"),
        (wrapped(b"}", b"b."), "inside the attributes of a value"),
        (wrapped(b"}", b"Ns."), "inside a key of a dict"),
        (wrapped(b"(", b"\x91."), "inside a set"),
        (wrapped(b"]", b"a."), "1 tensors"),
        (wrapped(b"]q\x01h\x01a", b"a."), "too deep or too often"),
    ];
    for (said, why) in cases {
        assert!(said.contains(why), "{said:?} should say {why:?}");
    }
    // Pairs of the pair before, sixty deep: 2^60 tensors in a few hundred bytes.
    let laughs = [&good[..], &b"2\x86".repeat(60), b"."].concat();
    assert!(of_pickle(&laughs).contains("more tensors than are read"));
    // As many values as the bytes allow.
    assert!(of_pickle(&[b']'; 6 << 20]).contains("more values than are read"));
    assert!(of_pickle(&[b'('; 6 << 20]).contains("more values than are read"));
    // One list of pairs made a dict again and again, each with all of the pairs.
    let pairs = [&b"]q\x01("[..], &b"NN\x86".repeat(10_000), b"e"].concat();
    let dicts = b"ccollections\nOrderedDict\nh\x01\x85R".repeat(2000);
    assert!(of_pickle(&[&pairs[..], &dicts, b"."].concat()).contains("more values than are read"));
    // One dict, whose keys name nothing, seen again and again.
    let dict = [&b"]}q\x01("[..], &b")N".repeat(100_000), b"u0("].concat();
    let again = [&dict[..], &b"h\x01".repeat(100), b"e."].concat();
    assert!(of_pickle(&again).contains("too deep or too often"));
    // Many names of one tensor, each of which a sidecar writes with the first, which is long.
    let long = [&b"X\x00\xfd\x00\x00"[..], &[b'a'; 0xfd00]].concat();
    let names: Vec<u8> = (0..5000u32)
        .flat_map(|n| [&b"X\x04\0\0\0"[..], format!("{n:04}").as_bytes(), b"h\x02"].concat())
        .collect();
    let aliases = [&b"}"[..], &good, b"q\x020(", &long, b"h\x02", &names, b"u."].concat();
    assert!(of_pickle(&aliases).contains("more tensors than are read"));
}

#[test]
fn tensors_that_cannot_be_make_the_file_opaque() {
    let refused = |tensor: Vec<u8>| {
        let bytes = [&[0x80, 2][..], &tensor, b"."].concat();
        let (values, top) = pickle::read(&bytes).expect("well-formed");
        let named = names::all(&values, top).expect("named");
        let bytes = named[0].tensor.storage_bytes;
        let segment = segment("0".into(), bytes, named);
        match tile(64 + bytes, vec![(64, segment)]) {
            Ok(tiling) => format!("{} spans", tiling.spans().len()),
            Err(Stop::Refused(refusal)) => refusal.to_string(),
            Err(Stop::Read(error)) => panic!("{error}"),
        }
    };
    assert_eq!(refused(tensor(4, 0, &[4], &[1])), "2 spans");
    assert!(refused(tensor(4, 1, &[4], &[1])).contains("reaches beyond its storage"));
    assert!(refused(tensor(4, 0, &[2, 2], &[i32::MAX, 1])).contains("reaches beyond"));
    assert!(refused(tensor(4, 0, &[i32::MAX, i32::MAX, 9], &[0, 0, 0])).contains("has sides"));
    assert!(refused(tensor(4, 0, &[i32::MAX, i32::MAX, 9, 0], &[0; 4])).contains("has sides"));
    assert!(refused(tensor(4, 0, &[i32::MAX], &[0])).contains("repeats its bytes too often"));
    // A name that a sidecar writes six times as long, and repeats for each of the others.
    let long = [&b"X\x00\xfd\x00\x00"[..], &[1; 0xfd00]].concat();
    let names: Vec<u8> = (0..4000u32)
        .flat_map(|n| [&b"X\x04\0\0\0"[..], format!("{n:04}").as_bytes(), b"h\x02"].concat())
        .collect();
    let whole = tensor(4, 0, &[4], &[1]);
    let aliases = [&whole[..], b"q\x020}(", &long, b"h\x02", &names, b"u"].concat();
    assert!(refused(aliases).contains("the list of its tensors would have more than"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        which in 0usize..4,
        hits in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..6),
        cut in prop::option::weighted(0.2, 0.0f64..1.0),
    ) {
        let name = ["state.pth", "train.pt", "alone.pt", "float8.pt"][which];
        let mut file = fixture(name);
        let len = file.len() as f64;
        for (at, byte) in hits {
            file[(at * len) as usize] = byte;
        }
        if let Some(cut) = cut {
            file.truncate((cut * len) as usize);
        }
        let scanned = scan(&file, name, How::default()).expect("never an error");
        prop_assert_eq!(scanned.tiling.file_len(), file.len() as u64);
        let manifest = crate::model::testing::hashed(&file, scanned);
        let text = manifest.to_text();
        prop_assert!(Manifest::parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn no_pickle_makes_it_panic(body in prop::collection::vec(
        prop::sample::select(b"()]}.NKJXcQRabestuq\x81\x85\x86\x87\x88\x8c\x90\x91\x93\x94\x95h2\n\0\x01\x02a".to_vec()),
        0..80,
    )) {
        of_pickle(&body);
    }
}
