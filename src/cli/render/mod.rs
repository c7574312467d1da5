//! How reports look as text: one file per report, on top of these.
//!
//! A renderer gets a [`Ui`](super::ui::Ui) and a report and prints lines and tables; it never formats colours
//! itself, and whatever it prints is made printable on the way.

pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod eval;
pub(crate) mod files;
pub(crate) mod gc;
pub(crate) mod history;
pub mod number;
pub(crate) mod refs;
mod repack;
pub(crate) mod status;
pub mod table;
pub(crate) mod why;

pub use table::{Cell, Table};
