//! Descriptors that are made, duplicated and closed.

use super::edge::tracked;
use super::fd;
use super::real;
use crate::rt::thread::Thread;

real::forward! {
    /// The C library's.
    fn pipe(fds: *mut [i32; 2]) -> i32
}
real::forward! {
    /// The C library's.
    fn pipe2(fds: *mut [i32; 2], flags: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn socketpair(domain: i32, kind: i32, protocol: i32, fds: *mut [i32; 2]) -> i32
}
real::forward! {
    /// The C library's.
    fn eventfd(value: u32, flags: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn dup(fd: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn dup2(fd: i32, copy: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn dup3(fd: i32, copy: i32, flags: i32) -> i32
}
real::forward! {
    /// The C library's, which takes its argument as a variable one: in the
    /// same register.
    fn fcntl(fd: i32, command: i32, argument: usize) -> i32
}
real::forward! {
    /// The C library's.
    fn close(fd: i32) -> i32
}
real::forward! {
    /// The C library's.
    fn shutdown(fd: i32, how: i32) -> i32
}

/// Follows a call that returned `result`, if it succeeded.
pub(super) fn after(result: i32, follow: impl FnOnce(&mut Thread)) -> i32 {
    if result >= 0
        && let Some(thread) = tracked()
    {
        thread.busy += 1;
        follow(thread);
        thread.busy -= 1;
    }
    result
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pipe(fds: *mut [i32; 2]) -> i32 {
    // SAFETY: as the program says.
    let result = unsafe { pipe(fds) };
    // SAFETY: both descriptors are set on success.
    after(result, |_| fd::opened_pair(unsafe { *fds }))
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_pipe2(fds: *mut [i32; 2], flags: i32) -> i32 {
    // SAFETY: as the program says.
    let result = unsafe { pipe2(fds, flags) };
    // SAFETY: both descriptors are set on success.
    after(result, |_| fd::opened_pair(unsafe { *fds }))
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_socketpair(
    domain: i32,
    kind: i32,
    protocol: i32,
    fds: *mut [i32; 2],
) -> i32 {
    // SAFETY: as the program says.
    let result = unsafe { socketpair(domain, kind, protocol, fds) };
    // SAFETY: both descriptors are set on success.
    after(result, |_| fd::opened_pair(unsafe { *fds }))
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_eventfd(value: u32, flags: i32) -> i32 {
    // SAFETY: as the program says.
    let fd = unsafe { eventfd(value, flags) };
    after(fd, |_| fd::opened(fd))
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_dup(fd: i32) -> i32 {
    // SAFETY: as the program says.
    let copy = unsafe { dup(fd) };
    after(copy, |_| fd::duplicated(fd, copy))
}

/// A duplicate takes the place of `copy`, which is closed.
fn replace(fd: i32, copy: i32, call: impl FnOnce() -> i32) -> i32 {
    if fd != copy
        && let Some(thread) = tracked()
        && let Some(channel) = fd::closing(copy)
    {
        channel.release(thread);
    }
    let result = call();
    after(result, |_| {
        if fd != copy {
            fd::duplicated(fd, copy);
        }
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_dup2(fd: i32, copy: i32) -> i32 {
    // SAFETY: as the program says.
    replace(fd, copy, || unsafe { dup2(fd, copy) })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_dup3(fd: i32, copy: i32, flags: i32) -> i32 {
    // SAFETY: as the program says.
    replace(fd, copy, || unsafe { dup3(fd, copy, flags) })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_fcntl(fd: i32, command: i32, argument: usize) -> i32 {
    // SAFETY: as the program says.
    let result = unsafe { fcntl(fd, command, argument) };
    if matches!(command, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) {
        after(result, |_| fd::duplicated(fd, result));
    }
    result
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_fcntl64(fd: i32, command: i32, argument: usize) -> i32 {
    // SAFETY: as the program says.
    unsafe { __lc_interpose_fcntl(fd, command, argument) }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_close(fd: i32) -> i32 {
    if let Some(thread) = tracked()
        && let Some(channel) = fd::closing(fd)
    {
        channel.release(thread);
    }
    // SAFETY: as the program says.
    unsafe { close(fd) }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_shutdown(fd: i32, how: i32) -> i32 {
    if let Some(thread) = tracked()
        && let Some(channel) = fd::channel(fd)
    {
        channel.release(thread);
    }
    // SAFETY: as the program says.
    unsafe { shutdown(fd, how) }
}
