//! Bad input and damaged stores: a clear error, the right exit code, and nothing lost or wrongly given out.

#![expect(
    clippy::print_stdout,
    reason = "figures for whoever reads the log of the run"
)]

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use mvc::base::Kind;

use crate::support::{Sandbox, Weights, seeded};

/// A safetensors file of this header.
fn headed(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(vec![1; data]);
    bytes
}

/// What a hostile or broken writer may leave, by what is wrong with it.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let tensor = |name: &str, from: usize, to: usize| {
        let count = to.saturating_sub(from) / 4;
        format!(
            "\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{count}],\"data_offsets\":[{from},{to}]}}"
        )
    };
    let of = |tensors: &[String], data| headed(&format!("{{{}}}", tensors.join(",")), data);
    let good = seeded(1);
    vec![
        ("cut short", good[..good.len() - 1].to_vec()),
        ("cut in the header", good[..100].to_vec()),
        ("cut in the length", good[..5].to_vec()),
        ("too long", [&good[..], b"more"].concat()),
        (
            "absurd length",
            [&u64::MAX.to_le_bytes()[..], b"{}"].concat(),
        ),
        (
            "length beyond the limit",
            [&(1u64 << 40).to_le_bytes()[..], b"{}"].concat(),
        ),
        (
            "same name twice",
            of(&[tensor("a", 0, 8), tensor("a", 8, 16)], 16),
        ),
        ("overlap", of(&[tensor("a", 0, 8), tensor("b", 4, 12)], 12)),
        ("hole", of(&[tensor("a", 0, 8), tensor("b", 12, 20)], 20)),
        ("turned offsets", of(&[tensor("a", 8, 0)], 8)),
        ("beyond the end", of(&[tensor("a", 0, 800)], 8)),
        (
            "shape against length",
            headed(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
                8,
            ),
        ),
        (
            "shape overflows",
            headed(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
                0,
            ),
        ),
        (
            "negative",
            headed(
                "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
                4,
            ),
        ),
        ("no JSON", headed("{\"a\":", 8)),
        ("no object", headed("[]", 8)),
        ("no UTF-8", [&4u64.to_le_bytes()[..], b"{\"\xff\""].concat()),
        (
            "deep",
            headed(&format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)), 0),
        ),
    ]
}

#[test]
fn broken_weights_are_refused_and_kept_as_bytes_on_request() {
    let sandbox = Sandbox::three();
    for (what, bytes) in hostile() {
        sandbox.write("bad.safetensors", &bytes);
        let index = sandbox.read(".git/index");
        for command in [&["add", "bad.safetensors"][..], &["commit", "-m", "bad"]] {
            let failed = sandbox.mvc(command);
            assert_eq!(
                failed.code,
                i32::from(Kind::BadInput.exit_code()),
                "{what}: {}",
                failed.stderr
            );
            assert!(
                failed.stderr.contains("bad.safetensors"),
                "{what}: {}",
                failed.stderr
            );
            assert!(
                failed.stderr.contains("--opaque"),
                "{what}: {}",
                failed.stderr
            );
        }
        assert!(
            sandbox.read("bad.safetensors") == bytes && !sandbox.has("bad.safetensors.mvc"),
            "{what}"
        );
        assert!(sandbox.read(".git/index") == index, "{what}");
        sandbox.mvc(&["add", "--opaque", "bad.safetensors"]).ok();
        sandbox.remove("bad.safetensors");
        sandbox.mvc(&["restore", "bad.safetensors"]).ok();
        assert!(sandbox.read("bad.safetensors") == bytes, "{what}");
        sandbox
            .git(&["rm", "--quiet", "--cached", "bad.safetensors.mvc"])
            .ok();
        sandbox.remove("bad.safetensors.mvc");
        sandbox.remove("bad.safetensors");
        sandbox.mvc(&["status", "--exit-code"]).ok();
    }
    sandbox.assert_clean();
}

#[test]
fn weights_that_change_while_they_are_read() {
    let sandbox = Sandbox::keeping();
    let versions: Vec<Vec<u8>> = (1..=2)
        .map(|seed| Weights::seeded(seed).f32("w", &[1024, 2048]).bytes())
        .collect();
    sandbox.write("model.safetensors", &versions[0]);
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    let stop = AtomicBool::new(false);
    let path = sandbox.path("model.safetensors");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::os::unix::fs::FileExt;
            let file = std::fs::File::options()
                .write(true)
                .open(&path)
                .expect("there");
            let mut round = 0;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                let bytes = &versions[round % 2];
                for start in (0..bytes.len()).step_by(1 << 16) {
                    let end = bytes.len().min(start + (1 << 16));
                    file.write_all_at(&bytes[start..end], start as u64)
                        .expect("ours");
                }
            }
        });
        for _ in 0..5 {
            let done = sandbox.mvc(&["add", "model.safetensors"]);
            let changed = i32::from(Kind::Changed.exit_code());
            assert!([0, changed].contains(&done.code), "{}", done.stderr);
        }
        let failed = sandbox.mvc(&["add", "model.safetensors"]);
        assert!(
            failed.code == 0 || failed.stderr.contains("changed while it was read"),
            "{}",
            failed.stderr
        );
        stop.store(true, Ordering::Relaxed);
    });
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    let kept = sandbox.read("model.safetensors");
    sandbox
        .mvc(&["commit", "-m", "second", "--allow-empty"])
        .ok();
    sandbox.remove("model.safetensors");
    sandbox.mvc(&["restore", "model.safetensors"]).ok();
    assert!(sandbox.read("model.safetensors") == kept);
    sandbox.assert_clean();
}

#[test]
fn a_store_that_cannot_be_written() {
    let sandbox = Sandbox::three();
    let folders = [".git/mvc/packs", ".git/mvc/tmp", ".git/mvc"];
    for folder in folders.iter().filter(|folder| sandbox.has(folder)) {
        sandbox.chmod(folder, 0o555);
    }
    if std::fs::write(sandbox.path(".git/mvc/probe"), "").is_ok() {
        // The superuser writes everywhere; the tests of a full disk show the same.
        return;
    }
    sandbox.mvc(&["checkout", "v1"]).ok();
    sandbox.write("model.safetensors", seeded(9));
    sandbox
        .mvc(&["commit", "-m", "x"])
        .fails(Kind::Io)
        .says("writable");
    sandbox.assert_seed("model.safetensors", 9);
    for folder in folders.iter().rev().filter(|folder| sandbox.has(folder)) {
        sandbox.chmod(folder, 0o755);
    }
    sandbox.mvc(&["commit", "-m", "x"]).ok();
    sandbox.assert_clean();
}

#[test]
fn a_flipped_bit_anywhere_in_a_pack_is_never_given_out() {
    let sandbox = Sandbox::keeping();
    sandbox.write(
        "model.safetensors",
        Weights::seeded(1)
            .f32("a", &[40])
            .f32("zeros", &[1])
            .bytes(),
    );
    let wanted = sandbox.read("model.safetensors");
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.remove("model.safetensors");
    sandbox
        .git(&["commit", "--quiet", "--allow-empty", "-m", "marker"])
        .ok();
    let mut found = 0;
    let mut flips = 0;
    for path in sandbox.packs() {
        let good = std::fs::read(&path).expect("there");
        let step = (good.len() / 60).max(1);
        for (at, bit) in (0..good.len())
            .step_by(step)
            .zip([1u8, 8, 128].into_iter().cycle())
        {
            let mut bad = good.clone();
            bad[at] ^= bit;
            flips += 1;
            std::fs::write(&path, &bad).expect("ours");
            let name = format!("byte {at} of {} in {}", good.len(), path.display());
            let restored = sandbox.mvc(&["restore", "model.safetensors"]);
            match restored.code {
                0 => {
                    assert!(
                        sandbox.read("model.safetensors") == wanted,
                        "{name}: wrong bytes were given out"
                    );
                    sandbox.remove("model.safetensors");
                }
                code => {
                    let kinds = [Kind::Damaged, Kind::Missing, Kind::Unsupported];
                    let kinds = kinds.map(|kind| i32::from(kind.exit_code()));
                    assert!(kinds.contains(&code), "{name}: {code}: {}", restored.stderr);
                    assert!(
                        !sandbox.has("model.safetensors"),
                        "{name}: something was written"
                    );
                }
            }
            let verified = sandbox.mvc(&["verify", "--all"]);
            assert_ne!(verified.code, 0, "{name}: not found\n{}", verified.stdout);
            found += 1;
        }
        std::fs::write(&path, &good).expect("ours");
    }
    println!("{found} of {flips} flips found");
    sandbox.mvc(&["restore", "model.safetensors"]).ok();
    sandbox.assert_clean();
}

#[test]
fn a_damaged_store_keeps_what_lies_in_the_work_tree() {
    let sandbox = Sandbox::three();
    for path in sandbox.packs() {
        let mut bytes = std::fs::read(&path).expect("there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        std::fs::write(&path, bytes).expect("ours");
    }
    let before = sandbox.files();
    let failed = sandbox.mvc(&["checkout", "v1"]);
    assert!([0, 7, 8].contains(&failed.code), "{}", failed.stderr);
    let bytes = sandbox.read("model.safetensors");
    assert!(bytes == seeded(1) || bytes == seeded(3), "neither version");
    if failed.code == 8 {
        assert!(
            failed.stderr.contains("mvc verify --all"),
            "{}",
            failed.stderr
        );
        sandbox.mvc(&["checkout", "--force", "main"]);
        assert_eq!(sandbox.files().len(), before.len());
    }
}

#[test]
fn sidecars_that_cannot_be_followed() {
    let sandbox = Sandbox::three();
    let good = sandbox.text("model.safetensors.mvc");
    let conflict = format!("<<<<<<< HEAD\n{good}=======\n{good}>>>>>>> side\n");
    for (what, text, kind) in [
        (
            "newer",
            good.replacen("mvc 1 ", "mvc 2 ", 1),
            Kind::Unsupported,
        ),
        (
            "a new kind of line",
            format!("{good}sparkle 1 2 3\n"),
            Kind::Unsupported,
        ),
        ("conflict", conflict, Kind::Conflict),
        ("CRLF", good.replace('\n', "\r\n"), Kind::BadInput),
        ("cut", good[..good.len() / 2].to_owned(), Kind::BadInput),
        ("empty", String::new(), Kind::BadInput),
    ] {
        sandbox.write("model.safetensors.mvc", &text);
        let status = sandbox.mvc(&["status"]);
        assert!(
            status.stderr.contains("model.safetensors")
                || status.stdout.contains("model.safetensors"),
            "{what}: {}{}",
            status.stdout,
            status.stderr
        );
        sandbox.assert_seed("model.safetensors", 3);
        assert_ne!(sandbox.mvc(&["checkout", "v1"]).code, 0, "{what}");
        let bytes = sandbox.read("model.safetensors");
        assert!(bytes == seeded(3), "{what}: weights moved");
        // As a version of its own, made by a plain git or a newer mvc. Line ends are mended on their way into git.
        sandbox.git(&["add", "model.safetensors.mvc"]).ok();
        if what == "CRLF" {
            sandbox.git(&["diff", "--cached", "--exit-code"]).ok();
            // Git sees no difference, so it would leave the file as it is.
            sandbox.remove("model.safetensors.mvc");
        } else {
            sandbox.git(&["commit", "--quiet", "-m", what]).ok();
            let shown = sandbox.mvc(&["show", "HEAD:model.safetensors"]);
            assert_eq!(
                shown.code,
                i32::from(kind.exit_code()),
                "{what}: {}",
                shown.stderr
            );
            sandbox
                .mvc(&["verify"])
                .fails(Kind::No)
                .prints("model.safetensors");
        }
        sandbox.git(&["reset", "--quiet", "--hard", "v3"]).ok();
        sandbox.mvc(&["status", "--exit-code"]).ok();
        sandbox.assert_seed("model.safetensors", 3);
    }
    // Adding writes a good one in place of a bad one; only what a newer mvc wrote is never replaced.
    sandbox.write("model.safetensors.mvc", "nonsense\n");
    sandbox.mvc(&["add", "model.safetensors"]).ok();
    assert_eq!(sandbox.text("model.safetensors.mvc"), good);
    // What the reflog leads to still has the bad ones.
    sandbox.mvc(&["verify", "--all"]).fails(Kind::No);
    sandbox.forget();
    sandbox.assert_clean();
}

#[test]
fn sidecars_that_lie() {
    let sandbox = Sandbox::three();
    let good = sandbox.text("model.safetensors.mvc");
    let swapped = good
        .replace("fc1.bias", "fc3.bias")
        .replace("fc1.weight", "fc3.weight");
    for (what, text) in [
        (
            "another length",
            good.replacen("literal 576 ", "literal 577 ", 1),
        ),
        ("other names", swapped),
        ("another shape", good.replacen("F32 32x72", "F32 72x32", 1)),
    ] {
        assert_ne!(text, good, "{what}");
        sandbox.write("model.safetensors.mvc", &text);
        sandbox.git(&["commit", "--quiet", "-am", what]).ok();
        for command in [&["verify"][..], &["verify", "--all"]] {
            sandbox
                .mvc(command)
                .fails(Kind::No)
                .prints("model.safetensors");
        }
        sandbox.remove("model.safetensors");
        let restored = sandbox.mvc(&["restore", "model.safetensors"]);
        let refused = [Kind::Damaged, Kind::BadInput].map(|kind| i32::from(kind.exit_code()));
        assert!(
            refused.contains(&restored.code) && !sandbox.has("model.safetensors"),
            "{what}: {}: {}",
            restored.code,
            restored.stderr
        );
        sandbox.git(&["reset", "--quiet", "--hard", "v3"]).ok();
        sandbox.mvc(&["restore", "model.safetensors"]).ok();
        sandbox.assert_seed("model.safetensors", 3);
    }
}

#[test]
fn paths_that_lead_out() {
    let sandbox = Sandbox::three();
    for text in [
        "mvc = 1\n[model.m]\nweights = '../outside.safetensors'\n",
        "mvc = 1\n[model.m]\nweights = '/etc/passwd'\n",
        "mvc = 1\n[eval.e]\ntask = 'regression'\ndata = '../x'\ninput = 'x'\ntarget = 'y'\n",
        "mvc = 1\n[metrics.m]\nfile = '../../x.json'\n",
    ] {
        sandbox.write("mvc.toml", text);
        sandbox
            .mvc(&["commit", "-m", "x"])
            .fails(Kind::Config)
            .says("mvc.toml");
        sandbox.mvc(&["status"]).fails(Kind::Config);
    }
    sandbox.git(&["checkout", "--quiet", "--", "mvc.toml"]).ok();
    sandbox.assert_clean();
}

#[test]
fn a_folder_that_is_a_link_is_not_written_through() {
    let sandbox = Sandbox::keeping();
    sandbox.write("deep/model.safetensors", seeded(1));
    sandbox.mvc(&["commit", "-m", "first"]).ok();
    sandbox.write("deep/model.safetensors", seeded(2));
    sandbox.mvc(&["commit", "-m", "second"]).ok();
    let outside = sandbox.dir().with_file_name("tmp").join("outside");
    std::fs::create_dir(&outside).expect("ours");
    std::fs::write(outside.join("model.safetensors"), "precious").expect("ours");
    std::fs::remove_dir_all(sandbox.path("deep")).expect("ours");
    symlink(&outside, sandbox.path("deep")).expect("ours");
    for command in [
        &["restore", "."][..],
        &["restore", "--source", "HEAD~1", "deep/model.safetensors"],
        &["checkout", "HEAD~1"],
        &["checkout", "--force", "HEAD~1"],
        &["checkout", "--force", "main"],
        &["add", "deep/model.safetensors"],
        &["commit", "-am", "x"],
        &["status"],
    ] {
        let done = sandbox.mvc(command);
        let held = std::fs::read_to_string(outside.join("model.safetensors")).unwrap_or_default();
        assert_eq!(held, "precious", "{}: {}", done.call, done.stderr);
        let files = std::fs::read_dir(&outside).expect("ours").count();
        assert_eq!(files, 1, "{}: {}", done.call, done.stderr);
        assert_ne!(done.code, 70, "{}", done.stderr);
    }
}

#[test]
fn links_and_folders_in_the_place_of_weights() {
    let sandbox = Sandbox::three();
    sandbox.write("elsewhere", seeded(9));
    sandbox.remove("model.safetensors");
    symlink("elsewhere", sandbox.path("model.safetensors")).expect("ours");
    for command in [
        &["add", "model.safetensors"][..],
        &["commit", "-m", "x"],
        &["checkout", "v1"],
        &["checkout", "--force", "v1"],
        &["restore", "model.safetensors"],
        &["status"],
    ] {
        let failed = sandbox.mvc(command).fails(Kind::BadInput);
        assert!(
            failed
                .stderr
                .contains("model.safetensors is not a regular file"),
            "{}",
            failed.stderr
        );
        assert!(sandbox.read("elsewhere") == seeded(9), "{}", failed.call);
        assert!(
            sandbox.path("model.safetensors").is_symlink(),
            "{}",
            failed.call
        );
    }
    sandbox.remove("model.safetensors");
    sandbox.write("model.safetensors/inside.txt", "kept");
    sandbox.mvc(&["checkout", "v1"]).fails(Kind::BadInput);
    assert_eq!(sandbox.text("model.safetensors/inside.txt"), "kept");
    std::fs::remove_dir_all(sandbox.path("model.safetensors")).expect("ours");
    sandbox.mvc(&["restore", "."]).ok();
    sandbox.assert_seed("model.safetensors", 3);
}
