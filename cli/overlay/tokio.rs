//! What is particular to tokio: how its tasks keep their state.

use core::future::Future;

use super::super::Header;
use super::table;
use super::tracked::Tracked;

/// A task of tokio's, followed.
pub(crate) fn track<T: Future>(future: T) -> Tracked<T> {
    Tracked::with(future, table::TOKIO, inspect)
}

extern "C" fn inspect(data: *const ()) -> u64 {
    // SAFETY: tokio's wakers point to the header, which lives as long as the
    // future of the task.
    let state = unsafe { &*data.cast::<Header>() }.state.load();
    let is = |yes: bool, flag: u64| if yes { flag } else { 0 };
    // One reference is the executor's own, one its queue's, one that of the
    // join handle.
    let own = 1 + u64::from(state.is_notified()) + u64::from(state.is_join_interested());
    is(state.is_notified(), table::IS_SCHEDULED)
        | is(state.is_running(), table::IS_RUNNING)
        | is(state.is_complete(), table::IS_COMPLETE)
        | is(state.is_cancelled(), table::IS_CANCELLED)
        | is(state.is_join_interested(), table::HAS_HANDLE)
        | (state.ref_count() as u64).saturating_sub(own) << table::REFERENCES_SHIFT
}
