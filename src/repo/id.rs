//! Names of git's own objects: SHA-1 or SHA-256, never to be mixed with mvc's object ids.

macro_rules! git_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(gix::ObjectId);

        impl $name {
            /// Reads exactly 40 or 64 lower-case hex digits.
            pub fn from_hex(text: &str) -> Option<Self> {
                let lower = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
                lower.then(|| gix::ObjectId::from_hex(text.as_bytes()).ok().map(Self)).flatten()
            }

            /// The first ten digits, for people.
            pub fn short(&self) -> String {
                self.0.to_hex_with_len(10).to_string()
            }

            pub(in crate::repo) fn new(id: gix::ObjectId) -> Self {
                Self(id)
            }

            pub(in crate::repo) fn git(&self) -> gix::ObjectId {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }
    };
}

git_id! {
    /// The name of a commit in git, printed as 40 or 64 lower-case hex digits.
    CommitId
}

git_id! {
    /// The name of a file's content in git, printed as 40 or 64 lower-case hex digits.
    BlobId
}

/// The hash that a repository names its objects by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectFormat {
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
}

impl ObjectFormat {
    pub(super) fn git(self) -> gix::hash::Kind {
        match self {
            Self::Sha1 => gix::hash::Kind::Sha1,
            Self::Sha256 => gix::hash::Kind::Sha256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_read() {
        let sha1 = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        assert_eq!(
            CommitId::from_hex(sha1).map(|id| id.to_string()),
            Some(sha1.into())
        );
        assert_eq!(CommitId::from_hex(&sha1.to_uppercase()), None);
        assert_eq!(CommitId::from_hex(&sha1[1..]), None);
        assert_eq!(
            CommitId::from_hex(&"0a".repeat(32)).map(|id| id.short()),
            Some("0a0a0a0a0a".into())
        );
    }
}
