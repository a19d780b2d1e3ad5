//! What is particular to async-task: how its tasks keep their state.

use core::future::Future;
#[cfg(feature = "std")]
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering;

use crate::header::Header;
use crate::state::{CLOSED, COMPLETED, REFERENCE, RUNNING, SCHEDULED, TASK};

use super::lookup::hooks;
use super::table;
use super::tracked::Tracked;

/// A task of async-task's, followed.
pub(crate) fn track<T: Future, M>(future: T) -> Tracked<T> {
    // Whether its executor keeps it on one thread is not known here.
    Tracked::with(future, table::ASYNC_TASK_LOCAL, inspect::<M>)
}

extern "C" fn inspect<M>(data: *const ()) -> u64 {
    // SAFETY: the wakers point to the header, which lives as long as the
    // future of the task.
    let header = unsafe { &*data.cast::<Header<M>>() };
    let state = header.state.load(Ordering::Acquire);
    let is = |bit: usize, flag: u64| if state & bit != 0 { flag } else { 0 };
    // A scheduled or running task has a reference for that; the handle has
    // none.
    let own = (state & (SCHEDULED | RUNNING) != 0) as usize;
    is(SCHEDULED, table::IS_SCHEDULED)
        | is(RUNNING, table::IS_RUNNING)
        | is(COMPLETED, table::IS_COMPLETE)
        | is(CLOSED, table::IS_CANCELLED)
        | is(TASK, table::HAS_HANDLE)
        | if keeps_panic(header) { table::KEEPS_PANIC } else { 0 }
        | ((state / REFERENCE).saturating_sub(own) as u64) << table::REFERENCES_SHIFT
}

/// The runtime asks when it likes, and holds off the end of the task meanwhile: that
/// is no access of the program's, which an instrumented plain read would be.
#[cfg(feature = "std")]
fn keeps_panic<M>(header: &Header<M>) -> bool {
    let kept = (&raw const header.propagate_panic).cast::<AtomicBool>();
    // SAFETY: a `bool` of a live header, which is written before the task is
    // shared.
    unsafe { (*kept).load(Ordering::Relaxed) }
}

/// Without std no panic is caught.
#[cfg(not(feature = "std"))]
fn keeps_panic<M>(_header: &Header<M>) -> bool {
    false
}

/// The handle of the task at this address is polled.
pub(crate) fn joins<H>(task: *const (), handle: *const H) {
    if let Some(hooks) = hooks() {
        (hooks.task_joined)(task, handle as *const ());
    }
}

/// The handle of the task at this address is given what it has ended with.
pub(crate) fn joined(task: *const ()) {
    if let Some(hooks) = hooks() {
        (hooks.task_heard)(task);
    }
}
