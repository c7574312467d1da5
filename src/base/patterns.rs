//! Patterns: gitignore's for files, globs for tensor names.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

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
pub struct FilePatterns {
    all: Gitignore,
    /// The folders that patterns name on the way to what they pick: `/a/` of `/a/*.pth`.
    named: Gitignore,
    /// The folders on that way that are any folder below a named one: `/a/**/` of `/a/**/*.pth`.
    below: Gitignore,
}

/// How patterns lead into a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// They name it.
    Named,
    /// It is one of the many below a folder that they name.
    Below,
}

impl FilePatterns {
    /// Reads patterns as lines of a `.gitignore` at the top of the work tree.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let top = || {
            let mut builder = GitignoreBuilder::new("");
            // Git never matches a class without an end, and the library would read its letters.
            builder.allow_unclosed_class(false);
            builder
        };
        let (mut all, mut named, mut below) = (top(), top(), top());
        let add = |builder: &mut GitignoreBuilder, pattern: &str, line: &str| {
            let added = builder.add_line(None, &plain_braces(line));
            added.map_err(|e| PatternError::new(pattern, e)).map(drop)
        };
        for pattern in patterns {
            add(&mut all, pattern, pattern)?;
            for folder in ways(pattern) {
                let kind = match folder.ends_with("/**/") {
                    true => &mut below,
                    false => &mut named,
                };
                add(kind, pattern, &folder)?;
            }
        }
        let build = |builder: GitignoreBuilder| builder.build();
        let built = (|| {
            Ok(Self {
                all: build(all)?,
                named: build(named)?,
                below: build(below)?,
            })
        })();
        built.map_err(|e: ignore::Error| PatternError::new("", e))
    }

    /// True if there is no pattern that could pick a file.
    pub fn pick_nothing(&self) -> bool {
        self.all.num_ignores() == 0
    }

    /// True if the patterns pick this file.
    pub fn matches(&self, path: &RepoPath) -> bool {
        self.all
            .matched_path_or_any_parents(path.as_str(), false)
            .is_ignore()
    }

    /// Whether the patterns pick a file or folder by its own path; `None` where none matches it, so that the folder
    /// around it decides.
    pub fn decide(&self, path: &str, is_folder: bool) -> Option<bool> {
        match self.all.matched(path, is_folder) {
            ignore::Match::None => None,
            found => Some(found.is_ignore()),
        }
    }

    /// How a pattern with folders in it leads into this one, if any does. One without picks files in every folder,
    /// and leads into none.
    pub fn lead_into(&self, folder: &str) -> Option<Lead> {
        if self.named.matched(folder, true).is_ignore() {
            return Some(Lead::Named);
        }
        let below = self.below.matched(folder, true).is_ignore();
        below.then_some(Lead::Below)
    }
}

/// The folders that a pattern names before its last name, each as a pattern: `/a/` and `/a/b*/` of `a/b*/c`.
fn ways(pattern: &str) -> Vec<String> {
    let line = pattern.trim_end().trim_end_matches('/');
    if line.starts_with(['!', '#']) {
        return Vec::new();
    }
    let names: Vec<&str> = line.trim_start_matches('/').split('/').collect();
    let folders = names.len().saturating_sub(1);
    (1..=folders)
        .map(|count| &names[..count])
        // A leading `**` is every folder there is.
        .filter(|way| way.iter().any(|name| *name != "**"))
        .map(|way| format!("/{}/", way.join("/")))
        .collect()
}

/// A gitignore pattern for the glob library, which reads `{a,b}` as a choice where git sees letters.
fn plain_braces(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(rest.next());
            }
            '[' => {
                // In a class both see letters; it ends at the first `]` that is not its first member.
                let text = rest.as_str();
                let members = text.trim_start_matches(['!', '^']);
                let first = text.len() - members.len() + usize::from(members.starts_with(']'));
                let end = text[first..].find(']').map_or(text.len(), |at| first + at);
                out.push(c);
                out.push_str(&text[..end]);
                rest = text[end..].chars();
            }
            '{' | '}' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// True if a pattern has a choice as in `*.{pt,pth}`, which shells and other tools know, and git does not.
pub fn has_choice(pattern: &str) -> bool {
    let (mut rest, mut open, mut comma) = (pattern.chars(), false, false);
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '{' => (open, comma) = (true, false),
            ',' => comma = open,
            '}' if comma => return true,
            _ => {}
        }
    }
    false
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
    fn braces_are_letters_as_they_are_to_git() {
        let hit = |pattern, path| {
            let patterns = FilePatterns::new([pattern]).expect("good");
            patterns.matches(&RepoPath::new(path).expect("good"))
        };
        assert!(hit("*.{pt,pth}", "a.{pt,pth}") && !hit("*.{pt,pth}", "a.pt"));
        assert!(hit("/{x}.pt", "{x}.pt") && hit("a}.pt", "a}.pt"));
        assert!(hit("\\{x.pt", "{x.pt") && hit("[{x].pt", "{.pt"));
        assert!(hit("[]{].pt", "{.pt") && !hit("[]{].pt", "\\.pt"));
        assert!(has_choice("*.{pt,pth}") && !has_choice("{x}.pt") && !has_choice("a{,.pt"));
        assert!(!has_choice("\\{a,b}") && !has_choice("a},{b.pt"));
    }

    #[test]
    fn patterns_lead_into_the_folders_that_they_name() {
        let lead = |pattern, folder| {
            FilePatterns::new([pattern])
                .expect("good")
                .lead_into(folder)
        };
        assert_eq!(lead("out/*.pth", "out"), Some(Lead::Named));
        assert_eq!(lead("out/*.pth", "out/deep"), None);
        assert_eq!(lead("/o*/deep/x.pth", "out/deep"), Some(Lead::Named));
        assert_eq!(lead("out/**/x.pth", "out"), Some(Lead::Named));
        assert_eq!(lead("out/**/x.pth", "out/a/b"), Some(Lead::Below));
        assert_eq!(lead("**/run/x.pth", "venv"), None);
        assert_eq!(lead("**/run/x.pth", "deep/run"), Some(Lead::Named));
        for everywhere in ["*.pth", "**/*.pth", "/x.pth", "out/", "!out/*.pth"] {
            assert_eq!(lead(everywhere, "out"), None, "{everywhere}");
        }
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
