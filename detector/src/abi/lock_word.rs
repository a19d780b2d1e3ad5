//! What a read-modify-write of a word tells of a lock.
//!
//! An acquire operation that takes a word from one value to another looks like
//! a lock being taken; the same thread's release of that word, like giving it
//! back. The addresses are kept for reports and the wait-for graph; readers
//! name as a lock only what a lock's own function took.

use super::integer::Atomic;
use super::order as lock_order;
use super::task::order as task;
use super::task::waits;
use crate::report::wire::WaitOn;
use crate::rt::thread::{Taken, Thread};
use crate::sync::Order;

/// The value that a read-modify-write leaves, as far as it tells of a lock.
#[derive(Clone, Copy)]
pub(super) enum New<T> {
    /// From the old one, by arithmetic.
    Computed,
    /// Whatever the old one was.
    Swapped(T),
    /// If the old one was the expected one.
    Exchanged(T),
}

/// Keeps the locks that the thread holds, after a read-modify-write.
#[inline(always)]
pub(super) fn note_lock<T: Atomic>(
    thread: &mut Thread,
    addr: usize,
    order: Order,
    result: Result<T, T>,
    new: New<T>,
    taught: bool,
    pc: u64,
) {
    if order.release {
        if !thread.locks().is_empty() {
            thread.lock_released(addr);
            // What leaves nothing locked gives back every claim: a writer of
            // parking_lot's takes its lock in two steps.
            let frees = match new {
                New::Computed => false,
                New::Swapped(new) | New::Exchanged(new) => new.is_zero(),
            };
            while frees && thread.locks().iter().any(|held| held.addr == addr) {
                thread.lock_released(addr);
            }
        }
    } else if order.acquire
        && let Ok(old) = result
    {
        let taken = match new {
            New::Computed => false,
            // A swap that finds a lock taken only marks it as contended.
            New::Swapped(new) => old.is_zero() && !new.is_zero(),
            New::Exchanged(new) => !new.is_zero() && old != new,
        };
        if taken {
            thread.lock_taken(&Taken {
                addr,
                shared: !old.is_zero(),
                on: WaitOn::Futex,
                taught,
                taker: task::taker(thread, addr),
                pc,
            });
            if thread.locks().len() > 1 || !waits::nobody_holds() {
                lock_order::taken(thread);
            }
        }
    }
}
