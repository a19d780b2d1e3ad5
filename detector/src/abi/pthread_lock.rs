//! `pthread_mutex`, `pthread_rwlock`, `pthread_spin`: the locks of C code.
//!
//! A lock is tried first; only a thread that must wait notes so.

use std::ffi::c_void;

use super::caller::return_address;
use super::edge::{acquire_lock, release, tracked};
use super::order;
use super::pause;
use super::real;
use super::snapshot::Snapshot;
use super::stuck::{self, Asked};
use super::task::order as task;
use crate::report::wire::WaitOn;
use crate::rt::thread::{Taken, Thread};
use crate::rt::waiting::{Blocked, Call};

type Lock = *mut c_void;
type Time = *const libc::timespec;

/// A lock that a thread is taking.
struct Taking {
    lock: Lock,
    call: Call,
    timed: bool,
    pc: u64,
}

/// True if other processes can have the lock too: it says so in a word of its
/// own (`__kind` of a mutex, `__shared` of a reader-writer lock).
fn is_shared(lock: Lock, call: Call) -> bool {
    const MUTEX_KIND: usize = 16;
    const MUTEX_SHARED_BIT: u32 = 128;
    const RWLOCK_SHARED: usize = 28;
    let word = |offset: usize| {
        // SAFETY: within the lock, which the program has passed to pthread.
        unsafe { lock.cast::<u8>().add(offset).cast::<u32>().read_volatile() }
    };
    match call {
        Call::Mutex => word(MUTEX_KIND) & MUTEX_SHARED_BIT != 0,
        Call::ReadLock | Call::WriteLock => word(RWLOCK_SHARED) != 0,
        Call::Futex
        | Call::Join
        | Call::Condvar
        | Call::Other
        | Call::Sleep
        | Call::Io
        | Call::Events => true,
    }
}

/// The thread has the lock. `waited` tells whether it would have waited for it.
pub(super) fn taken(thread: &mut Thread, lock: Lock, call: Call, waited: bool, pc: u64) {
    let taught = acquire_lock(thread, lock as usize);
    thread.load_calls(pc);
    let taker = task::taker(thread, lock as usize);
    thread.lock_taken(&Taken {
        addr: lock as usize,
        shared: call == Call::ReadLock,
        on: match call {
            Call::ReadLock => WaitOn::RwLockRead,
            Call::WriteLock => WaitOn::RwLockWrite,
            Call::Mutex => WaitOn::Mutex,
            Call::Futex
            | Call::Join
            | Call::Condvar
            | Call::Other
            | Call::Sleep
            | Call::Io
            | Call::Events => WaitOn::Futex,
        },
        taught,
        taker,
        pc,
    });
    if waited {
        order::taken(thread);
    }
}

/// The thread is about to give the lock back.
pub(super) fn given_back(thread: &mut Thread, lock: Lock) {
    thread.lock_released(lock as usize);
    release(thread, lock as usize);
}

/// Takes a lock: by `attempt` if it is free, else by `wait`.
fn take(taking: &Taking, attempt: impl Fn() -> i32, wait: impl Fn() -> i32) -> i32 {
    let Some(thread) = tracked() else {
        return wait();
    };
    let &Taking {
        lock,
        call,
        timed,
        pc,
    } = taking;
    if pause::on() {
        pause::before_taking(thread, pc);
    }
    let mut failed = attempt();
    if failed != 0 && failed != libc::EOWNERDEAD {
        let blocked = Blocked {
            call,
            addr: lock as usize,
            expected: 0,
            timed,
            private: !is_shared(lock, call),
            target: None,
            pc,
        };
        let ask = |_: &Snapshot| match attempt() {
            0 => Asked::Done(0),
            libc::EOWNERDEAD => Asked::Done(libc::EOWNERDEAD),
            _ => Asked::Blocks,
        };
        failed = stuck::blocking_unless(thread, &blocked, ask, wait);
    }
    if failed == 0 || failed == libc::EOWNERDEAD {
        taken(thread, lock, call, !timed, pc);
    }
    failed
}

/// Tries a lock; with `waits`, until it is free.
fn attempt(lock: Lock, as_if: Call, waits: bool, pc: u64, call: impl FnOnce() -> i32) -> i32 {
    let failed = call();
    if (failed == 0 || failed == libc::EOWNERDEAD)
        && let Some(thread) = tracked()
    {
        taken(thread, lock, as_if, waits, pc);
    }
    failed
}

/// Gives a lock back.
fn give_back(lock: Lock, call: impl FnOnce() -> i32) -> i32 {
    if let Some(thread) = tracked() {
        given_back(thread, lock);
    }
    call()
}

/// Interposed functions, each with the C library's own and what it does.
macro_rules! locks {
    ($($export:literal $name:ident($lock:ident $(, $arg:ident: $type:ty)*) => $body:expr;)*) => {$(
        real::forward! {
            /// The C library's.
            fn $name($lock: Lock $(, $arg: $type)*) -> i32
        }

        const _: () = {
            /// Interposed function of the C library.
            #[unsafe(export_name = $export)]
            unsafe extern "C" fn interposed($lock: Lock $(, $arg: $type)*) -> i32 {
                let pc = return_address();
                // SAFETY: as the program says, which calls the same function.
                let real = || unsafe { $name($lock $(, $arg)*) };
                let body: fn(Lock, u64, &dyn Fn() -> i32) -> i32 = $body;
                body($lock, pc, &real)
            }
        };
    )*};
}

fn mutex(lock: Lock, pc: u64, timed: bool, real: &dyn Fn() -> i32) -> i32 {
    // SAFETY: a mutex, as the program says.
    let attempt = || unsafe { pthread_mutex_trylock(lock) };
    take(
        &Taking {
            lock,
            call: Call::Mutex,
            timed,
            pc,
        },
        attempt,
        real,
    )
}

fn read(lock: Lock, pc: u64, timed: bool, real: &dyn Fn() -> i32) -> i32 {
    // SAFETY: a reader-writer lock, as the program says.
    let attempt = || unsafe { pthread_rwlock_tryrdlock(lock) };
    take(
        &Taking {
            lock,
            call: Call::ReadLock,
            timed,
            pc,
        },
        attempt,
        real,
    )
}

fn write(lock: Lock, pc: u64, timed: bool, real: &dyn Fn() -> i32) -> i32 {
    // SAFETY: a reader-writer lock, as the program says.
    let attempt = || unsafe { pthread_rwlock_trywrlock(lock) };
    take(
        &Taking {
            lock,
            call: Call::WriteLock,
            timed,
            pc,
        },
        attempt,
        real,
    )
}

locks! {
    "__lc_interpose_pthread_mutex_lock" pthread_mutex_lock(lock)
        => |lock, pc, real| mutex(lock, pc, false, real);
    "__lc_interpose_pthread_mutex_timedlock" pthread_mutex_timedlock(lock, until: Time)
        => |lock, pc, real| mutex(lock, pc, true, real);
    "__lc_interpose_pthread_mutex_clocklock"
        pthread_mutex_clocklock(lock, clock: libc::clockid_t, until: Time)
        => |lock, pc, real| mutex(lock, pc, true, real);
    "__lc_interpose_pthread_mutex_trylock" pthread_mutex_trylock(lock)
        => |lock, pc, real| attempt(lock, Call::Mutex, false, pc, real);
    "__lc_interpose_pthread_mutex_unlock" pthread_mutex_unlock(lock)
        => |lock, _pc, real| give_back(lock, real);
    "__lc_interpose_pthread_rwlock_rdlock" pthread_rwlock_rdlock(lock)
        => |lock, pc, real| read(lock, pc, false, real);
    "__lc_interpose_pthread_rwlock_timedrdlock" pthread_rwlock_timedrdlock(lock, until: Time)
        => |lock, pc, real| read(lock, pc, true, real);
    "__lc_interpose_pthread_rwlock_tryrdlock" pthread_rwlock_tryrdlock(lock)
        => |lock, pc, real| attempt(lock, Call::ReadLock, false, pc, real);
    "__lc_interpose_pthread_rwlock_wrlock" pthread_rwlock_wrlock(lock)
        => |lock, pc, real| write(lock, pc, false, real);
    "__lc_interpose_pthread_rwlock_timedwrlock" pthread_rwlock_timedwrlock(lock, until: Time)
        => |lock, pc, real| write(lock, pc, true, real);
    "__lc_interpose_pthread_rwlock_trywrlock" pthread_rwlock_trywrlock(lock)
        => |lock, pc, real| attempt(lock, Call::WriteLock, false, pc, real);
    "__lc_interpose_pthread_rwlock_unlock" pthread_rwlock_unlock(lock)
        => |lock, _pc, real| give_back(lock, real);
    "__lc_interpose_pthread_spin_lock" pthread_spin_lock(lock)
        => |lock, pc, real| attempt(lock, Call::Mutex, true, pc, real);
    "__lc_interpose_pthread_spin_trylock" pthread_spin_trylock(lock)
        => |lock, pc, real| attempt(lock, Call::Mutex, false, pc, real);
    "__lc_interpose_pthread_spin_unlock" pthread_spin_unlock(lock)
        => |lock, _pc, real| give_back(lock, real);
}
