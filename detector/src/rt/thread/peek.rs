//! What other threads read of a thread's record: old at worst.

use super::{Held, LOCKS, Thread};
use crate::report::wire::Stack;

impl Thread {
    /// True if a thread that may be running holds this lock.
    ///
    /// # Safety
    /// As for [`Thread::peek_locks`].
    pub unsafe fn peek_holds(record: *const Self, lock: usize) -> bool {
        // SAFETY: as the caller says; volatile, since its thread may write.
        unsafe {
            let len = (&raw const (*record).held_len).read_volatile().min(LOCKS);
            let first = (&raw const (*record).held).cast::<Held>();
            (0..len).any(|at| (&raw const (*first.add(at)).addr).read_volatile() == lock)
        }
    }

    /// The locks of a thread that may be running: what is read is old at worst,
    /// and the caller looks twice.
    ///
    /// # Safety
    /// `record` is a record; records stay mapped for good.
    pub unsafe fn peek_locks(record: *const Self) -> Vec<Held> {
        // SAFETY: as the caller says; volatile, since its thread may write.
        unsafe {
            let len = (&raw const (*record).held_len).read_volatile().min(LOCKS);
            let first = (&raw const (*record).held).cast::<Held>();
            (0..len).map(|at| first.add(at).read_volatile()).collect()
        }
    }

    /// The stack of a thread that may be running, innermost call first:
    /// exact if it sleeps meanwhile.
    ///
    /// # Safety
    /// As for [`Thread::peek_locks`].
    pub unsafe fn peek_stack(record: *const Self, pc: Option<u64>) -> Stack {
        // SAFETY: as the caller says; entries below `top` were written once,
        // and the whole shadow stack stays mapped.
        let calls = unsafe {
            let first = (&raw const (*record).frames).read_volatile();
            let top = (&raw const (*record).top).read_volatile();
            let depth = (top as usize).saturating_sub(first as usize) / size_of::<u64>();
            (0..depth)
                .rev()
                .map(|at| first.add(at).read_volatile())
                .collect::<Vec<_>>()
        };
        let stack = pc.into_iter().chain(calls).filter(|pc| *pc > 0);
        stack.map(|pc| pc - 1).collect()
    }
}
