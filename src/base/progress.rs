//! How long work tells how far it is, and learns that it should stop.

/// What a [`Progress`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, shown with a rate.
    Bytes,
    /// Things: tensors, files, rows.
    Items,
}

/// A listener to long work. Calls come from several threads at once and must be cheap.
pub trait Progress: Send + Sync {
    /// A stage begins: its name in a word or two ("hashing", "writing"), and its total where it is known.
    fn begin(&self, stage: &str, unit: Unit, total: Option<u64>);

    /// So much more of the stage is done.
    fn advance(&self, amount: u64);

    /// The stage is over.
    fn end(&self);

    /// True once the user wants to stop; work ends with an error of kind `Cancelled` at its next chunk.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Listens to nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _stage: &str, _unit: Unit, _total: Option<u64>) {}
    fn advance(&self, _amount: u64) {}
    fn end(&self) {}
}
