//! The environment variables that git and its hooks are steered by, captured once and handed on by hand.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// Set on every git that mvc starts, so that mvc's own hook lines end at once inside it.
pub const INSIDE: &str = "MVC_INSIDE";

/// Set by a user who wants git without mvc's hooks for once.
pub const SKIP_HOOKS: &str = "MVC_SKIP_HOOKS";

/// A copy of the environment. Nothing else in this folder reads the process's own, so that tests and servers can
/// give every repository its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The environment that this process was started in.
    pub fn from_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
        }
    }

    /// An environment without any variable.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The same with one variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The same with one variable unset.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(OsStr::new(name));
        self
    }

    /// A variable's value; an empty one counts as unset, as it does for most of git's own.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// True inside a git that mvc itself started: a hook returns at once.
    pub fn is_inside_mvc(&self) -> bool {
        self.get(INSIDE).is_some()
    }

    /// True where the user switched mvc's hooks off.
    pub fn skips_hooks(&self) -> bool {
        self.get(SKIP_HOOKS).is_some()
    }

    /// The folders of `PATH` that are absolute, in order: a relative one would find what lies in a work tree.
    pub fn search_path(&self) -> Vec<PathBuf> {
        self.get("PATH").map_or_else(Vec::new, |path| {
            std::env::split_paths(path)
                .filter(|folder| folder.is_absolute())
                .collect()
        })
    }

    /// Gives a command this environment and no other.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env_clear().envs(&self.variables);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_folders_are_not_searched() {
        let environment = Environment::empty().with("PATH", ".:/usr/bin::bin:/bin");
        assert_eq!(
            environment.search_path(),
            [PathBuf::from("/usr/bin"), "/bin".into()]
        );
        assert!(Environment::empty().search_path().is_empty());
        assert!(Environment::empty().with(INSIDE, "1").is_inside_mvc());
        assert!(!Environment::empty().with(INSIDE, "").is_inside_mvc());
    }
}
