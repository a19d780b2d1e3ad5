//! What is particular to async-executor: it keeps a waker of each of its
//! tasks, to drop the task by it when it is dropped itself.

use core::mem::{transmute, transmute_copy, ManuallyDrop};
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::lookup::hooks;
use super::tracked::data_word;

extern crate alloc;
use alloc::boxed::Box;

/// The words of a waker, inverted.
struct Kept([usize; 2]);

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_kept);

/// A waker that does what `waker` does, and whose words are nowhere as they
/// are: it is not one by which the task could be woken to go on.
pub(crate) fn track(waker: Waker) -> Waker {
    let hooks = match hooks() {
        Some(hooks) => hooks,
        None => return waker,
    };
    (hooks.waker_kept)(address(&waker), 1);
    // SAFETY: a waker is two words.
    let words: [usize; 2] = unsafe { transmute::<Waker, [usize; 2]>(waker) };
    let kept = Box::into_raw(Box::new(Kept([!words[0], !words[1]])));
    // SAFETY: the functions of the table take a box of that type.
    unsafe { Waker::from_raw(RawWaker::new(kept as *const (), &TABLE)) }
}

/// The waker that is kept, which is not to be dropped.
unsafe fn kept(data: *const ()) -> ManuallyDrop<Waker> {
    // SAFETY: the data is a box made by `track`; its words are those of a
    // waker.
    unsafe {
        let Kept(words) = &*(data as *const Kept);
        ManuallyDrop::new(transmute::<[usize; 2], Waker>([!words[0], !words[1]]))
    }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: as in `kept`.
    let waker = unsafe { kept(data) };
    let copy = track(Waker::clone(&waker));
    RawWaker::new(address(&ManuallyDrop::new(copy)), &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as in `kept`; the box is not used again.
    unsafe {
        let waker = ManuallyDrop::into_inner(kept(data));
        release(data, &waker);
        waker.wake();
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as in `kept`.
    unsafe { kept(data) }.wake_by_ref();
}

unsafe fn drop_kept(data: *const ()) {
    // SAFETY: as in `kept`; the box is not used again.
    unsafe {
        let waker = ManuallyDrop::into_inner(kept(data));
        release(data, &waker);
    }
}

/// The data pointer of a waker.
fn address(waker: &Waker) -> *const () {
    // SAFETY: a waker is two words, which are only copied.
    let words: [usize; 2] = unsafe { transmute_copy::<Waker, [usize; 2]>(waker) };
    words[data_word() as usize] as *const ()
}

/// The box is not needed any more.
unsafe fn release(data: *const (), waker: &Waker) {
    if let Some(hooks) = hooks() {
        (hooks.waker_kept)(address(waker), -1);
    }
    // SAFETY: made by `track`, not used again.
    drop(unsafe { Box::from_raw(data as *mut Kept) });
}
