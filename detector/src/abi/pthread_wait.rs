//! `pthread_cond`, `pthread_barrier`, `pthread_once`, `sem`: the waits of C
//! code.

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::caller::return_address;
use super::edge::{acquire, release, tracked};
use super::pthread_lock::{given_back, taken};
use super::real;
use super::snapshot::Snapshot;
use super::stuck::{self, Asked};
use crate::rt::waiting::{Blocked, Call};

type Object = *mut c_void;
type Time = *const libc::timespec;
type Routine = unsafe extern "C" fn();

fn blocked(object: Object, call: Call, timed: bool, private: bool, pc: u64) -> Blocked {
    Blocked {
        call,
        addr: object as usize,
        expected: 0,
        timed,
        private,
        target: None,
        pc,
    }
}

/// A word inside an object of pthread.
fn word(object: Object, offset: usize) -> u32 {
    // SAFETY: within the object, which the program has passed to pthread.
    unsafe {
        object
            .cast::<u8>()
            .add(offset)
            .cast::<u32>()
            .read_volatile()
    }
}

/// Finds the function of condition variables as they are since glibc 2.3.2: an
/// unversioned look-up can find the one of before.
fn since_2_3_2(found: &AtomicUsize, name: &CStr) -> usize {
    let known = found.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // SAFETY: two C strings.
    let function = unsafe { libc::dlvsym(libc::RTLD_NEXT, name.as_ptr(), c"GLIBC_2.3.2".as_ptr()) };
    let function = if function.is_null() {
        real::next(name)
    } else {
        function
    } as usize;
    found.store(function, Ordering::Relaxed);
    function
}

unsafe fn cond_wait(cond: Object, mutex: Object) -> i32 {
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    let function = since_2_3_2(&FOUND, c"pthread_cond_wait");
    // SAFETY: the C library's function of that name has that type.
    let function: unsafe extern "C" fn(Object, Object) -> i32 =
        unsafe { std::mem::transmute(function) };
    // SAFETY: as the caller says.
    unsafe { function(cond, mutex) }
}

unsafe fn cond_timedwait(cond: Object, mutex: Object, until: Time) -> i32 {
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    let function = since_2_3_2(&FOUND, c"pthread_cond_timedwait");
    // SAFETY: the C library's function of that name has that type.
    let function: unsafe extern "C" fn(Object, Object, Time) -> i32 =
        unsafe { std::mem::transmute(function) };
    // SAFETY: as the caller says.
    unsafe { function(cond, mutex, until) }
}

real::forward! {
    /// The C library's.
    fn pthread_cond_clockwait(cond: Object, mutex: Object, clock: libc::clockid_t, until: Time) -> i32
}
real::forward! {
    /// The C library's.
    fn pthread_barrier_wait(barrier: Object) -> i32
}
real::forward! {
    /// The C library's.
    fn pthread_once(control: Object, routine: Routine) -> i32
}
real::forward! {
    /// The C library's.
    fn sem_wait(semaphore: Object) -> i32
}
real::forward! {
    /// The C library's.
    fn sem_trywait(semaphore: Object) -> i32
}
real::forward! {
    /// The C library's.
    fn sem_timedwait(semaphore: Object, until: Time) -> i32
}
real::forward! {
    /// The C library's.
    fn sem_clockwait(semaphore: Object, clock: libc::clockid_t, until: Time) -> i32
}
real::forward! {
    /// The C library's.
    fn sem_post(semaphore: Object) -> i32
}

/// Waits on a condition variable: the mutex is given back and taken again.
fn on_condvar(
    cond: Object,
    mutex: Object,
    timed: bool,
    pc: u64,
    wait: impl FnOnce() -> i32,
) -> i32 {
    /// `__wrefs`, whose lowest bit says that other processes have it too.
    const SHARED: usize = 36;
    let Some(thread) = tracked() else {
        return wait();
    };
    given_back(thread, mutex);
    let private = word(cond, SHARED) & 1 == 0;
    // The mutex is given back by the wait itself, and not by then.
    let ask = |snapshot: &Snapshot| {
        if snapshot.waits_for_mutex(mutex as usize) {
            Asked::FreesOthers
        } else {
            Asked::Blocks
        }
    };
    let failed = stuck::blocking_unless(
        thread,
        &blocked(cond, Call::Condvar, timed, private, pc),
        ask,
        wait,
    );
    taken(thread, mutex, Call::Mutex, true, pc);
    failed
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_cond_wait(cond: Object, mutex: Object) -> i32 {
    // SAFETY: as the program says.
    on_condvar(cond, mutex, false, return_address(), || unsafe {
        cond_wait(cond, mutex)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_cond_timedwait(
    cond: Object,
    mutex: Object,
    until: Time,
) -> i32 {
    // SAFETY: as the program says.
    on_condvar(cond, mutex, true, return_address(), || unsafe {
        cond_timedwait(cond, mutex, until)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_cond_clockwait(
    cond: Object,
    mutex: Object,
    clock: libc::clockid_t,
    until: Time,
) -> i32 {
    // SAFETY: as the program says.
    on_condvar(cond, mutex, true, return_address(), || unsafe {
        pthread_cond_clockwait(cond, mutex, clock, until)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_barrier_wait(barrier: Object) -> i32 {
    let pc = return_address();
    let Some(thread) = tracked() else {
        // SAFETY: as the program says.
        return unsafe { pthread_barrier_wait(barrier) };
    };
    release(thread, barrier as usize);
    // Whether other processes have it too is not asked: it counts as if.
    let wait = blocked(barrier, Call::Other, false, false, pc);
    // SAFETY: as the program says.
    let result = stuck::blocking(thread, &wait, || unsafe { pthread_barrier_wait(barrier) });
    acquire(thread, barrier as usize);
    result
}

thread_local! {
    /// The routine that this thread is about to run once, and for what.
    static ONCE: Cell<Option<(Object, Routine)>> = const { Cell::new(None) };
}

/// Runs the routine of the innermost `pthread_once`.
unsafe extern "C" fn once() {
    let Some((control, routine)) = ONCE.get() else {
        return;
    };
    // SAFETY: as the program says.
    unsafe { routine() };
    if let Some(thread) = tracked() {
        release(thread, control as usize);
    }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pthread_once(control: Object, routine: Routine) -> i32 {
    let outer = ONCE.replace(Some((control, routine)));
    // SAFETY: as the program says; `once` runs its routine.
    let failed = unsafe { pthread_once(control, once) };
    ONCE.set(outer);
    if let Some(thread) = tracked() {
        acquire(thread, control as usize);
    }
    failed
}

/// Waits on a semaphore, `until` it gives up by itself if `timed`.
fn on_semaphore(semaphore: Object, timed: bool, pc: u64, wait: impl FnOnce() -> i32) -> i32 {
    /// `private`, which is zero if only this process has it.
    const SHARED: usize = 8;
    let Some(thread) = tracked() else {
        return wait();
    };
    let private = word(semaphore, SHARED) == 0;
    let wait_for = blocked(semaphore, Call::Other, timed, private, pc);
    // Only a thread that must wait notes so.
    // SAFETY: a semaphore, as the program says.
    let mut failed = unsafe { sem_trywait(semaphore) };
    if failed != 0 {
        let ask = |_: &Snapshot| {
            // SAFETY: as above.
            match unsafe { sem_trywait(semaphore) } {
                0 => Asked::Done(0),
                _ => Asked::Blocks,
            }
        };
        failed = stuck::blocking_unless(thread, &wait_for, ask, wait);
    }
    if failed == 0 {
        acquire(thread, semaphore as usize);
    }
    failed
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_sem_wait(semaphore: Object) -> i32 {
    // SAFETY: as the program says.
    on_semaphore(semaphore, false, return_address(), || unsafe {
        sem_wait(semaphore)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_sem_trywait(semaphore: Object) -> i32 {
    // SAFETY: as the program says.
    on_semaphore(semaphore, true, return_address(), || unsafe {
        sem_trywait(semaphore)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_sem_timedwait(semaphore: Object, until: Time) -> i32 {
    // SAFETY: as the program says.
    on_semaphore(semaphore, true, return_address(), || unsafe {
        sem_timedwait(semaphore, until)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_sem_clockwait(
    semaphore: Object,
    clock: libc::clockid_t,
    until: Time,
) -> i32 {
    // SAFETY: as the program says.
    on_semaphore(semaphore, true, return_address(), || unsafe {
        sem_clockwait(semaphore, clock, until)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_sem_post(semaphore: Object) -> i32 {
    if let Some(thread) = tracked() {
        release(thread, semaphore as usize);
    }
    // SAFETY: as the program says.
    unsafe { sem_post(semaphore) }
}
