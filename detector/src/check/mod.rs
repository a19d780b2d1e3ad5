//! An access, against shadow memory.
//!
//! A hook finds by itself whether an access is recorded already; what is not
//! comes here. [`look`] handles what is common: no race, and a word of the
//! thread's own, or an empty one. All else is [`contended`].
//!
//! *Who stores what.* A thread replaces a cell of its own by a plain store,
//! and anything else by compare-and-swap; the last word, which may become a
//! reference to a list, by compare-and-swap always. A plain store can thus
//! destroy what another thread has put into that word in the nanoseconds since
//! the owner looked: a thread that replaced another's cell looks again before
//! its next release (see [`again`]), while nobody can know of its access yet,
//! and records it anew if it is gone.
//!
//! *Who sees whom.* Of two threads that come to a granule for the first time
//! at once, the swap (a full barrier) and the look at the other words after it
//! let at least one see the other. Between two that have words there already,
//! this holds but for the time that a store takes to leave its core.

mod again;
mod alone;
mod contended;
mod end;
mod lines;
mod own;
mod same;
#[cfg(test)]
mod simulated;
mod small;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

pub use again::{Again, look_again};
use contended::{claim, contended, listed, listed_quickly, take_over};
pub use end::{end_of_life, frame_ends, fresh};
pub use lines::is_long;
pub use own::{Before, Epochs, accessed_since, may_conflict, only_read_since, own_conflicts};
use small::quick;
pub use small::{small, small_covered};

use crate::findings;
use crate::history;
use crate::report::wire::AccessOp;
use crate::rt::thread::Thread;
use crate::schedule;
use crate::session;
use crate::shadow::map;
use crate::shadow::word::{Access, Cell, Class, GRANULE, MORE, Mask, WORDS};

/// An access that a hook reports.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// First byte.
    pub addr: usize,
    /// Bytes.
    pub size: usize,
    /// Read or write, and its class.
    pub access: Access,
    /// What it does.
    pub op: AccessOp,
    /// Return address of the hook.
    pub pc: u64,
}

/// The last word: the one that may refer to a list.
const LAST: usize = WORDS - 1;

/// The mask of the bytes of granule `at` in `range`.
#[inline(always)]
fn mask_of(at: usize, range: &Range<usize>) -> Mask {
    let first = range.start.max(at) - at;
    let end = range.end.min(at + GRANULE) - at;
    (((1u16 << (end - first)) - 1) << first) as Mask
}

/// True if one of the first words says already what `new` says.
///
/// # Safety
/// `addr` is covered, or the program accesses it next: if it is not covered,
/// the shadow's address is not mapped, and the fault is the program's own.
#[inline(always)]
pub unsafe fn recorded(addr: usize, new: Cell) -> bool {
    const READ: u64 = Access::read(Class::Plain).bits();
    // SAFETY: as the caller says.
    let words = unsafe { map::front(addr) };
    let read = if new.access().is_read() { READ } else { 0 };
    let care = (!(0xff | MORE) | u64::from(new.mask())) & !read;
    words
        .iter()
        .any(|word| (word.load(Ordering::Relaxed) ^ new.bits()) & care == 0)
}

/// Skips the whole granules from `at` on whose first word says the access
/// already.
#[inline(always)]
fn skip_recorded<const LONG: bool>(
    thread: &Thread,
    mut at: usize,
    range: &Range<usize>,
    access: Access,
) -> usize {
    let read = access.bits() & Access::read(Class::Plain).bits();
    let new = thread.stamp() | access.bits() | u64::from(Mask::MAX);
    while at >= range.start && at + GRANULE <= range.end {
        if LONG && lines::begins(at, range) {
            let line = lines::skip_recorded(at, range, Cell::from_bits(new));
            if line > at {
                at = line;
                continue;
            }
        }
        // SAFETY: the caller has checked that the range is covered.
        let first = &unsafe { map::front(at) }[0];
        if first.load(Ordering::Relaxed) | read != new {
            break;
        }
        at += GRANULE;
    }
    at
}

/// Records an access, which is in the history, to whole granules from `at` on
/// that make it easy.
#[inline(always)]
fn take_quickly<const LONG: bool>(
    thread: &Thread,
    mut at: usize,
    range: &Range<usize>,
    access: Access,
) -> usize {
    let new = Cell::from_bits(thread.stamp() | access.bits() | u64::from(Mask::MAX));
    while at >= range.start && at + GRANULE <= range.end {
        if LONG && lines::begins(at, range) {
            let line = lines::take(thread, at, range, new);
            if line > at {
                at = line;
                continue;
            }
        }
        // SAFETY: the caller has checked that the range is covered.
        let Some((word, cell)) = (unsafe { quick(thread, at, new) }) else {
            break;
        };
        word.store(cell.bits(), Ordering::Relaxed);
        at += GRANULE;
    }
    at
}

/// Checks and records an access to two or three granules, which are told apart
/// one by one.
#[inline(always)]
pub fn short(thread: &mut Thread, seen: Seen) {
    if !map::covers(seen.addr, seen.size) {
        findings::unshadowed();
        return;
    }
    let range = seen.addr..seen.addr + seen.size;
    let mut at = seen.addr & !(GRANULE - 1);
    let mut logged = false;
    while at < range.end {
        let mask = mask_of(at, &range);
        let new = Cell::from_bits(thread.stamp() | seen.access.bits() | u64::from(mask));
        // SAFETY: covered, as just checked.
        if !unsafe { recorded(at, new) } {
            if schedule::looks() {
                schedule::look(thread, &seen, at, new);
            }
            // SAFETY: as above.
            logged = unsafe { one(thread, at, new, seen, logged) };
        }
        at += GRANULE;
    }
}

/// Checks and records an access of any size and alignment.
#[inline(always)]
pub fn access(thread: &mut Thread, seen: Seen) {
    access_range::<false>(thread, seen);
}

/// As [`access`]; with `LONG`, which is for ranges of which [`is_long`] holds, by
/// lines too.
#[inline(always)]
pub fn access_range<const LONG: bool>(thread: &mut Thread, seen: Seen) {
    if !map::covers(seen.addr, seen.size) {
        findings::unshadowed();
        return;
    }
    let range = seen.addr..seen.addr + seen.size;
    let mut at = seen.addr & !(GRANULE - 1);
    let mut logged = false;
    loop {
        at = skip_recorded::<LONG>(thread, at, &range, seen.access);
        if logged {
            at = take_quickly::<LONG>(thread, at, &range, seen.access);
        }
        if at >= range.end {
            return;
        }
        let mask = mask_of(at, &range);
        let new = Cell::from_bits(thread.stamp() | seen.access.bits() | u64::from(mask));
        // SAFETY: covered, as just checked.
        if unsafe { recorded(at, new) } {
            at += GRANULE;
            continue;
        }
        if schedule::looks() {
            schedule::look(thread, &seen, at, new);
        }
        // SAFETY: as above.
        logged = unsafe { one(thread, at, new, seen, logged) };
        at += GRANULE;
    }
}

/// Checks and records what an access does to one granule, which does not say it
/// yet. True if the access is in the history.
///
/// # Safety
/// `at` is covered.
#[inline(always)]
unsafe fn one(thread: &mut Thread, at: usize, new: Cell, seen: Seen, logged: bool) -> bool {
    // SAFETY: as the caller says.
    let more = unsafe { map::front(at) }[1].load(Ordering::Relaxed) & MORE;
    if more != 0
        // SAFETY: as the caller says.
        && let Some(list) = unsafe { list_at(at) }
    {
        return listed_quickly(thread, at, list, new, seen, logged);
    }
    // SAFETY: as the caller says.
    let Some((word, cell)) = (unsafe { quick(thread, at, new) }) else {
        return rest_of_one(thread, at, new, seen, logged);
    };
    if !logged {
        thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
    }
    word.store(cell.bits(), Ordering::Relaxed);
    true
}

/// As [`one`], where that is not quick.
#[inline(never)]
fn rest_of_one(thread: &mut Thread, at: usize, new: Cell, seen: Seen, logged: bool) -> bool {
    // SAFETY: covered, as the callers have checked.
    match unsafe { look(thread, at, new) } {
        Look::Recorded => logged,
        Look::Own(word, cell) => {
            if !logged {
                thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
            }
            word.store(cell, Ordering::Relaxed);
            true
        }
        Look::Empty(index) => claim(thread, at, index, new, seen, logged),
        Look::List(list) => listed(thread, at, list, new, seen, logged),
        Look::Last(old, cell) => store_last(thread, at, old, cell, seen, logged),
        Look::Known(word, old, cell) => take_over(thread, at, [old, cell], word, new, seen, logged),
        Look::Other => contended(thread, at, new, seen, logged),
    }
}

/// Replaces the last word, the thread's own: it may have become a reference to
/// a list meanwhile.
#[inline(always)]
fn store_last(
    thread: &mut Thread,
    at: usize,
    old: Cell,
    cell: Cell,
    seen: Seen,
    logged: bool,
) -> bool {
    if !logged {
        thread.log(seen.pc, seen.access, seen.op, seen.addr, seen.size);
    }
    // SAFETY: the callers have checked that the access is covered.
    let last = &unsafe { map::back(at) }[LAST - map::HALF];
    swap(last, old.bits(), cell.bits()) || contended(thread, at, cell, seen, true)
}

/// What [`look`] finds.
enum Look {
    /// The access is recorded already.
    Recorded,
    /// It races with nothing, and takes a word of its own thread: the word,
    /// and the bits that it becomes.
    Own(&'static AtomicU64, u64),
    /// It races with nothing, its thread has no word for it, and this one is
    /// empty.
    Empty(usize),
    /// The granule has this list.
    List(u32),
    /// It races with nothing, and takes the last word, its own thread's.
    Last(Cell, Cell),
    /// It races with nothing, and takes a word of another thread, who will not
    /// be missed: the word, its bits, and those that it becomes.
    Known(&'static AtomicU64, u64, u64),
    /// Anything else.
    Other,
}

/// The common outcomes of the race check of [`crate::race::step`], without its
/// generality. What the thread recorded earlier of the same bytes goes, and a
/// write leaves nothing of the writes that it supersedes: the word is its
/// owner's to use again. A superseded read stays: whatever its thread does next
/// can have its word. Of threads that take turns, each has one word, as long as there are
/// enough; then they have one in turn: an access that is ordered before one as
/// strong need not be known any more, since what races with it races with the
/// later one too (Flanagan and Freund, *FastTrack*, PLDI 2009, section 3).
///
/// # Safety
/// `at` is covered.
#[inline(always)]
unsafe fn look(thread: &Thread, at: usize, new: Cell) -> Look {
    // SAFETY: as the caller says.
    let front = unsafe { map::front(at) };
    let first = Cell::from_bits(front[0].load(Ordering::Relaxed));
    let raw = front[1].load(Ordering::Relaxed);
    let (second, more) = (Cell::from_bits(raw & !MORE), raw & MORE);
    if more != 0
        // SAFETY: as the caller says.
        && let Some(list) = unsafe { list_at(at) }
    {
        return Look::List(list);
    }
    if second.is_empty() {
        if first.same_but_epoch(new) || first.bits() == thread.reserved() {
            return Look::Own(&front[0], new.bits());
        }
        if first.is_empty() {
            return Look::Empty(0);
        }
    }
    // The word, what it becomes, and its bit that is no part of it.
    let mut own: Option<(&'static AtomicU64, Cell, u64)> = None;
    let take = |own: (&'static AtomicU64, Cell, u64)| Look::Own(own.0, own.1.bits() | own.2);
    // A word of another thread's that the access can have instead.
    let mut known: Option<(&'static AtomicU64, Cell, u64)> = None;
    macro_rules! see {
        ($word:expr, $cell:expr, $more:expr) => {{
            let (word, cell, more): (&'static AtomicU64, Cell, u64) = ($word, $cell, $more);
            if cell.same_slot(new) {
                if cell.says(new) {
                    return Look::Recorded;
                }
                if cell.same_stamp(new) && cell.same_access(new) {
                    if let Some((spare, _, more)) = own {
                        spare.store(thread.reserved() | more, Ordering::Relaxed);
                    }
                    own = Some((word, cell.with_mask(new.mask()), more));
                } else if cell.weaker_or_equal(new) || cell.says_nothing() {
                    let rest = cell.without(new.mask());
                    if !rest.says_nothing() {
                        if rest != cell {
                            word.store(rest.bits() | more, Ordering::Relaxed);
                        }
                    } else if own.is_none() {
                        own = Some((word, new, more));
                    } else if cell.bits() != thread.reserved() {
                        word.store(thread.reserved() | more, Ordering::Relaxed);
                    }
                }
            } else {
                let conflicts = cell.conflicts(new);
                let superseded = !cell.says_nothing() && cell.superseded_by(new);
                if conflicts || superseded {
                    if !thread.clocks.ordered(cell) {
                        if conflicts {
                            return Look::Other;
                        }
                    } else if superseded {
                        if cell.access().is_read() {
                            known = Some((word, cell, more));
                        } else {
                            let free = Cell::reserved(cell.stamp());
                            swap(word, cell.bits() | more, free.bits() | more);
                            known = Some((word, free, more));
                        }
                    }
                } else if cell.says_nothing() {
                    known = Some((word, cell, more));
                }
            }
        }};
    }
    see!(&front[0], first, 0);
    if second.is_empty() {
        return own.map_or(Look::Empty(1), take);
    }
    see!(&front[1], second, more);
    // The place, if neither the last word nor its list has anything to say.
    let place = |own, known: Option<(&'static AtomicU64, Cell, u64)>| match (own, known) {
        (Some(own), _) => Some(take(own)),
        (None, Some((word, cell, more))) => {
            let [old, new] = [cell, new].map(|cell| cell.bits() | more);
            Some(Look::Known(word, old, new))
        }
        (None, None) => None,
    };
    if more == 0 {
        return place(own, known).unwrap_or(Look::Empty(2));
    }
    // SAFETY: as the caller says.
    let back = unsafe { map::back(at) };
    let third = Cell::from_bits(back[0].load(Ordering::Relaxed));
    if third.is_empty() {
        return place(own, known).unwrap_or(Look::Empty(2));
    }
    see!(&back[0], third, 0);
    let last = Cell::from_bits(back[1].load(Ordering::Relaxed));
    if last.is_empty() {
        return place(own, known).unwrap_or(Look::Empty(3));
    }
    let Some(place) = place(own, known) else {
        return look_at_last(last, new);
    };
    if last.same_slot(new) {
        if last.says(new) {
            return Look::Recorded;
        }
    } else if last.conflicts(new) && !thread.clocks.ordered(last) {
        return Look::Other;
    }
    place
}

/// The list that the last word of a granule refers to.
///
/// # Safety
/// `at` is covered.
#[inline(always)]
unsafe fn list_at(at: usize) -> Option<u32> {
    // SAFETY: as the caller says.
    let last = &unsafe { map::back(at) }[LAST - map::HALF];
    Cell::from_bits(last.load(Ordering::Relaxed)).as_overflow()
}

/// What becomes of the last word, if the others race with nothing and have no
/// place.
#[inline(always)]
fn look_at_last(last: Cell, new: Cell) -> Look {
    if !last.same_slot(new) {
        Look::Other
    } else if last.says(new) {
        Look::Recorded
    } else if last.same_stamp(new) && last.same_access(new) {
        Look::Last(last, last.with_mask(new.mask()))
    } else if last.superseded_by(new) {
        Look::Last(last, new)
    } else {
        Look::Other
    }
}

/// The words of a granule.
///
/// # Safety
/// `at` is covered.
#[inline(always)]
unsafe fn words(at: usize) -> [&'static AtomicU64; WORDS] {
    // SAFETY: as the caller says.
    let ([a, b], [c, d]) = unsafe { (map::front(at), map::back(at)) };
    [a, b, c, d]
}

/// The cells, and the bit of the second that is no part of it.
#[inline(always)]
fn load(words: [&AtomicU64; WORDS]) -> ([Cell; WORDS], u64) {
    let mut bits = words.map(|word| word.load(Ordering::Acquire));
    let more = bits[1] & MORE;
    bits[1] &= !MORE;
    (bits.map(Cell::from_bits), more)
}

/// Replaces a word, if it still is what it was.
#[inline(always)]
fn swap(word: &AtomicU64, old: u64, new: u64) -> bool {
    word.compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed)
        .is_ok()
}

/// The events of `slot`'s history that a cell stands for.
pub fn restore(cell: Cell, at: usize) -> Option<history::Restored> {
    history::restore(&session::history(cell.slot()), cell, at)
}
