//! Call stacks, captured now and symbolised later.
//!
//! A stack comes from the shadow stack that the instrumented functions keep.
//! Stacks of allocations are kept once each, in a table that only grows; a
//! [`StackId`] is an index into it.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

pub use crate::ids::StackId;
use crate::report::wire::{STACK_FRAMES, Stack};
use crate::rt::lock::SpinWord;
use crate::rt::sys;

/// Frames kept of a stack.
pub const FRAMES: usize = STACK_FRAMES;
/// Frames that the hash of a stack is made of.
const HASHED: usize = 8;
const BUCKETS: usize = 1 << 16;
const CHUNK_WORDS: usize = 1 << 16;
const CHUNKS: usize = 1 << 14;

/// First entry of each bucket's chain.
static TABLE: [AtomicU32; BUCKETS] = [const { AtomicU32::new(0) }; BUCKETS];
/// Entries: hash and length, number of the next, the frames.
static WORDS: [AtomicUsize; CHUNKS] = [const { AtomicUsize::new(0) }; CHUNKS];
static NEXT: AtomicU64 = AtomicU64::new(1);
static GROW: SpinWord = SpinWord::new();

fn word(index: u32) -> &'static AtomicU64 {
    &words(index, 1)[0]
}

/// The words from `index` on, as far as their chunk reaches.
#[inline]
fn words(index: u32, len: usize) -> &'static [AtomicU64] {
    let chunk = WORDS[index as usize / CHUNK_WORDS].load(Ordering::Acquire);
    let first = index as usize % CHUNK_WORDS;
    let len = len.min(CHUNK_WORDS - first);
    // SAFETY: an index that was given out lies in a chunk that is mapped for
    // good and touched only through atomics.
    unsafe { std::slice::from_raw_parts((chunk as *const AtomicU64).add(first), len) }
}

/// Room for `len` words that lie in one chunk; none if the table is full.
fn grow(len: usize) -> Option<u32> {
    GROW.lock();
    let mut next = NEXT.load(Ordering::Relaxed) as usize;
    if next % CHUNK_WORDS + len > CHUNK_WORDS {
        next = next.next_multiple_of(CHUNK_WORDS);
    }
    let chunk = &WORDS[(next / CHUNK_WORDS).min(CHUNKS - 1)];
    let mut ok = next / CHUNK_WORDS < CHUNKS;
    if ok && chunk.load(Ordering::Relaxed) == 0 {
        let memory = sys::map(CHUNK_WORDS * size_of::<u64>()) as usize;
        chunk.store(memory, Ordering::Release);
        ok = memory != 0;
    }
    if ok {
        NEXT.store((next + len) as u64, Ordering::Relaxed);
    }
    GROW.unlock();
    ok.then_some(next as u32)
}

/// The number of the stack that has `pc` innermost and the calls `frames`
/// (outermost first) around it; all are return addresses.
pub fn intern(pc: u64, frames: &[u64]) -> StackId {
    let kept = frames.len().min(FRAMES - 1);
    let all = || std::iter::once(pc).chain(frames.iter().rev().take(kept).copied());
    intern_frames(kept + 1, all)
}

/// The number of the stack of these return addresses, `len` in all, innermost
/// first.
#[inline]
pub fn intern_frames<I: Iterator<Item = u64>>(len: usize, frames: impl Fn() -> I) -> StackId {
    // The innermost tell most stacks apart; the search compares them all.
    let hash = frames().take(HASHED).fold(len as u64, |hash, pc| {
        (hash ^ pc)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    });
    let key = (hash << 8) | len as u64;
    let bucket = &TABLE[(hash >> 40) as usize % BUCKETS];
    let same = |entry: u32| {
        let entry = words(entry, 2 + len);
        entry[0].load(Ordering::Relaxed) == key
            && frames()
                .zip(&entry[2..])
                .all(|(pc, word)| word.load(Ordering::Relaxed) == pc)
    };
    let search = |from: u32| {
        let mut entry = from;
        while entry != 0 {
            if same(entry) {
                return Some(StackId(entry));
            }
            entry = word(entry + 1).load(Ordering::Relaxed) as u32;
        }
        None
    };
    let mut first = bucket.load(Ordering::Acquire);
    if let Some(found) = search(first) {
        return found;
    }
    let Some(entry) = grow(2 + len) else {
        return StackId(0);
    };
    word(entry).store(key, Ordering::Relaxed);
    for (pc, i) in frames().zip(2..) {
        word(entry + i).store(pc, Ordering::Relaxed);
    }
    loop {
        word(entry + 1).store(u64::from(first), Ordering::Relaxed);
        match bucket.compare_exchange(first, entry, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return StackId(entry),
            Err(now) => first = now,
        }
    }
}

/// The stack with this number, innermost first.
pub fn get(id: StackId) -> Stack {
    if id.0 == 0 {
        return Stack::new();
    }
    let len = word(id.0).load(Ordering::Relaxed) & 0xff;
    (0..len as u32)
        .map(|i| word(id.0 + 2 + i).load(Ordering::Relaxed) - 1)
        .collect()
}
