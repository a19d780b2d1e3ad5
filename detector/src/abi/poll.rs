//! `epoll`, `poll`, `select` and sleeps: waits for several descriptors, or for
//! none.
//!
//! An epoll instance has a clock of its own: what changes what it watches, and
//! what writes to it, is released there as well.

use super::caller::return_address;
use super::descriptor::after;
use super::edge::tracked;
use super::fd;
use super::idle;
use super::io::io;
use super::real;
use super::stuck;
use super::task::{self, cycles};
use crate::rt::thread::Thread;
use crate::rt::waiting::{Blocked, Call};

type Events = *mut libc::epoll_event;
type Mask = *const libc::sigset_t;
type Time = *const libc::timespec;

real::forward! {
    /// The C library's.
    fn epoll_create(size: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn epoll_create1(flags: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn epoll_ctl(epoll: i32, operation: i32, fd: i32, event: Events) -> i32
}
real::forward! {
    /// The C library's.
    fn epoll_wait(epoll: i32, events: Events, count: i32, timeout: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn epoll_pwait(epoll: i32, events: Events, count: i32, timeout: i32, mask: Mask) -> i32
}
real::forward! {
    /// The C library's.
    fn epoll_pwait2(epoll: i32, events: Events, count: i32, timeout: Time, mask: Mask) -> i32
}
real::forward! {
    /// The C library's.
    fn poll(fds: *mut libc::pollfd, count: libc::nfds_t, timeout: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn ppoll(fds: *mut libc::pollfd, count: libc::nfds_t, timeout: Time, mask: Mask) -> i32
}
real::forward! {
    /// The C library's.
    fn select(
        count: i32,
        read: *mut libc::fd_set,
        write: *mut libc::fd_set,
        except: *mut libc::fd_set,
        timeout: *mut libc::timeval,
    ) -> i32
}
real::forward! {
    /// The C library's.
    fn nanosleep(time: Time, left: *mut libc::timespec) -> i32
}
real::forward! {
    /// The C library's.
    fn clock_nanosleep(clock: i32, flags: i32, time: Time, left: *mut libc::timespec) -> i32
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_epoll_create(size: i32) -> i32 {
    // SAFETY: as the program says.
    let fd = unsafe { epoll_create(size) };
    after(fd, |_| fd::opened(fd))
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_epoll_create1(flags: i32) -> i32 {
    // SAFETY: as the program says.
    let fd = unsafe { epoll_create1(flags) };
    after(fd, |_| fd::opened(fd))
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_epoll_ctl(
    epoll: i32,
    operation: i32,
    fd: i32,
    event: Events,
) -> i32 {
    if operation != libc::EPOLL_CTL_DEL
        && let Some(thread) = tracked()
        && let Some(instance) = fd::channel(epoll)
    {
        if let Some(watched) = fd::channel(fd) {
            watched.watched_by(&instance);
            // What was written before is there to be seen: it goes on through
            // this thread.
            watched.acquire(thread);
        }
        instance.release(thread);
    }
    // SAFETY: as the program says.
    unsafe { epoll_ctl(epoll, operation, fd, event) }
}

/// Waits on an epoll instance, in slices if there is no timeout.
fn on_epoll(epoll: i32, timeout: i32, pc: u64, wait: impl Fn(i32) -> i32) -> i32 {
    let Some(thread) = tracked() else {
        return wait(timeout);
    };
    if cycles::is_due() {
        let here = task::here();
        thread.load_calls(pc);
        cycles::look(&here);
    }
    let timed = timeout >= 0;
    let blocked = Blocked {
        call: Call::Events,
        timed,
        ..io(epoll, pc)
    };
    let ready = if timed {
        stuck::blocking(thread, &blocked, || wait(timeout))
    } else {
        idle::wait_for_events(thread, &blocked, wait)
    };
    has_events(thread, epoll, ready)
}

/// As [`on_epoll`], by another function.
fn on_epoll_once(epoll: i32, timed: bool, pc: u64, wait: impl FnOnce() -> i32) -> i32 {
    let Some(thread) = tracked() else {
        return wait();
    };
    let blocked = Blocked {
        timed,
        ..io(epoll, pc)
    };
    let ready = stuck::blocking(thread, &blocked, wait);
    has_events(thread, epoll, ready)
}

/// So many events have come.
fn has_events(thread: &mut Thread, epoll: i32, ready: i32) -> i32 {
    if ready > 0
        && let Some(instance) = fd::channel(epoll)
    {
        instance.acquire(thread);
    }
    ready
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_epoll_wait(
    epoll: i32,
    events: Events,
    count: i32,
    timeout: i32,
) -> i32 {
    // SAFETY: as the program says.
    on_epoll(epoll, timeout, return_address(), |timeout| unsafe {
        epoll_wait(epoll, events, count, timeout)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_epoll_pwait(
    epoll: i32,
    events: Events,
    count: i32,
    timeout: i32,
    mask: Mask,
) -> i32 {
    // SAFETY: as the program says.
    on_epoll_once(epoll, timeout >= 0, return_address(), || unsafe {
        epoll_pwait(epoll, events, count, timeout, mask)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_epoll_pwait2(
    epoll: i32,
    events: Events,
    count: i32,
    timeout: Time,
    mask: Mask,
) -> i32 {
    // SAFETY: as the program says.
    on_epoll_once(epoll, !timeout.is_null(), return_address(), || unsafe {
        epoll_pwait2(epoll, events, count, timeout, mask)
    })
}

/// Waits on several descriptors.
///
/// # Safety
/// `fds` has `count` entries, or is null.
unsafe fn on_several(
    fds: *const libc::pollfd,
    count: libc::nfds_t,
    timed: bool,
    pc: u64,
    wait: impl FnOnce() -> i32,
) -> i32 {
    let Some(thread) = tracked() else {
        return wait();
    };
    let call = if count == 0 { Call::Sleep } else { Call::Io };
    let blocked = Blocked {
        call,
        timed,
        ..io(0, pc)
    };
    let ready = stuck::blocking(thread, &blocked, wait);
    if ready > 0 && !fds.is_null() {
        // SAFETY: as the caller says.
        let fds = unsafe { std::slice::from_raw_parts(fds, count as usize) };
        for entry in fds.iter().filter(|entry| entry.revents != 0) {
            if let Some(channel) = fd::channel(entry.fd) {
                channel.acquire(thread);
            }
        }
    }
    ready
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_poll(
    fds: *mut libc::pollfd,
    count: libc::nfds_t,
    timeout: i32,
) -> i32 {
    let pc = return_address();
    // SAFETY: as the program says.
    unsafe { on_several(fds, count, timeout >= 0, pc, || poll(fds, count, timeout)) }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_ppoll(
    fds: *mut libc::pollfd,
    count: libc::nfds_t,
    timeout: Time,
    mask: Mask,
) -> i32 {
    let pc = return_address();
    // SAFETY: as the program says.
    unsafe {
        on_several(fds, count, !timeout.is_null(), pc, || {
            ppoll(fds, count, timeout, mask)
        })
    }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_select(
    count: i32,
    read: *mut libc::fd_set,
    write: *mut libc::fd_set,
    except: *mut libc::fd_set,
    timeout: *mut libc::timeval,
) -> i32 {
    let pc = return_address();
    // SAFETY: as the program says.
    let wait = || unsafe { select(count, read, write, except, timeout) };
    let Some(thread) = tracked() else {
        return wait();
    };
    let call = if count == 0 { Call::Sleep } else { Call::Io };
    let blocked = Blocked {
        call,
        timed: !timeout.is_null(),
        ..io(0, pc)
    };
    let ready = stuck::blocking(thread, &blocked, wait);
    if ready > 0 {
        for fd in 0..count {
            let is_set = |set: *mut libc::fd_set| {
                // SAFETY: the program passes sets of `count` bits, or null.
                !set.is_null() && unsafe { libc::FD_ISSET(fd, set) }
            };
            if (is_set(read) || is_set(write) || is_set(except))
                && let Some(channel) = fd::channel(fd)
            {
                channel.acquire(thread);
            }
        }
    }
    ready
}

fn asleep(pc: u64, sleep: impl FnOnce() -> i32) -> i32 {
    let Some(thread) = tracked() else {
        return sleep();
    };
    let blocked = Blocked {
        call: Call::Sleep,
        timed: true,
        ..io(0, pc)
    };
    stuck::blocking(thread, &blocked, sleep)
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_nanosleep(time: Time, left: *mut libc::timespec) -> i32 {
    // SAFETY: as the program says.
    asleep(return_address(), || unsafe { nanosleep(time, left) })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_clock_nanosleep(
    clock: i32,
    flags: i32,
    time: Time,
    left: *mut libc::timespec,
) -> i32 {
    // SAFETY: as the program says.
    asleep(return_address(), || unsafe {
        clock_nanosleep(clock, flags, time, left)
    })
}
