//! Patterns: gitignore's for files, globs for tensor names.

use super::kind::{Failure, Kind};
use super::path::RepoPath;
use super::text::printable;

/// A pattern that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the pattern {:?}", printable(pattern))]
pub struct PatternError {
    pattern: String,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl PatternError {
    fn new(pattern: &str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            pattern: pattern.to_owned(),
            source: Box::new(source),
        }
    }
}

impl Failure for PatternError {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}

/// An ordered list of gitignore patterns (<https://git-scm.com/docs/gitignore>): the last that matches a path
/// decides, and `!` takes a match back.
#[derive(Clone, Debug)]
pub struct FilePatterns(ignore::gitignore::Gitignore);

impl FilePatterns {
    /// Reads patterns as lines of a `.gitignore` at the top of the work tree.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let mut builder = ignore::gitignore::GitignoreBuilder::new("");
        for pattern in patterns {
            builder
                .add_line(None, pattern)
                .map_err(|e| PatternError::new(pattern, e))?;
        }
        builder
            .build()
            .map(Self)
            .map_err(|e| PatternError::new("", e))
    }

    /// True if the patterns pick this file.
    pub fn matches(&self, path: &RepoPath) -> bool {
        self.0
            .matched_path_or_any_parents(path.as_str(), false)
            .is_ignore()
    }
}

/// A glob over tensor names, where `*` also crosses dots: `encoder.*.weight`.
#[derive(Clone, Debug)]
pub struct TensorGlob(globset::GlobMatcher);

impl TensorGlob {
    /// Reads a glob: `*`, `?`, `[a-z]`, `{a,b}`.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let glob = globset::Glob::new(pattern).map_err(|e| PatternError::new(pattern, e))?;
        Ok(Self(glob.compile_matcher()))
    }

    /// True if the glob matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_match_as_in_a_gitignore() {
        let patterns = FilePatterns::new(["*.safetensors", "/top.pth", "!data/**"]).expect("good");
        let hit = |path| patterns.matches(&RepoPath::new(path).expect("good"));
        assert!(hit("a.safetensors") && hit("deep/er/a.safetensors") && hit("top.pth"));
        assert!(!hit("deep/top.pth") && !hit("data/eval.safetensors") && !hit("a.txt"));
    }

    #[test]
    fn a_star_crosses_the_dots_of_a_name() {
        let glob = TensorGlob::new("encoder.*.weight").expect("good");
        assert!(
            glob.matches("encoder.layer.0.query.weight")
                && !glob.matches("encoder.layer.0.query.bias")
        );
        assert!(TensorGlob::new("[").is_err());
    }
}
