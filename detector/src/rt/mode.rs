//! What a process is looked at for: all there is, or leaks and deadlocks
//! alone.
//!
//! Without races nothing of the program is instrumented. Only interposed
//! functions and patched executors call the runtime, no clock is kept, and
//! stacks are those of the frame pointers ([`super::thread::calls`]).

use std::sync::atomic::{AtomicBool, Ordering};

use crate::report::wire::{NO_RACES, RACES_MARK};

static LEAKS_ALONE: AtomicBool = AtomicBool::new(false);

/// What the command writes into before it links a program with this.
#[used]
static MARK: [u8; RACES_MARK.len()] = RACES_MARK;

/// Reads what the command has written. Called once, at the start.
pub fn init() {
    // SAFETY: the last byte of the array; volatile, since it is another one than
    // the compiler knows.
    let last = unsafe { (&raw const MARK[RACES_MARK.len() - 1]).read_volatile() };
    LEAKS_ALONE.store(last == NO_RACES, Ordering::Relaxed);
}

/// True if races are left out.
#[inline(always)]
pub fn leaks_alone() -> bool {
    LEAKS_ALONE.load(Ordering::Relaxed)
}
