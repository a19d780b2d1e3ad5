//! The synchronisations of the last while, of all threads, in an order in
//! which each acquire comes after the release that it saw: a ring that all
//! write and that is read when two accesses are in question.
//!
//! A release is logged before others can acquire it, an acquire after it was
//! made; an entry has its place by one counter.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::replay::{Event, Object};
use crate::report::wire::ThreadId;
use crate::rt::sys;
use crate::shadow::word::Cell;

/// Entries kept.
const KEPT: usize = 1 << 16;

const ACQUIRES: u64 = 1 << 32;
const RELEASES: u64 = 1 << 33;

/// Of an entry: one more than its number, once it is written; who, and what
/// it did; the stamp; the object.
type Entry = [AtomicU64; 4];

/// The ring, once it is needed: not among the runtime's variables, since a
/// search for what is reachable must not find the addresses in it.
static LOG: OnceLock<&[Entry]> = OnceLock::new();
static IS_THERE: AtomicBool = AtomicBool::new(false);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Makes the ring, if there is none.
pub fn begin() {
    if is_there() {
        return;
    }
    LOG.get_or_init(|| {
        let words = sys::words(KEPT * 4).unwrap_or_else(|| {
            sys::fatal("out of memory for the log of synchronisations");
        });
        words.as_chunks().0
    });
    IS_THERE.store(true, Ordering::Release);
}

/// True if there is a ring.
#[inline]
pub fn is_there() -> bool {
    IS_THERE.load(Ordering::Relaxed)
}

fn entry(number: u64) -> Option<&'static Entry> {
    #[expect(clippy::cast_possible_truncation, reason = "the rest is below KEPT")]
    let at = (number % KEPT as u64) as usize;
    LOG.get()?.get(at)
}

/// Number of the next entry.
pub fn next() -> u64 {
    NEXT.load(Ordering::SeqCst)
}

/// Adds an entry.
pub fn add(event: Event) {
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let Some(entry) = entry(number) else { return };
    let does = u64::from(event.acquires) * ACQUIRES + u64::from(event.releases) * RELEASES;
    let [written, who, stamp, at] = entry;
    who.store(does | u64::from(event.who.0), Ordering::Relaxed);
    stamp.store(event.stamp.bits(), Ordering::Relaxed);
    at.store(event.at.bits(), Ordering::Relaxed);
    written.store(number + 1, Ordering::Release);
}

/// The entries from `first` on with their numbers, but for those that others are just writing,
/// whom nobody can have heard of. None if they are not all there any more.
pub fn since(first: u64) -> Option<Vec<(u64, Event)>> {
    let next = next();
    if next - first > KEPT as u64 / 2 {
        return None;
    }
    let mut events = Vec::new();
    for number in first..next {
        let [written, who, stamp, at] = entry(number)?;
        if written.load(Ordering::Acquire) != number + 1 {
            continue;
        }
        let who = who.load(Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let event = Event {
            who: ThreadId(who as u32),
            acquires: who & ACQUIRES != 0,
            releases: who & RELEASES != 0,
            stamp: Cell::from_bits(stamp.load(Ordering::Relaxed)).stamp(),
            at: Object::from_bits(at.load(Ordering::Relaxed)),
        };
        events.push((number, event));
    }
    // What was overwritten meanwhile was half a ring away.
    (self::next() - first <= KEPT as u64).then_some(events)
}
