//! Manifests to text.

use std::fmt::Write;

use super::group::group_of;
use super::{
    Format, MAX_INLINE, MAX_INLINE_TEXT, Manifest, Segment, Sidecar, Storage, Stored, Tensor,
    VERSION,
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
    /// as a text that names an object.
    pub fn render(&self) -> Rendered {
        let body = self.body();
        let count = self.count();
        if count <= MAX_INLINE && body.len() <= MAX_INLINE_TEXT {
            let text = first_line(self.format) + &body;
            return Rendered { text, body: None };
        }
        let stored = Stored {
            format: self.format,
            count: count as u64,
            id: ObjectId::of(body.as_bytes()),
        };
        Rendered {
            text: Sidecar::Stored(stored).to_text(),
            body: Some(body.into_bytes()),
        }
    }

    /// The lines after the first.
    pub(super) fn body(&self) -> String {
        let mut out = String::with_capacity(160 * self.segments.len());
        let mut group = "";
        for segment in &self.segments {
            let name = match segment {
                Segment::Literal { .. } => None,
                Segment::Tensor(tensor) => Some(&tensor.name),
                Segment::Storage(storage) => storage.views.first().map(|view| &view.name),
            };
            if let Some(next) = name.map(|name| group_of(name))
                && next != group
            {
                group = next;
                out.push_str("group ");
                quote_into(&mut out, group);
                out.push('\n');
            }
            match segment {
                Segment::Literal { bytes, id } => {
                    // Writing to a string never fails.
                    let _ = writeln!(out, "literal {bytes} {id}");
                }
                Segment::Tensor(tensor) => write_tensor(&mut out, tensor),
                Segment::Storage(storage) => write_storage(&mut out, storage),
            }
        }
        out
    }
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
    for alias in &tensor.aliases {
        out.push_str("alias ");
        quote_into(out, alias);
        out.push(' ');
        quote_into(out, &tensor.name);
        out.push('\n');
    }
}

fn write_storage(out: &mut String, storage: &Storage) {
    write_head(out, "storage", &storage.key, &storage.dtype);
    let _ = writeln!(out, " {} {}", storage.bytes, storage.id);
    for view in &storage.views {
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
