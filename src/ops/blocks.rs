//! The blocks that mvc keeps in `.gitignore`, `.gitattributes` and `info/exclude`, derived from `mvc.toml`.
//!
//! They hold patterns and no expanded names, so that two branches which each track another file do not conflict.
//! `info/exclude` mirrors the ignore rules for branches that do not have the block yet: without it a plain
//! `git add .` there would stage weights.

use std::path::Path;

use super::error::{During, Result};
use super::workspace::Workspace;
use crate::base::config::Config;
use crate::base::fs::{self, TEMP_PREFIX};
use crate::base::{Kind, RepoPath};
use crate::repo::block;

const LIMIT: u64 = 16 << 20;

/// Sidecars keep their line ends on every platform and are merged by tensor where the driver is installed.
const ATTRIBUTES: &str = "*.mvc text eol=lf merge=mvc";

/// Brings all blocks in line with `mvc.toml`; the files of the work tree that changed.
pub fn refresh(ws: &Workspace, config: &Config) -> Result<Vec<RepoPath>> {
    let ignored = ignored(config);
    let mut changed = Vec::new();
    for (name, lines) in [
        (".gitignore", &ignored),
        (".gitattributes", &vec![ATTRIBUTES.to_owned()]),
    ] {
        let path = RepoPath::new(name)?;
        if set(ws, &ws.on_disk(&path), lines)? {
            changed.push(path);
        }
    }
    set(
        ws,
        &ws.repo().common_dir().join("info").join("exclude"),
        &ignored,
    )?;
    Ok(changed)
}

/// The ignore rules: every tracked pattern as it stands, then what must stay visible to git.
fn ignored(config: &Config) -> Vec<String> {
    let mut lines = config.track.clone();
    // A suite's data is no model; it lies in git, or wherever else its owner keeps it, but not with mvc.
    lines.extend(
        config
            .eval
            .values()
            .map(|suite| format!("!/{}", escape(&suite.data))),
    );
    lines.push(format!("{TEMP_PREFIX}*"));
    lines.dedup();
    lines
}

/// A path as a gitignore pattern that matches it and nothing else.
pub fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    if let Some(trimmed) = out.strip_suffix(' ') {
        out = format!("{trimmed}\\ ");
    }
    out
}

fn set(ws: &Workspace, path: &Path, lines: &[String]) -> Result<bool> {
    if let Ok(stat) = path.symlink_metadata()
        && !stat.is_file()
    {
        let message = format!("{} is not a regular file", path.display());
        return Err(super::Error::refused(Kind::BadInput, message));
    }
    let tried = || format!("cannot keep the block of mvc in {}", path.display());
    let old = fs::read_if_present(path, LIMIT)?;
    let text = String::from_utf8_lossy(old.as_deref().unwrap_or_default()).into_owned();
    if old
        .as_ref()
        .is_some_and(|old| old.as_slice() != text.as_bytes())
    {
        return Err(super::Error::refused(
            Kind::BadInput,
            format!("{} is not UTF-8 text", path.display()),
        ));
    }
    let new = block::set_block(&text, lines).during(tried)?;
    if new == text {
        return Ok(false);
    }
    ws.fs().replace(path, new.as_bytes(), 0o644)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suite_data_stays_visible_and_paths_match_themselves_alone() {
        let text = "track = ['*.safetensors']\n[eval.e]\ntask = 'regression'\ndata = 'a[1].safetensors'\n\
                    input = 'x'\ntarget = 'y'";
        let config = Config::parse(text.as_bytes()).expect("good");
        assert_eq!(
            ignored(&config),
            ["*.safetensors", "!/a\\[1\\].safetensors", ".mvc-tmp-*"]
        );
    }
}
