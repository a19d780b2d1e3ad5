//! A granule that one thread alone has touched, in three ways: as one whose
//! halves are written one after the other, each where it was read in the epoch
//! before.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::rt::thread::Thread;
use crate::shadow::map;
use crate::shadow::word::{Cell, MORE};

/// What an access finds.
pub enum Alone {
    /// It is recorded already.
    Recorded,
    /// It takes this word, which becomes this.
    Takes(&'static AtomicU64, u64),
}

/// What becomes of a granule whose first three words are the thread's own, and
/// whose last is empty: as [`super::look`] does it, where no other thread's
/// cell needs a look. None for any other granule, and if no word can be had.
///
/// # Safety
/// `at` is covered.
#[inline(always)]
pub unsafe fn alone(thread: &Thread, at: usize, new: Cell) -> Option<Alone> {
    // SAFETY: as the caller says.
    let ([first, second], [third, last]) = unsafe { (map::front(at), map::back(at)) };
    let a = Cell::from_bits(first.load(Ordering::Relaxed));
    let raw = second.load(Ordering::Relaxed);
    let c = Cell::from_bits(third.load(Ordering::Relaxed));
    let (b, more) = (Cell::from_bits(raw & !MORE), raw & MORE);
    let own = a.same_slot(new) & b.same_slot(new) & c.same_slot(new);
    let used = !(a.is_empty() | b.is_empty() | c.is_empty());
    if !(own & used & (last.load(Ordering::Relaxed) == 0)) {
        return None;
    }
    if c.says(new) {
        return Some(Alone::Recorded);
    }
    let (x, y, z) = (a.after(new), b.after(new), c.after(new));
    let (takes, becomes) = if a.joins(new) {
        (0, a.with_mask(new.mask()))
    } else if b.joins(new) {
        (1, b.with_mask(new.mask()))
    } else if c.joins(new) {
        (2, c.with_mask(new.mask()))
    } else if x.says_nothing() {
        (0, new)
    } else if y.says_nothing() {
        (1, new)
    } else if z.says_nothing() {
        (2, new)
    } else {
        return None;
    };
    macro_rules! keep {
        ($word:ident $cell:ident $rest:ident $flag:expr) => {
            if $rest != $cell {
                let rest = if $rest.says_nothing() {
                    thread.reserved()
                } else {
                    $rest.bits()
                };
                $word.store(rest | $flag, Ordering::Relaxed);
            }
        };
    }
    if takes != 0 {
        keep!(first a x 0);
    }
    if takes != 1 {
        keep!(second b y more);
    }
    if takes != 2 {
        keep!(third c z 0);
    }
    let word = match takes {
        0 => first,
        1 => second,
        _ => third,
    };
    let flag = if takes == 1 { more } else { 0 };
    Some(Alone::Takes(word, becomes.bits() | flag))
}
