//! The real models.

use std::path::{Path, PathBuf};

/// MiniLM as published and its fine-tune; `None`, and said so, where they are missing.
///
/// `MVC_MINILM` names the folder of the first, `MVC_WORKLOAD` the folder whose `minilm/v2.safetensors` is the second.
pub(crate) fn minilm() -> Option<[PathBuf; 2]> {
    let named = |name| std::env::var_os(name).map(PathBuf::from);
    let fetched = || Path::new(env!("CARGO_TARGET_TMPDIR")).join("minilm-v1");
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/workload");
    let first = named("MVC_MINILM").unwrap_or_else(fetched);
    let second = named("MVC_WORKLOAD").unwrap_or_else(beside);
    let models = [
        first.join("model.safetensors"),
        second.join("minilm/v2.safetensors"),
    ];
    for model in &models {
        if !model.is_file() {
            println!("SKIPPED: {} is missing\n", model.display());
            return None;
        }
    }
    Some(models)
}
