//! Real models to test on. They are not part of the repository: a folder `../shared/workload` beside it.
//!
//! A test without its input skips, and says so on the real stderr, past the test harness's capture. Where
//! `MVC_REQUIRE_WORKLOAD` is set (`.ci/run` sets it where the folder exists) a missing file fails instead; a model
//! that cannot be fetched never does, since that needs the network and Python.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::root;

/// A file of the workload, or `None` for a test that then returns.
#[track_caller]
pub(crate) fn workload(path: &str) -> Option<PathBuf> {
    let file = root().join("../shared/workload").join(path);
    match file.exists() {
        true => Some(file),
        false => {
            let why = format!("{} is not there", file.display());
            assert!(std::env::var_os("MVC_REQUIRE_WORKLOAD").is_none(), "{why}");
            skip(&why)
        }
    }
}

/// The folder of MiniLM v1 (model.safetensors, config.json, tokenizer.json), or `None` for a test that returns.
///
/// `MVC_MINILM` names the folder; without it, the workload's script fetches it once into target/tmp.
#[track_caller]
pub(crate) fn minilm_v1() -> Option<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOUND.get_or_init(find_minilm) {
        Ok(folder) => Some(folder.clone()),
        Err(why) => skip(why),
    }
}

fn find_minilm() -> Result<PathBuf, String> {
    if let Some(folder) = std::env::var_os("MVC_MINILM").map(PathBuf::from) {
        return match folder.join("model.safetensors").is_file() {
            true => Ok(folder),
            false => Err(format!(
                "MVC_MINILM={} holds no model.safetensors",
                folder.display()
            )),
        };
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.join("minilm-v1");
    if folder.join("model.safetensors").is_file() {
        return Ok(folder);
    }
    let script = root().join("../shared/workload/minilm/fetch-v1.sh");
    if !script.is_file() {
        return Err(format!("{} is not there", script.display()));
    }
    // Fetched beside and renamed, so that an interrupted fetch is not taken for a model.
    let beside = target.join(format!("minilm-v1.{}", std::process::id()));
    let fetched = Command::new("bash")
        .arg(&script)
        .arg(&beside)
        .stdin(Stdio::null())
        .output();
    let fetched = fetched.map_err(|e| format!("bash: {e}"))?;
    if !fetched.status.success() {
        let _ = std::fs::remove_dir_all(&beside);
        return Err(format!(
            "MiniLM cannot be fetched: {}",
            String::from_utf8_lossy(&fetched.stderr).trim()
        ));
    }
    // Another test process may have been faster; then its folder is as good.
    match std::fs::rename(&beside, &folder) {
        Err(e) if !folder.is_dir() => Err(format!("{}: {e}", folder.display())),
        _ => Ok(folder),
    }
}

#[track_caller]
fn skip<T>(why: &str) -> Option<T> {
    let place = std::panic::Location::caller();
    // Not eprintln: the harness would keep it to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED {place}: {why}");
    None
}
