//! One pack and its index: files that are written once, published by rename, and never changed.
//!
//! - a **pack** holds stored chunks, the record of each object behind its chunks, a directory of the records
//!   and a hash of the whole, which is also the pack's name;
//! - an **index** repeats the directory with what makes looking up fast. It can be rebuilt from the pack.

mod handles;
mod index;
mod reader;
mod writer;

#[cfg(any(test, feature = "fuzzing"))]
pub(super) use handles::Which;
pub(super) use handles::{Handle, Handles};
pub(super) use index::{Entry, Problem, Table, read_footer, rebuild};
pub(super) use reader::Pack;
pub(super) use writer::{Durable, Mark, PackWriter, Sealed};
