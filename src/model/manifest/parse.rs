//! Text to manifests.

use super::error::{ManifestError, Result};
use super::write::is_long;
use super::{
    Format, MAX_BODY, MAX_RANK, MAX_TENSORS, MAX_TEXT, Manifest, Segment, Sidecar, Storage, Stored,
    Tensor, VERSION, View,
};
use crate::base::text::{conflict_marker, printable};
use crate::base::{Dtype, ObjectId};

impl Manifest {
    /// Reads a sidecar's text, accepting only the form that mvc writes.
    ///
    /// Conflict markers, rewritten line ends, and lines of a newer mvc are errors of their own.
    pub fn parse(text: &[u8]) -> Result<Sidecar> {
        let text = readable(text, MAX_TEXT)?;
        let (first, body) = text.split_once('\n').unwrap_or((text, ""));
        let format = parse_first(first)?;
        if body.starts_with("tensors ") {
            return parse_stored(format, body, text).map(Sidecar::Stored);
        }
        let manifest = Self::from_lines(format, body, 2)?;
        let written = manifest.to_text();
        match first_difference(text, &written) {
            Some(line) => Err(ManifestError::NotCanonical { line }),
            None if is_long(manifest.count(), body.len()) => Err(ManifestError::Inline),
            None => Ok(Sidecar::Inline(manifest)),
        }
    }

    /// Reads a list that lies in the store: the bytes of the object that `stored` names. A list that is short enough
    /// for git is none.
    pub fn parse_stored(stored: &Stored, body: &[u8]) -> Result<Manifest> {
        let body = readable(body, MAX_BODY)?;
        let manifest = Self::from_lines(stored.format, body, 1)?;
        if let Some(line) = first_difference(body, &manifest.body()) {
            return Err(ManifestError::NotCanonical { line });
        }
        match manifest.count() as u64 {
            found if found == stored.count => match is_long(manifest.count(), body.len()) {
                true => Ok(manifest),
                false => Err(ManifestError::Stored),
            },
            found => Err(ManifestError::Count {
                id: stored.id,
                count: stored.count,
                found,
            }),
        }
    }

    fn from_lines(format: Format, body: &str, first_line: usize) -> Result<Manifest> {
        let mut segments = Vec::new();
        for (i, text) in body.split_terminator('\n').enumerate() {
            let line = first_line + i;
            parse_line(text, line, &mut segments)?;
        }
        let manifest = Manifest { format, segments };
        manifest.validate()?;
        manifest.validate_ids()?;
        Ok(manifest)
    }
}

/// The text, once it is clear that it is text of mvc's own making and not what a merge or a checkout made of it.
fn readable(text: &[u8], limit: usize) -> Result<&str> {
    if text.len() > limit {
        return Err(ManifestError::TooLong { bytes: text.len() });
    }
    let text = std::str::from_utf8(text).map_err(|_| ManifestError::Encoding)?;
    if let Some(line) = conflict_marker(text) {
        return Err(ManifestError::Conflict { line });
    }
    match text.split('\n').position(|line| line.ends_with('\r')) {
        Some(i) => Err(ManifestError::LineEndings { line: i + 1 }),
        None => Ok(text),
    }
}

fn parse_first(line: &str) -> Result<Format> {
    let malformed = |problem| ManifestError::Malformed { line: 1, problem };
    let mut words = line.split(' ');
    if words.next() != Some("mvc") {
        return Err(malformed("does not begin with `mvc`"));
    }
    let version = words.next().ok_or(malformed("lacks the version"))?;
    let version = number(version).ok_or(malformed("has a version that is no number"))?;
    if version != VERSION {
        let what = format!("it has version {version}");
        return Err(ManifestError::Newer { what });
    }
    let name = words.next().ok_or(malformed("lacks the format"))?;
    let format = Format::parse(name).ok_or_else(|| ManifestError::Newer {
        what: format!("it has the format {:?}", printable(name)),
    })?;
    match words.next() {
        None => Ok(format),
        Some(_) => Err(malformed("has more words than a first line has")),
    }
}

fn parse_stored(format: Format, body: &str, text: &str) -> Result<Stored> {
    let line = body.strip_suffix('\n').unwrap_or(body);
    let mut fields = Fields {
        rest: line,
        line: 2,
    };
    fields.word()?;
    let count = fields.number()?;
    let id = fields.id()?;
    fields.end()?;
    if count > MAX_TENSORS {
        return Err(ManifestError::TooMany { count });
    }
    let stored = Stored { format, count, id };
    match first_difference(text, &Sidecar::Stored(stored).to_text()) {
        Some(line) => Err(ManifestError::NotCanonical { line }),
        None => Ok(stored),
    }
}

fn parse_line(text: &str, line: usize, segments: &mut Vec<Segment>) -> Result<()> {
    let malformed = |problem| Err(ManifestError::Malformed { line, problem });
    let mut fields = Fields { rest: text, line };
    let kind = fields.word()?;
    match kind {
        // Groups are for people and for merges; that they stand where they must is seen when the manifest is
        // written again.
        "group" => {
            fields.quoted()?;
        }
        "literal" => {
            let (bytes, id) = (fields.number()?, fields.id()?);
            match segments.last() {
                _ if bytes == 0 => return malformed("is a literal without bytes"),
                Some(Segment::Literal { .. }) => return malformed("is a second literal in a row"),
                _ => segments.push(Segment::Literal { bytes, id }),
            }
        }
        "tensor" => segments.push(Segment::Tensor(Tensor {
            name: fields.quoted()?,
            dtype: fields.dtype()?,
            shape: fields.shape()?,
            bytes: fields.number()?,
            id: fields.id()?,
            aliases: Vec::new(),
        })),
        "alias" => {
            let (name, target) = (fields.quoted()?, fields.quoted()?);
            match segments.last_mut() {
                Some(Segment::Tensor(tensor)) if tensor.name == target => tensor.aliases.push(name),
                _ => return malformed("is an alias of something other than the tensor before it"),
            }
        }
        "storage" => segments.push(Segment::Storage(Storage {
            key: fields.quoted()?,
            dtype: fields.dtype()?,
            bytes: fields.number()?,
            id: fields.id()?,
            views: Vec::new(),
        })),
        "view" => {
            let view = View {
                name: fields.quoted()?,
                dtype: fields.dtype()?,
                shape: fields.shape()?,
                offset: fields.number()?,
                strides: fields.strides()?,
                id: fields.id()?,
            };
            match segments.last_mut() {
                Some(Segment::Storage(storage)) => storage.views.push(view),
                _ => return malformed("is a view without a storage before it"),
            }
        }
        "" => return malformed("is empty or begins with a space"),
        _ => {
            let what = format!("line {line} is a {:?} line", printable(kind));
            return Err(ManifestError::Newer { what });
        }
    }
    fields.end()
}

/// The fields of a line, one space between them.
struct Fields<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Fields<'a> {
    fn malformed<T>(&self, problem: &'static str) -> Result<T> {
        let line = self.line;
        Err(ManifestError::Malformed { line, problem })
    }

    fn word(&mut self) -> Result<&'a str> {
        let (word, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
        self.rest = rest;
        Ok(word)
    }

    fn number(&mut self) -> Result<u64> {
        let word = self.word()?;
        number(word).map_or_else(|| self.malformed("has no number where one belongs"), Ok)
    }

    fn id(&mut self) -> Result<ObjectId> {
        let word = self.word()?;
        ObjectId::from_hex(word).map_or_else(|| self.malformed("has no id where one belongs"), Ok)
    }

    fn dtype(&mut self) -> Result<Dtype> {
        let word = self.word()?;
        Dtype::parse(word).map_or_else(|| self.malformed("has no dtype where one belongs"), Ok)
    }

    fn shape(&mut self) -> Result<Vec<u64>> {
        match self.word()? {
            "scalar" => Ok(Vec::new()),
            word => self.list(word, 'x', "has no shape where one belongs"),
        }
    }

    fn strides(&mut self) -> Result<Vec<u64>> {
        match self.word()? {
            "-" => Ok(Vec::new()),
            word => self.list(word, ',', "has no strides where they belong"),
        }
    }

    fn list(&self, word: &str, between: char, problem: &'static str) -> Result<Vec<u64>> {
        if word.matches(between).count() >= MAX_RANK {
            return self.malformed("has too many dimensions");
        }
        let numbers: Option<Vec<u64>> = word.split(between).map(number).collect();
        numbers.map_or_else(|| self.malformed(problem), Ok)
    }

    fn quoted(&mut self) -> Result<String> {
        let problem = "has no name in quotes where one belongs";
        let Some(inner) = self.rest.strip_prefix('"') else {
            return self.malformed(problem);
        };
        let mut escaped = false;
        let end = inner.bytes().position(|c| {
            let ends = c == b'"' && !escaped;
            escaped = c == b'\\' && !escaped;
            ends
        });
        let Some(end) = end else {
            return self.malformed(problem);
        };
        let (name, rest) = self.rest.split_at(end + 2);
        self.rest = match rest.strip_prefix(' ') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return self.malformed(problem),
        };
        serde_json::from_str(name).or_else(|_| self.malformed(problem))
    }

    fn end(&self) -> Result<()> {
        match self.rest.is_empty() {
            true => Ok(()),
            false => self.malformed("has more fields than a line of its kind"),
        }
    }
}

/// A number in digits alone, below 2^63.
fn number(word: &str) -> Option<u64> {
    let digits = !word.is_empty() && word.bytes().all(|c| c.is_ascii_digit());
    let number: Option<u64> = digits.then(|| word.parse().ok())?;
    number.filter(|number| *number <= i64::MAX as u64)
}

/// The first line, from 1, in which two texts differ.
fn first_difference(text: &str, written: &str) -> Option<usize> {
    if text == written {
        return None;
    }
    let pairs = text.split('\n').zip(written.split('\n'));
    let equal = pairs.take_while(|(a, b)| a == b).count();
    Some(equal + 1)
}
