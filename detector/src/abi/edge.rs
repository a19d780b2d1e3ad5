//! Release and acquire by address, for what is not an atomic variable of
//! instrumented code: locks of C code, the environment's lock.

use crate::objects;
use crate::rt::hot::current;
use crate::rt::mode;
use crate::rt::thread::Thread;
use crate::schedule;
use crate::schedule::replay::Object;
use crate::session;
use crate::shadow::map;

/// The calling thread's record, if it is followed and the runtime is not
/// itself at work in it.
#[inline]
pub fn tracked() -> Option<&'static mut Thread> {
    // SAFETY: the record belongs to this thread.
    unsafe { current().as_mut() }.filter(|thread| thread.busy == 0)
}

/// All that the thread did happens before whatever acquires at `addr` later.
pub fn release(thread: &mut Thread, addr: usize) {
    if mode::leaks_alone() || !map::covers(addr, 1) {
        return;
    }
    thread.before_release();
    thread.busy += 1;
    // SAFETY: covered, as just checked.
    let mut guard = unsafe { objects::get(thread, addr) }.lock();
    thread.clocks.release(guard.clock());
    schedule::releases(thread, Object::address(addr));
    drop(guard);
    session::tick(thread);
    thread.busy -= 1;
}

/// All that was released at `addr` happens before what the thread does next.
pub fn acquire(thread: &mut Thread, addr: usize) {
    acquire_lock(thread, addr);
}

/// The same, of a lock. True if the thread [learned](Thread::learns) of something.
pub fn acquire_lock(thread: &mut Thread, addr: usize) -> bool {
    if mode::leaks_alone() || !map::covers(addr, 1) {
        return false;
    }
    let mut taught = false;
    thread.busy += 1;
    // SAFETY: covered, as just checked.
    if let Some(object) = unsafe { objects::find(addr) } {
        let guard = object.lock_to_read();
        taught = thread.learns(guard.clock());
        thread.clocks.acquire(guard.clock());
        schedule::acquires(thread, Object::address(addr));
    }
    thread.busy -= 1;
    taught
}
