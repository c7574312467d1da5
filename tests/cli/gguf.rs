//! GGUF files: by tensor from the first commit to the last byte.

use snapbox::str;

use crate::support::{Sandbox, Weights, root};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(root().join("fixtures/gguf").join(name)).expect("fixtures are there")
}

/// Where these bytes begin.
fn find(file: &[u8], bytes: &[u8]) -> usize {
    let mut places = (0..file.len()).filter(|at| file[*at..].starts_with(bytes));
    places.next().expect("it is there")
}

fn commit(sandbox: &Sandbox, tag: &str) {
    sandbox.mvc(&["commit", "-q", "-m", tag]).ok();
    sandbox.git(&["tag", tag]).ok();
}

/// Three versions: an export, one with two other tensors, and one with another name in its keys.
fn versions() -> (Sandbox, [Vec<u8>; 3]) {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.gguf", "*.safetensors"]).ok();
    let first = fixture("quantised.gguf");
    sandbox.write("model.gguf", &first);
    commit(&sandbox, "v1");
    let place = |name: &str| {
        let text = sandbox.text("model.gguf.mvc");
        let mut end = 0;
        for line in text.lines().skip(1) {
            let bytes = line.rsplit(' ').nth(1).and_then(|n| n.parse().ok());
            let begin = end;
            end += match line.starts_with("group") {
                true => 0,
                false => bytes.unwrap_or(0),
            };
            if line.starts_with(&format!("tensor \"blk.0.{name}\"")) {
                return begin;
            }
        }
        panic!("{name} is not in {text}");
    };
    let mut second = first.clone();
    // The highest bit of one number of 8, and anything of a type that is not decoded.
    second[place("Q8_0") + 2] ^= 0x80;
    second[place("IQ3_S") + 5] ^= 1;
    sandbox.write("model.gguf", &second);
    commit(&sandbox, "v2");
    let mut third = second.clone();
    third[find(&second, b"fixture")] = b'F';
    sandbox.write("model.gguf", &third);
    commit(&sandbox, "v3");
    (sandbox, [first, second, third])
}

#[test]
fn every_version_comes_back_byte_for_byte() {
    let (sandbox, versions) = versions();
    for (tag, bytes) in ["v1", "v2", "v3"].iter().zip(&versions) {
        sandbox.mvc(&["checkout", tag]).ok();
        assert!(sandbox.read("model.gguf") == *bytes, "{tag}");
        sandbox.mvc(&["status", "--exit-code"]).ok();
    }
    sandbox.mvc(&["verify", "--all"]).ok();
}

#[test]
fn a_fine_tune_costs_a_fraction_and_comes_back_byte_for_byte() {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.gguf"]).ok();
    let mut stored = Vec::new();
    for (tag, name) in [("v1", "before.gguf"), ("v2", "after.gguf")] {
        sandbox.write("model.gguf", fixture(name));
        let before = sandbox.bytes_below(".git/mvc/packs");
        commit(&sandbox, tag);
        stored.push(sandbox.bytes_below(".git/mvc/packs") - before);
    }
    let len = fixture("after.gguf").len() as u64;
    assert!(stored[1] * 4 < len, "{stored:?} of {len}");
    for (tag, name) in [("v1", "before.gguf"), ("v2", "after.gguf")] {
        sandbox.mvc(&["checkout", tag]).ok();
        assert!(sandbox.read("model.gguf") == fixture(name), "{tag}");
    }
    sandbox.mvc(&["verify", "--all"]).ok();
}

#[test]
fn an_export_of_stored_floats_costs_no_numbers_whatever_they_are_called() {
    let file = fixture("after.gguf");
    let same = "blk.0.Q8_0";
    let cases = [(same, false), (same, true), ("layers.0.weight", true)];
    let stored = cases.map(|(name, is_of_these)| {
        let sandbox = Sandbox::repo();
        sandbox.mvc(&["init"]).ok();
        sandbox.mvc(&["track", "*.gguf", "*.safetensors"]).ok();
        let shape = [48, 256];
        let floats = match is_of_these {
            true => Weights::seeded(1).raw(name, "F32", &shape, values(&file)),
            false => Weights::seeded(1).f32(name, &shape),
        };
        sandbox.write("model.safetensors", floats.bytes());
        commit(&sandbox, "floats");
        let before = sandbox.bytes_below(".git/mvc/packs");
        sandbox.write("model.gguf", &file);
        commit(&sandbox, "export");
        sandbox.mvc(&["checkout", "floats"]).ok();
        sandbox.mvc(&["checkout", "export"]).ok();
        assert!(sandbox.read("model.gguf") == file);
        sandbox.bytes_below(".git/mvc/packs") - before
    });
    // Most of what its tensor of that type takes otherwise.
    let bytes = 48 * 8 * 34;
    for with_floats in &stored[1..] {
        assert!(
            with_floats + bytes * 8 / 10 < stored[0],
            "{stored:?} of {bytes}"
        );
    }
}

/// What the blocks of the fixture's tensor of type Q8_0 stand for, as F32.
fn values(file: &[u8]) -> Vec<u8> {
    // It is the first tensor, at the end of the header.
    let all = 48 * 8 * (34 + 18 + 24) + 48 * (144 + 210);
    let blocks = &file[file.len() - all..][..48 * 8 * 34];
    let values = blocks.chunks(34).flat_map(|block| {
        let half = u16::from_le_bytes([block[0], block[1]]);
        let exponent = i32::from(half >> 10 & 31) - 25;
        let scale = f32::from(half & 0x3ff | 0x400) * 2f32.powi(exponent);
        block[2..].iter().map(move |q| scale * f32::from(*q as i8))
    });
    values.flat_map(f32::to_le_bytes).collect()
}

#[test]
fn two_versions_are_told_apart_by_tensor() {
    let (sandbox, _) = versions();
    let shown = str![[r#"
v1 -> v2
model.gguf  fine-tune: rel. change 4.9e-2, 2 of 24 tensors
  24 tensors, 22 same, 2 changed, 7.2 KiB
  no figures for 1 changed tensor: IQ3_S is not decoded
  tensor       form         rel L2  max |d|    cosine  changed
  blk.0.Q8_0   Q8_0 2x256   0.0486     5.42  0.998819    0.2 %
  blk.0.IQ3_S  IQ3_S 2x256       -        -         -    0.5 %  IQ3_S is not decoded

"#]];
    sandbox.mvc(&["diff", "v1", "v2"]).ok().stdout_is(shown);
    sandbox
        .mvc(&["diff", "v2", "v3"])
        .ok()
        .prints("identical tensors, another header");
    let shown = str![[r#"
tensor                                                          blk.0.Q4_K
dtype                                                                 Q4_K
shape                                                                2x256
object    [HASH]
elements                                                               512
L2 norm                                                                311
zeros                                                                    0
NaN                                                                      0
infinite                                                                 0

"#]];
    sandbox
        .mvc(&["show", "v1:model.gguf:blk.0.Q4_K"])
        .ok()
        .stdout_is(shown);
    sandbox
        .mvc(&["show", "v1:model.gguf:blk.0.IQ3_S"])
        .ok()
        .prints("IQ3_S is not decoded");
    // What the blocks stand for, as another file has it.
    sandbox.write("values.gguf", fixture("values.gguf"));
    let values = sandbox
        .mvc(&[
            "diff",
            "v1:model.gguf",
            ":values.gguf",
            "--tensor",
            "blk.0.Q6_K",
        ])
        .ok();
    values.prints("cast Q6_K -> F32 (exact rounding)");
}

#[test]
fn tensors_are_stored_once_whatever_file_they_are_in() {
    let (sandbox, _) = versions();
    let steps = (1..=6i64).flat_map(i64::to_le_bytes).collect();
    let twin = Weights::seeded(1).raw("steps", "I64", &[2, 3], steps);
    sandbox.write("twin.safetensors", twin.bytes());
    sandbox.mvc(&["add", "twin.safetensors"]).ok();
    let of = |sidecar: &str| {
        let text = sandbox.text(sidecar);
        let line = text.lines().find(|line| line.contains("\"steps\""));
        line.expect("it has one").to_owned()
    };
    assert_eq!(of("twin.safetensors.mvc"), of("model.gguf.mvc"));
}

#[test]
fn what_is_tracked_as_plain_bytes_stays_so_until_it_changes() {
    let sandbox = Sandbox::repo();
    sandbox.mvc(&["init"]).ok();
    sandbox.mvc(&["track", "*.gguf"]).ok();
    let file = fixture("quantised.gguf");
    sandbox.write("model.gguf", &file);
    sandbox.mvc(&["add", "--opaque", "model.gguf"]).ok();
    commit(&sandbox, "v1");
    assert!(sandbox.text("model.gguf.mvc").starts_with("mvc 1 opaque\n"));
    sandbox.mvc(&["add", "model.gguf"]).ok();
    sandbox.mvc(&["status", "--exit-code"]).ok();
    assert!(sandbox.text("model.gguf.mvc").starts_with("mvc 1 opaque\n"));
    let mut changed = file;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    sandbox.write("model.gguf", &changed);
    commit(&sandbox, "v2");
    assert!(sandbox.text("model.gguf.mvc").starts_with("mvc 1 gguf\n"));
    sandbox
        .mvc(&["diff", "v1", "v2"])
        .ok()
        .prints("tracked by tensor now, before as plain bytes");
}

#[test]
fn a_file_that_lies_is_plain_bytes_and_a_sidecar_that_lies_is_refused() {
    let (sandbox, [first, ..]) = versions();
    sandbox.write("cut.gguf", &first[..first.len() / 2]);
    sandbox
        .mvc(&["add", "cut.gguf"])
        .ok()
        .says("kept as plain bytes: its tensor");
    assert!(sandbox.text("cut.gguf.mvc").starts_with("mvc 1 opaque\n"));
    let lie = sandbox
        .text("model.gguf.mvc")
        .replace("\"blk.0.Q8_0\"", "\"blk.0.Q8_9\"");
    sandbox.write("model.gguf.mvc", lie);
    sandbox.git(&["add", "model.gguf.mvc"]).ok();
    sandbox
        .git(&["commit", "-q", "--no-verify", "-m", "a lie"])
        .ok();
    let verified = sandbox.mvc(&["verify"]).code(1);
    verified.prints("the sidecar and the file's header disagree about \"blk.0.Q8_0\"");
}
