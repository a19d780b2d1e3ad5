//! When tasks are looked at: at first always, which is all there is of most tests, and
//! in a program that goes on and on now and then.
//!
//! While they are not, nothing is noted that could have ordered two accesses. So
//! nothing is said of accesses of which one was made in another window. Nor is
//! anything missed in one: who acts after another, by whatever orders the two, knows
//! of the window that the other knew of, or of a later one.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Polls in the first window.
const FIRST: u64 = 4096;
/// Polls from the end of a window to that of the next.
const PERIOD: u64 = 32 * WINDOW;
/// Polls in each later window.
const WINDOW: u64 = 1024;
/// Polls that a thread counts by itself.
const AT_ONCE: u64 = 64;
/// So many accesses that were looked at have cost as much as a poll, and count as one.
const ACCESSES: u64 = 64;

/// Odd in a window: each has another number. 0 before the first poll.
static NUMBER: AtomicU64 = AtomicU64::new(0);
/// Polls counted so far.
static POLLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Polls that are not yet counted there.
    static OWN: Cell<u64> = const { Cell::new(0) };
    /// Accesses that are not yet counted as a poll.
    static LOOKED_AT: Cell<u64> = const { Cell::new(0) };
}

/// The window at hand; an even number if there is none.
#[inline]
pub fn number() -> u64 {
    NUMBER.load(Ordering::Relaxed)
}

/// True in a window.
#[inline]
pub fn is_open() -> bool {
    !number().is_multiple_of(2)
}

/// The calling thread begins a poll.
#[inline]
pub fn poll() {
    let own = OWN.get() + 1;
    if own == AT_ONCE || number() == 0 {
        OWN.set(0);
        counted(own);
    } else {
        OWN.set(own);
    }
}

/// The calling thread looks at an access.
#[inline(always)]
pub fn access() {
    let looked_at = LOOKED_AT.get() + 1;
    LOOKED_AT.set(looked_at);
    if looked_at == ACCESSES {
        accesses();
    }
}

#[cold]
#[inline(never)]
fn accesses() {
    LOOKED_AT.set(0);
    poll();
}

#[cold]
#[inline(never)]
fn counted(polls: u64) {
    let before = POLLS.fetch_add(polls, Ordering::Relaxed);
    NUMBER.fetch_max(number_after(before), Ordering::Relaxed);
}

/// The number of the window after so many polls.
const fn number_after(polls: u64) -> u64 {
    let Some(later) = polls.checked_sub(FIRST) else {
        return 1;
    };
    let is_open = later % PERIOD >= PERIOD - WINDOW;
    2 + later / PERIOD * 2 + is_open as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_only_rise_and_are_odd_in_a_window() {
        let all: Vec<u64> = (0..FIRST + 3 * PERIOD).map(number_after).collect();
        assert!(all.is_sorted());
        let open = all.iter().filter(|number| *number % 2 == 1);
        assert_eq!(open.count() as u64, FIRST + 3 * WINDOW);
        assert_eq!((all[0], all[FIRST as usize]), (1, 2));
        assert_eq!(number_after(FIRST + PERIOD - 1), 3);
        assert_eq!(number_after(FIRST + PERIOD), 4);
    }
}
