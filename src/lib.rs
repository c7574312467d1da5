//! `mvc`: Git for model weights.

pub mod base;
