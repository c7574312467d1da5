//! `mvc`: Git for model weights.

pub mod base;
pub mod model;
pub mod repo;
pub mod eval;
pub mod cli;
pub mod store;
