//! What may be done for one chunk.
//!
//! A chunk may need several chunks of its bases, each of these several of theirs, and so on. What a writer in good
//! order makes of that stays far below the limit here; without one, a few kilobytes of malice would be hours of work.

/// The most bytes that may be decoded for one chunk, that may be decoded in vain, and that records may have which are
/// opened for it.
pub(super) const MOST: u64 = 1 << 30;

/// What a chunk of a base costs beside its bytes, and a record.
const EACH: u64 = 64 << 10;

/// What it counts to decode a chunk for another, of so many bytes with the tables of its record.
pub(super) fn cost(bytes: u64) -> u64 {
    bytes + EACH
}

/// Counts what is decoded and opened for others.
#[derive(Default)]
pub(super) struct Work {
    done: u64,
    /// What `done` was when the chunk was begun, and what has not to count of it.
    begun: u64,
    /// What was decoded for this chunk of copies that turned out bad.
    wasted: u64,
    opened: u64,
}

impl Work {
    /// A chunk is read that nothing depends on.
    pub(super) fn begin(&mut self) {
        self.begun = self.done;
        self.wasted = 0;
        self.opened = 0;
    }

    /// All that was counted, over many chunks.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// A chunk of so many bytes is to be decoded. False where it is too much.
    pub(super) fn decode(&mut self, bytes: u64) -> bool {
        self.done += cost(bytes);
        self.done - self.begun <= MOST
    }

    /// A record of so many bytes is to be read. False where it is too much.
    pub(super) fn open(&mut self, bytes: u32) -> bool {
        self.opened += cost(u64::from(bytes));
        self.opened <= MOST
    }

    /// What was decoded since `done` was this turned out to be in vain: what is tried instead has as much room as that
    /// had. False where that was too often.
    pub(super) fn waste(&mut self, since: u64) -> bool {
        let wasted = self.done - since.max(self.begun);
        self.begun += wasted;
        self.wasted += wasted;
        self.wasted <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u64 = MOST / 4 - EACH;

    #[test]
    fn a_chunk_has_its_room_and_no_more() {
        let mut work = Work::default();
        for _ in 0..2 {
            assert!((0..4).all(|_| work.decode(STEP)));
            assert!(!work.decode(0));
            work.begin();
        }
        assert_eq!(work.done(), 2 * (MOST + EACH));
        assert!((0..4).all(|_| work.open(STEP as u32)));
        assert!(!work.open(0));
        work.begin();
        assert!(work.open(0));
    }

    #[test]
    fn what_was_in_vain_leaves_room_for_what_is_tried_instead_but_not_for_ever() {
        let mut work = Work::default();
        assert!(work.decode(STEP));
        for _ in 0..2 {
            let since = work.done();
            assert!((0..2).all(|_| work.decode(STEP)));
            assert!(work.waste(since));
        }
        assert!((0..3).all(|_| work.decode(STEP)));
        let since = work.done();
        assert!(!work.decode(0));
        assert!(!work.waste(since));
        work.begin();
        let since = work.done();
        assert!(work.decode(STEP) && work.waste(since));
    }
}
