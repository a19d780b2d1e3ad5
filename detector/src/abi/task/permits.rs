//! Semaphores of tokio's, which its locks are made of: the hooks that say who waits for
//! permits and who has them.

use super::super::caller::{self, return_address};
use super::super::edge::tracked;
use super::poll::{self, actor};
use super::waits::{self, Holder, Object};
use super::{cycles, order, stack_here};
use crate::hooks::table::{ALL_PERMITS, UNCOUNTED_PERMITS};

/// See [`crate::hooks::table::Hooks::permits_wanted`].
pub extern "C" fn wanted(semaphore: *const ()) {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    let on = Object::Permits(semaphore as usize);
    waits::polled(actor(thread), poll::number(), on);
    cycles::waits_by_name();
    thread.busy -= 1;
}

/// See [`crate::hooks::table::Hooks::permits_waited`].
pub extern "C" fn waited(semaphore: *const (), taken: u32) {
    let frame = caller::frame();
    let pc = return_address();
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    let who = actor(thread);
    let holder = (taken != 0).then(|| Holder {
        who,
        at: stack_here(thread, frame, pc),
    });
    if let (Some(wanted), Some(holder)) = (waits::over(who, semaphore as usize, holder), holder) {
        let is_lock = taken != UNCOUNTED_PERMITS;
        let taken = order::Taken {
            addr: semaphore as usize,
            shared: taken != ALL_PERMITS,
            at: holder.at,
            wanted,
        };
        if is_lock {
            order::taken(thread, &taken);
        }
    }
    thread.busy -= 1;
}

/// See [`crate::hooks::table::Hooks::permits_back`].
pub extern "C" fn back(semaphore: *const ()) {
    if !waits::nobody_holds() {
        gives_back(semaphore as usize);
    }
}

#[inline(never)]
fn gives_back(semaphore: usize) {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    let who = actor(thread);
    if let Some(had) = waits::given_back(who, semaphore) {
        order::given_back(who, had, semaphore);
    }
    thread.busy -= 1;
}
