//! Decoders and parsers as functions of any bytes: what a fuzzer calls, and what tests call with bytes that were
//! damaged on purpose. Each layer lists its own; `tests/fuzz` has a program for each.

#[cfg(test)]
pub(crate) mod check;
#[cfg(test)]
pub(crate) mod limits;
#[cfg(test)]
mod mutate;
mod targets;

pub(crate) use targets::TARGETS;

/// One reader of bytes from elsewhere.
#[derive(Debug)]
pub struct Target {
    /// Its name: that of its program in `tests/fuzz` and of its folder in `tests/fuzz/seeds`.
    pub name: &'static str,
    /// Reads the bytes, whatever they are; true where they are accepted. Panics where what was read is not what it
    /// should be.
    pub run: fn(&[u8]) -> bool,
    /// The most memory that it may have at once for these bytes.
    pub memory: fn(&[u8]) -> usize,
}
