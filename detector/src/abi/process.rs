//! `fork`: the child has one thread, and a wire file of its own.
//!
//! Locks of the runtime that other threads held at that moment are free in the
//! child (see [`crate::rt::lock`]) or made anew ([`crate::rt::replaceable`]).
//! `vfork` and `posix_spawn` are left alone: their children share this memory
//! until they are other programs.

use std::sync::atomic::{AtomicU32, Ordering};

use super::edge::tracked;
use super::end;
use super::fd;
use super::order;
use super::pause;
use super::real;
use super::stuck;
use super::task;
use super::thread;
use crate::registry;
use crate::rt::lock;
use crate::rt::sys;
use crate::session;
use crate::wire;

/// The process that this memory belongs to.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Notes the process. Called at the start.
pub fn init() {
    OWNER.store(sys::process_id(), Ordering::Relaxed);
}

/// False in the child of a `vfork`, which shares its parent's memory.
pub fn is_owner() -> bool {
    OWNER.load(Ordering::Relaxed) == sys::process_id()
}

real::forward! {
    /// The C library's.
    fn fork() -> i32
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_fork() -> i32 {
    let Some(parent) = tracked() else {
        // SAFETY: as the program says.
        return unsafe { fork() };
    };
    parent.busy += 1;
    // SAFETY: as the program says.
    let child = unsafe { fork() };
    if child == 0 {
        lock::forget_holders();
        init();
        // SAFETY: the child has one thread, this one.
        unsafe { session::only(parent) };
        parent.stamp_changed();
        parent.waiting.runs(sys::thread_id());
        registry::reset(parent.id);
        thread::reset();
        task::reset();
        fd::reset();
        stuck::reset();
        order::reset();
        end::reset();
        pause::reset();
        wire::reopen(true);
    }
    parent.busy -= 1;
    child
}
