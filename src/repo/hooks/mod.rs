//! Hook scripts.
