//! Manifests to text.

use std::fmt::Write;

use super::error::{ManifestError, Result};
use super::group::group_of;
use super::{
    Format, MAX_BODY, MAX_INLINE, MAX_INLINE_TEXT, Manifest, Segment, Sidecar, Storage, Stored,
    Tensor, VERSION, View,
};
use crate::base::text::quote_into;
use crate::base::{Dtype, ObjectId};

/// A manifest as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The sidecar file.
    pub text: String,
    /// The bytes of the object that the text refers to, where the list is too long for git.
    pub body: Option<Vec<u8>>,
}

impl Manifest {
    /// The whole manifest as one text, however long.
    pub fn to_text(&self) -> String {
        let mut text = first_line(self.format);
        text.push_str(&self.body());
        text
    }

    /// The manifest as it is kept: as one text, or above [`MAX_INLINE`] tensors or [`MAX_INLINE_TEXT`] bytes
    /// as a text that names an object. Fails where no reader would take it.
    pub fn render(&self) -> Result<Rendered> {
        self.check_length()?;
        let body = self.body();
        let count = self.count();
        if !is_long(count, body.len()) {
            let text = first_line(self.format) + &body;
            return Ok(Rendered { text, body: None });
        }
        let stored = Stored {
            format: self.format,
            count: count as u64,
            id: ObjectId::of(body.as_bytes()),
        };
        Ok(Rendered {
            text: Sidecar::Stored(stored).to_text(),
            body: Some(body.into_bytes()),
        })
    }

    /// Fails where the list would be longer than is read. Names are repeated in it, so that a file which is short
    /// may have a list that is not; it is only counted here.
    pub(crate) fn check_length(&self) -> Result<()> {
        let mut bytes = 0;
        let whole = self.each_line(&mut |line| {
            bytes += line.len();
            bytes <= MAX_BODY
        });
        match whole {
            true => Ok(()),
            false => Err(ManifestError::LongList),
        }
    }

    /// The lines after the first.
    pub(super) fn body(&self) -> String {
        let mut out = String::with_capacity(160 * self.segments.len());
        self.each_line(&mut |line| {
            out.push_str(line);
            true
        });
        out
    }

    /// Gives the lines after the first to `take`, one by one and with their ends, until it says false. True if it
    /// took them all.
    fn each_line(&self, take: &mut dyn FnMut(&str) -> bool) -> bool {
        let mut line = String::new();
        let mut group = "";
        self.segments.iter().all(|segment| {
            let name = match segment {
                Segment::Literal { .. } => None,
                Segment::Tensor(tensor) => Some(&tensor.name),
                Segment::Storage(storage) => storage.views.first().map(|view| &view.name),
            };
            line.clear();
            if let Some(next) = name.map(|name| group_of(name))
                && next != group
            {
                group = next;
                line.push_str("group ");
                quote_into(&mut line, group);
                line.push('\n');
            }
            match segment {
                Segment::Literal { bytes, id } => {
                    // Writing to a string never fails.
                    let _ = writeln!(line, "literal {bytes} {id}");
                    take(&line)
                }
                Segment::Tensor(tensor) => {
                    write_tensor(&mut line, tensor);
                    take(&line)
                        && tensor.aliases.iter().all(|alias| {
                            line.clear();
                            write_alias(&mut line, alias, &tensor.name);
                            take(&line)
                        })
                }
                Segment::Storage(storage) => {
                    write_storage(&mut line, storage);
                    take(&line)
                        && storage.views.iter().all(|view| {
                            line.clear();
                            write_view(&mut line, view);
                            take(&line)
                        })
                }
            }
        })
    }
}

/// True where a list of so many names in so many bytes lies in the store.
pub(super) fn is_long(count: usize, bytes: usize) -> bool {
    count > MAX_INLINE || bytes > MAX_INLINE_TEXT
}

impl Sidecar {
    /// The text of a sidecar, whatever it holds.
    pub fn to_text(&self) -> String {
        match self {
            Sidecar::Inline(manifest) => manifest.to_text(),
            Sidecar::Stored(stored) => {
                let first = first_line(stored.format);
                format!("{first}tensors {} {}\n", stored.count, stored.id)
            }
        }
    }
}

fn first_line(format: Format) -> String {
    format!("mvc {VERSION} {format}\n")
}

fn write_tensor(out: &mut String, tensor: &Tensor) {
    write_head(out, "tensor", &tensor.name, &tensor.dtype);
    out.push(' ');
    write_shape(out, &tensor.shape);
    let _ = writeln!(out, " {} {}", tensor.bytes, tensor.id);
}

fn write_alias(out: &mut String, alias: &str, name: &str) {
    out.push_str("alias ");
    quote_into(out, alias);
    out.push(' ');
    quote_into(out, name);
    out.push('\n');
}

fn write_storage(out: &mut String, storage: &Storage) {
    write_head(out, "storage", &storage.key, &storage.dtype);
    let _ = writeln!(out, " {} {}", storage.bytes, storage.id);
}

fn write_view(out: &mut String, view: &View) {
    write_head(out, "view", &view.name, &view.dtype);
    out.push(' ');
    write_shape(out, &view.shape);
    let _ = write!(out, " {} ", view.offset);
    match view.strides.is_empty() {
        true => out.push('-'),
        false => write_list(out, &view.strides, ','),
    }
    let _ = writeln!(out, " {}", view.id);
}

fn write_head(out: &mut String, kind: &str, name: &str, dtype: &Dtype) {
    out.push_str(kind);
    out.push(' ');
    quote_into(out, name);
    out.push(' ');
    out.push_str(dtype.name());
}

/// A shape in words: `30522x384`, and `scalar` for no dimension.
pub(crate) fn write_shape(out: &mut String, shape: &[u64]) {
    match shape.is_empty() {
        true => out.push_str("scalar"),
        false => write_list(out, shape, 'x'),
    }
}

fn write_list(out: &mut String, numbers: &[u64], between: char) {
    for (i, number) in numbers.iter().enumerate() {
        if i > 0 {
            out.push(between);
        }
        let _ = write!(out, "{number}");
    }
}
