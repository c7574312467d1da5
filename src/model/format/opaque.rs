//! Files that are just bytes: one literal.

use super::tiling::Tiling;
use crate::model::manifest::{Format, Manifest, Segment};

/// The tiling of any file of this length.
pub(super) fn scan(len: u64) -> Tiling {
    let segments = match len {
        0 => Vec::new(),
        bytes => vec![Segment::Literal {
            bytes,
            id: super::tiling::UNKNOWN,
        }],
    };
    Tiling::new(Manifest {
        format: Format::Opaque,
        segments,
    })
}
