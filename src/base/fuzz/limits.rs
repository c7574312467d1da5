//! How much memory one thread has at once: the allocator of all unit tests, which counts while it is asked to.
#![expect(unsafe_code, reason = "an allocator, which passes every call on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    /// Bytes that were allocated since counting began, less those that were freed.
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The most bytes that `act` had at once, and what it returned. What other threads allocate does not count.
pub(crate) fn counted<T>(act: impl FnOnce() -> T) -> (usize, T) {
    NOW.set(0);
    MOST.set(0);
    ON.set(true);
    let done = act();
    ON.set(false);
    (MOST.get().max(0) as usize, done)
}

fn add(bytes: isize) {
    if ON.get() {
        NOW.set(NOW.get() + bytes);
        MOST.set(MOST.get().max(NOW.get()));
    }
}

// SAFETY: every call goes to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller keeps to what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        // SAFETY: the caller keeps to what `alloc_zeroed` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: the caller keeps to what `dealloc` asks for.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size as isize - layout.size() as isize);
        // SAFETY: the caller keeps to what `realloc` asks for.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[test]
fn what_is_had_at_once_is_counted() {
    let (most, ()) = counted(|| {
        drop(vec![1u8; 1 << 20]);
        drop(vec![0u8; 3 << 20]);
    });
    assert_eq!(most, 3 << 20);
    let (most, kept) = counted(|| (vec![0u8; 1 << 10], vec![0u8; 1 << 10]));
    assert_eq!(most, 2 << 10);
    drop(kept);
    let (most, ()) = counted(|| {
        let mut grows = Vec::<u8>::with_capacity(1);
        grows.reserve_exact(1 << 16);
        grows.shrink_to(0);
        grows.reserve_exact(1 << 12);
    });
    assert_eq!(most, 1 << 16);
}
