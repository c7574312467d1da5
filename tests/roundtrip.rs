//! Real checkpoints of PyTorch, committed and brought back.

#![expect(
    clippy::print_stdout,
    reason = "figures for whoever reads the log of the run"
)]

use crate::support::Sandbox;
use crate::support::workload::workload;

const EPOCHS: [&str; 4] = ["epoch01", "epoch02", "epoch03", "epoch10"];

#[test]
fn four_epochs_come_back_bit_for_bit() {
    let sandbox = Sandbox::keeping();
    let mut files = Vec::new();
    for epoch in EPOCHS {
        let Some(path) = workload(&format!("cnn/{epoch}.safetensors")) else {
            return;
        };
        let bytes = std::fs::read(path).expect("readable");
        sandbox.write("model.safetensors", &bytes);
        sandbox.mvc(&["commit", "-m", epoch]).ok();
        sandbox.mvc(&["tag", epoch]).ok();
        files.push((epoch, bytes));
    }
    for (epoch, bytes) in files.iter().chain(files.iter().rev()) {
        sandbox.mvc(&["checkout", epoch]).ok();
        // Compared byte for byte, which is more than equal hashes say.
        assert!(
            sandbox.read("model.safetensors") == *bytes,
            "{epoch} differs"
        );
        sandbox.assert_clean();
    }
    let raw: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let stored = sandbox.bytes_below(".git/mvc");
    println!("{raw} bytes of weights in {stored} bytes");
    assert!(stored < raw as u64);
}

#[test]
fn the_same_tensors_in_another_format_cost_next_to_nothing() {
    let (Some(twin), Some(pth)) = (
        workload("cnn/epoch10.safetensors"),
        workload("cnn/model.pth"),
    ) else {
        return;
    };
    let sandbox = Sandbox::keeping();
    sandbox.mvc(&["track", "*.pth"]).ok();
    let read = |path| std::fs::read(path).expect("readable");
    sandbox.write("epoch10.safetensors", read(&twin));
    sandbox.mvc(&["commit", "-m", "one"]).ok();
    let before = sandbox.bytes_below(".git/mvc");
    sandbox.write("model.pth", read(&pth));
    sandbox.mvc(&["commit", "-m", "the other"]).ok();
    let grown = sandbox.bytes_below(".git/mvc") - before;
    println!("the twin added {grown} bytes");
    assert!(grown < 64 << 10, "the twin added {grown} bytes");
    let du = sandbox.mvc(&["du", "--json"]).ok().json();
    assert!(
        du["versions"][0]["added"]
            .as_u64()
            .is_some_and(|added| added < 64 << 10),
        "{du}"
    );
    let ids: Vec<_> = ["epoch10.safetensors", "model.pth"]
        .map(|name| {
            let shown = sandbox
                .mvc(&["show", &format!("HEAD:{name}"), "--json"])
                .ok()
                .json();
            shown["weights_id"].as_str().map(ToOwned::to_owned)
        })
        .into();
    assert!(ids[0].is_some() && ids[0] == ids[1], "{ids:?}");
    sandbox.remove("model.pth");
    sandbox.remove("epoch10.safetensors");
    sandbox.mvc(&["restore", "."]).ok();
    assert!(sandbox.read("model.pth") == read(&pth));
    assert!(sandbox.read("epoch10.safetensors") == read(&twin));
    sandbox.assert_clean();
}
