//! Models in several files: the index that says which tensor lies where
//! (`model.safetensors.index.json`, as Hugging Face writes it), held against the files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::manifest::{MAX_TENSORS, Manifest};
use crate::base::path::PathError;
use crate::base::text::{printable, quote};
use crate::base::{Failure, Kind, RepoPath};

/// What the name of an index ends with.
pub const SUFFIX: &str = ".index.json";

/// The longest index that is read.
pub const LIMIT: u64 = 64 << 20;

/// An index that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Longer than any index.
    #[error("the index has {0} bytes, and at most {LIMIT} are read")]
    TooLong(u64),
    /// Not the JSON that an index is.
    #[error("the index cannot be read: {}", printable(&.0.to_string()))]
    Json(#[from] serde_json::Error),
    /// A file that is none beside the index.
    #[error("the index names a file that cannot be")]
    Path(#[from] PathError),
}

impl Failure for IndexError {
    fn kind(&self) -> Kind {
        match self {
            Self::TooLong(_) | Self::Json(_) | Self::Path(_) => Kind::BadInput,
        }
    }
}

/// What an index says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The bytes of all tensors together, where it says so.
    pub total_size: Option<u64>,
    /// Which file each tensor lies in, beside the index.
    pub weight_map: BTreeMap<String, RepoPath>,
}

impl Index {
    /// Reads an index. A tensor that is given twice is an error.
    pub fn parse(json: &[u8]) -> Result<Self, IndexError> {
        if json.len() as u64 > LIMIT {
            return Err(IndexError::TooLong(json.len() as u64));
        }
        let mut reader = serde_json::Deserializer::from_slice(json);
        let raw = IndexSeed.deserialize(&mut reader)?;
        reader.end()?;
        let checked = raw.1.into_iter().map(|(name, file)| {
            let path = RepoPath::new(&file)?;
            Ok((name, path))
        });
        Ok(Self {
            total_size: raw.0,
            weight_map: checked.collect::<Result<_, PathError>>()?,
        })
    }

    /// The files that it names, each once.
    pub fn files(&self) -> BTreeSet<&RepoPath> {
        self.weight_map.values().collect()
    }
}

/// A way in which shards and their index do not fit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// The index names a file that is not there.
    NoFile {
        /// The file.
        file: RepoPath,
    },
    /// A tensor is in no file.
    Missing {
        /// The tensor.
        name: String,
        /// Where the index has it.
        file: RepoPath,
    },
    /// A tensor is in another file than the index says.
    Elsewhere {
        /// The tensor.
        name: String,
        /// Where the index has it.
        file: RepoPath,
        /// Where it is.
        found: RepoPath,
    },
    /// A tensor that the index does not have.
    Extra {
        /// The tensor.
        name: String,
        /// Where it is.
        file: RepoPath,
    },
    /// A tensor that several files have.
    Duplicate {
        /// The tensor.
        name: String,
        /// Where it is.
        files: Vec<RepoPath>,
    },
    /// The tensors have another size than the index says: it belongs to other shards.
    Size {
        /// By the index.
        expected: u64,
        /// In truth.
        found: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile { file } => write!(f, "the index names {file}, which is not there"),
            Self::Missing { name, file } => {
                let name = quote(name);
                write!(f, "the tensor {name} is missing from {file}")
            }
            Self::Elsewhere { name, file, found } => {
                let name = quote(name);
                write!(f, "the tensor {name} lies in {found}, not in {file}")
            }
            Self::Extra { name, file } => {
                let name = quote(name);
                write!(f, "the tensor {name} in {file} is not in the index")
            }
            Self::Duplicate { name, files } => {
                let files: Vec<String> = files.iter().map(RepoPath::to_string).collect();
                let (name, files) = (quote(name), files.join(", "));
                write!(f, "the tensor {name} lies in several files: {files}")
            }
            Self::Size { expected, found } => {
                write!(
                    f,
                    "the tensors have {found} bytes, and the index says {expected}"
                )
            }
        }
    }
}

/// Holds an index against the files beside it, whose paths are given relative to it. The problems come in a
/// fixed order; none means that the shards are whole and belong together.
pub fn check(index: &Index, files: &[(RepoPath, &Manifest)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in index.files() {
        if !files.iter().any(|(path, _)| path == file) {
            let file = file.clone();
            problems.push(Problem::NoFile { file });
        }
    }
    let mut places: HashMap<String, Vec<&RepoPath>> = HashMap::new();
    let mut total = 0u64;
    for (path, manifest) in files {
        for entry in manifest.tensors() {
            let bytes = entry.dtype.bytes(&entry.shape);
            total = total.saturating_add(bytes.unwrap_or(entry.location.bytes));
            places.entry(entry.name).or_default().push(path);
        }
    }
    let names: BTreeSet<&String> = places.keys().chain(index.weight_map.keys()).collect();
    for name in names {
        let found = places.get(name).map_or(&[][..], Vec::as_slice);
        let name = name.clone();
        problems.extend(match (index.weight_map.get(&name), found) {
            (_, [_, _, ..]) => Some(Problem::Duplicate {
                name,
                files: found.iter().map(|path| (*path).clone()).collect(),
            }),
            (Some(file), []) => Some(Problem::Missing {
                name,
                file: file.clone(),
            }),
            (Some(file), [found]) => (file != *found).then(|| Problem::Elsewhere {
                name,
                file: file.clone(),
                found: (*found).clone(),
            }),
            (None, [file]) => Some(Problem::Extra {
                name,
                file: (*file).clone(),
            }),
            (None, []) => None,
        });
    }
    match index.total_size {
        Some(expected) if problems.is_empty() && expected != total => {
            let found = total;
            problems.push(Problem::Size { expected, found });
        }
        _ => {}
    }
    problems
}

/// Reads the whole index: the total size and the map.
struct IndexSeed;

impl<'de> DeserializeSeed<'de> for IndexSeed {
    type Value = (Option<u64>, BTreeMap<String, String>);

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IndexSeed {
    type Value = (Option<u64>, BTreeMap<String, String>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index of shards")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut total_size = None;
        let mut weight_map = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metadata" => {
                    total_size = map.next_value_seed(Field(Some("total_size")))?;
                }
                "weight_map" if weight_map.is_some() => {
                    return Err(A::Error::custom("weight_map is given twice"));
                }
                "weight_map" => weight_map = Some(map.next_value_seed(MapSeed)?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let weight_map = weight_map.ok_or_else(|| A::Error::missing_field("weight_map"))?;
        Ok((total_size, weight_map))
    }
}

/// Finds one whole number: the value itself, or that of a field of a table. Everything else is passed over as it is
/// read, so that a table of any size costs nothing.
struct Field(Option<&'static str>);

impl<'de> DeserializeSeed<'de> for Field {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.0.is_none().then_some(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            match self.0 == Some(key.as_str()) {
                true => found = map.next_value_seed(Self(None))?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Reads the map, each name once.
struct MapSeed;

impl<'de> DeserializeSeed<'de> for MapSeed {
    type Value = BTreeMap<String, String>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MapSeed {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from tensors to files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut files = BTreeMap::new();
        while let Some((name, file)) = map.next_entry::<String, String>()? {
            if files.len() as u64 >= MAX_TENSORS {
                return Err(A::Error::custom("more tensors than are read"));
            }
            if files.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{name:?} is given twice")));
            }
            files.insert(name, file);
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{manifest, safetensors};

    fn shard(name: &str) -> Manifest {
        let header = format!(r#"{{"{name}":{{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}}}"#);
        manifest(&safetensors(&header, &[1, 2]), "x.safetensors")
    }

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text).expect("good")
    }

    #[test]
    fn whole_shards_have_no_problem() {
        let json = br#"{"metadata":{"x":[[1],{"total_size":9}],"total_size":4},"weight_map":{"a":"1.st","b":"2.st"}}"#;
        let index = Index::parse(json).expect("well-formed");
        let (a, b) = (shard("a"), shard("b"));
        assert_eq!(check(&index, &[(path("1.st"), &a), (path("2.st"), &b)]), []);
        let mixed = Index {
            total_size: Some(8),
            ..index
        };
        let size = Problem::Size {
            expected: 8,
            found: 4,
        };
        assert_eq!(
            check(&mixed, &[(path("1.st"), &a), (path("2.st"), &b)]),
            [size]
        );
    }

    #[test]
    fn every_disagreement_is_named() {
        let json = br#"{"weight_map":{"a":"1.st","b":"2.st","c":"3.st","d":"1.st"}}"#;
        let index = Index::parse(json).expect("well-formed");
        let (a, b, x) = (shard("a"), shard("b"), shard("x"));
        let files = [
            (path("1.st"), &a),
            (path("2.st"), &a),
            (path("4.st"), &b),
            (path("5.st"), &x),
        ];
        let said: Vec<_> = check(&index, &files)
            .iter()
            .map(Problem::to_string)
            .collect();
        assert_eq!(
            said,
            [
                "the index names 3.st, which is not there",
                "the tensor \"a\" lies in several files: 1.st, 2.st",
                "the tensor \"b\" lies in 4.st, not in 2.st",
                "the tensor \"c\" is missing from 3.st",
                "the tensor \"d\" is missing from 1.st",
                "the tensor \"x\" in 5.st is not in the index",
            ]
        );
    }

    #[test]
    fn hostile_indexes_are_refused() {
        let cases: [(&[u8], &str); 6] = [
            (b"[]", "expected an index of shards"),
            (b"{}", "missing field `weight_map`"),
            (
                br#"{"weight_map":{"a":"x","a":"y"}}"#,
                "\"a\" is given twice",
            ),
            (
                br#"{"weight_map":{},"weight_map":{}}"#,
                "weight_map is given twice",
            ),
            (br#"{"weight_map":{"a":"../x"}}"#, "file that cannot be"),
            (br#"{"weight_map":{"a":"/x"}}"#, "file that cannot be"),
        ];
        for (json, words) in cases {
            let error = Index::parse(json).expect_err("hostile");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
