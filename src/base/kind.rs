//! What an error means to the person who meets it, and the exit code that a script sees.

/// The meaning of an error: one exit code each, listed in `docs/errors.md`.
///
/// Every module's error enum maps its variants to a kind in a match without a wildcard arm, so that a new
/// variant does not compile until somebody has decided what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The answer to the question is no: it differs, fails its tolerance, has nothing to commit.
    No,
    /// The command line asks for something that makes no sense.
    Usage,
    /// Two measurements cannot be compared: never a pass.
    CannotCompare,
    /// There is no repository here, or not of the sort that is needed.
    NotARepository,
    /// A revision, path, tensor, model or suite of that name does not exist.
    NotFound,
    /// Going on would overwrite or delete something that is not recorded anywhere.
    WouldOverwrite,
    /// Objects that a version needs are not in the store.
    Missing,
    /// Stored bytes are not what their name says.
    Damaged,
    /// An input file is malformed, truncated or hostile.
    BadInput,
    /// Well-formed, but written by a newer mvc or of a sort that this build does not do.
    Unsupported,
    /// A merge left conflict markers, or two sides disagree.
    Conflict,
    /// A file changed while it was being read.
    Changed,
    /// `mvc.toml` says something that cannot be followed.
    Config,
    /// The `git` program refused or failed.
    Git,
    /// Another process holds what this one needs.
    Busy,
    /// The disk is full, read-only, failing, or permission is missing.
    Io,
    /// The user asked to stop.
    Cancelled,
    /// mvc contradicts itself: a bug worth reporting.
    Bug,
}

impl Kind {
    /// All kinds, in the order of their exit codes.
    pub const ALL: [Kind; 18] = [
        Kind::No,
        Kind::Usage,
        Kind::CannotCompare,
        Kind::NotARepository,
        Kind::NotFound,
        Kind::WouldOverwrite,
        Kind::Missing,
        Kind::Damaged,
        Kind::BadInput,
        Kind::Unsupported,
        Kind::Conflict,
        Kind::Changed,
        Kind::Config,
        Kind::Git,
        Kind::Busy,
        Kind::Io,
        Kind::Bug,
        Kind::Cancelled,
    ];

    /// The process exit code that stands for this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::No => 1,
            Kind::Usage => 2,
            Kind::CannotCompare => 3,
            Kind::NotARepository => 4,
            Kind::NotFound => 5,
            Kind::WouldOverwrite => 6,
            Kind::Missing => 7,
            Kind::Damaged => 8,
            Kind::BadInput => 9,
            Kind::Unsupported => 10,
            Kind::Conflict => 11,
            Kind::Changed => 12,
            Kind::Config => 13,
            Kind::Git => 14,
            Kind::Busy => 15,
            Kind::Io => 16,
            Kind::Bug => 70,
            Kind::Cancelled => 130,
        }
    }

    /// The name that `--json` prints and the docs list.
    pub fn name(self) -> &'static str {
        match self {
            Kind::No => "no",
            Kind::Usage => "usage",
            Kind::CannotCompare => "cannot-compare",
            Kind::NotARepository => "not-a-repository",
            Kind::NotFound => "not-found",
            Kind::WouldOverwrite => "would-overwrite",
            Kind::Missing => "missing",
            Kind::Damaged => "damaged",
            Kind::BadInput => "bad-input",
            Kind::Unsupported => "unsupported",
            Kind::Conflict => "conflict",
            Kind::Changed => "changed",
            Kind::Config => "config",
            Kind::Git => "git",
            Kind::Busy => "busy",
            Kind::Io => "io",
            Kind::Bug => "bug",
            Kind::Cancelled => "cancelled",
        }
    }

    /// What it means, in one line for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Kind::No => "the answer is no: differs, below tolerance, damaged, nothing to commit",
            Kind::Usage => "the command line makes no sense",
            Kind::CannotCompare => "a measurement cannot be compared with its claim",
            Kind::NotARepository => "not in a git repository, or not one with a work tree",
            Kind::NotFound => "no such revision, path, tensor, model or suite",
            Kind::WouldOverwrite => "uncommitted weights or files are in the way",
            Kind::Missing => "objects that this version needs are not in the store",
            Kind::Damaged => "stored bytes are not what their name says",
            Kind::BadInput => "an input file is malformed, truncated or hostile",
            Kind::Unsupported => "written by a newer mvc, or beyond this build",
            Kind::Conflict => "a merge left conflicts",
            Kind::Changed => "a file changed while it was read",
            Kind::Config => "mvc.toml cannot be followed",
            Kind::Git => "the git program refused or failed",
            Kind::Busy => "another process holds what is needed",
            Kind::Io => "the disk is full, read-only or failing, or permission is missing",
            Kind::Bug => "mvc contradicts itself; please report it",
            Kind::Cancelled => "interrupted",
        }
    }
}

/// An error that knows what it means and what its reader could do next.
///
/// Texts are lower case, without a final full stop and without advice; advice is the hint.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// What the error means.
    fn kind(&self) -> Kind;

    /// What to type next, where there is something.
    fn hint(&self) -> Option<String> {
        None
    }
}
