//! Marked blocks.
