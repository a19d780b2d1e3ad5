//! `read`, `write` and their family: the bytes go through a channel, and the
//! buffers are accessed.

use std::ffi::c_void;

use super::caller::return_address;
use super::edge::tracked;
use super::fd;
use super::mem::touch;
use super::real;
use super::stuck;
use crate::report::wire::AccessOp;
use crate::rt::sys;
use crate::rt::waiting::{Blocked, Call};

/// What a call does with the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the channel into memory.
    In,
    /// From memory into the channel.
    Out,
}

/// A wait for the world outside.
pub(super) fn io(fd: i32, pc: u64) -> Blocked {
    Blocked {
        call: Call::Io,
        addr: fd as usize,
        expected: 0,
        timed: false,
        private: true,
        target: None,
        pc,
    }
}

/// The buffers of an `iovec` array.
///
/// # Safety
/// As the program passed it to the C library.
pub(super) unsafe fn buffers(vector: *const libc::iovec, count: usize) -> Vec<(usize, usize)> {
    if vector.is_null() {
        return Vec::new();
    }
    // SAFETY: as the caller says.
    let vector = unsafe { std::slice::from_raw_parts(vector, count) };
    vector
        .iter()
        .map(|part| (part.iov_base as usize, part.iov_len))
        .collect()
}

/// Accesses the first `len` bytes of the buffers.
fn access(buffers: &[(usize, usize)], mut len: usize, op: AccessOp, pc: u64) {
    for &(addr, size) in buffers {
        let part = size.min(len);
        touch(addr, part, op, pc);
        len -= part;
    }
}

/// Makes a call that moves bytes between a descriptor and memory.
pub(super) fn transfer(
    fd: i32,
    direction: Direction,
    buffers: &[(usize, usize)],
    pc: u64,
    call: impl FnOnce() -> isize,
) -> isize {
    let Some(thread) = tracked() else {
        return call();
    };
    match direction {
        Direction::Out => {
            access(buffers, usize::MAX, AccessOp::Read, pc);
            if let Some(channel) = fd::outgoing(fd) {
                channel.release(thread);
            }
            call()
        }
        Direction::In => {
            let Some(channel) = fd::channel(fd) else {
                let n = stuck::blocking(thread, &io(fd, pc), call);
                access(
                    buffers,
                    usize::try_from(n).unwrap_or(0),
                    AccessOp::Write,
                    pc,
                );
                return n;
            };
            let n = stuck::blocking(thread, &io(fd, pc), call);
            if let Ok(n) = usize::try_from(n) {
                channel.acquire(thread);
                access(buffers, n, AccessOp::Write, pc);
            }
            n
        }
    }
}

/// Interposed functions with one buffer.
macro_rules! one_buffer {
    ($($export:literal $name:ident($direction:ident, $buffer:ident $(, $arg:ident: $type:ty)*);)*) => {$(
        real::forward! {
            /// The C library's.
            pub fn $name(fd: i32, $buffer: *mut c_void, size: usize $(, $arg: $type)*) -> isize
        }

        const _: () = {
            /// Interposed function of the C library.
            #[unsafe(export_name = $export)]
            unsafe extern "C" fn interposed(
                fd: i32,
                $buffer: *mut c_void,
                size: usize
                $(, $arg: $type)*
            ) -> isize {
                let buffers = [($buffer as usize, size)];
                transfer(fd, Direction::$direction, &buffers, return_address(), || {
                    // SAFETY: as the program says, which calls this function.
                    unsafe { $name(fd, $buffer, size $(, $arg)*) }
                })
            }
        };
    )*};
}

one_buffer! {
    "__lc_interpose_read" read(In, buffer);
    "__lc_interpose_write" write(Out, buffer);
    "__lc_interpose_pread" pread(In, buffer, offset: i64);
    "__lc_interpose_pread64" pread64(In, buffer, offset: i64);
    "__lc_interpose_pwrite" pwrite(Out, buffer, offset: i64);
    "__lc_interpose_pwrite64" pwrite64(Out, buffer, offset: i64);
    "__lc_interpose_send" send(Out, buffer, flags: i32);
    "__lc_interpose_recv" recv(In, buffer, flags: i32);
}

real::forward! {
    /// The C library's.
    fn readv(fd: i32, vector: *const libc::iovec, count: i32) -> isize
}
real::forward! {
    /// The C library's.
    fn writev(fd: i32, vector: *const libc::iovec, count: i32) -> isize
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_readv(
    fd: i32,
    vector: *const libc::iovec,
    count: i32,
) -> isize {
    // SAFETY: as the program says.
    let buffers = unsafe { buffers(vector, usize::try_from(count).unwrap_or(0)) };
    // SAFETY: as the program says.
    transfer(fd, Direction::In, &buffers, return_address(), || unsafe {
        readv(fd, vector, count)
    })
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_writev(
    fd: i32,
    vector: *const libc::iovec,
    count: i32,
) -> isize {
    // SAFETY: as the program says.
    let buffers = unsafe { buffers(vector, usize::try_from(count).unwrap_or(0)) };
    // SAFETY: as the program says.
    transfer(fd, Direction::Out, &buffers, return_address(), || unsafe {
        writev(fd, vector, count)
    })
}

/// What the runtime itself, its std, calls under these names: the kernel's.
mod own {
    use super::sys;

    /// The C library's convention for errors.
    fn result(value: isize) -> isize {
        if value >= 0 {
            return value;
        }
        // SAFETY: the C library's own place for this thread's errno.
        unsafe { *libc::__errno_location() = -value as i32 };
        -1
    }

    macro_rules! own {
        ($($export:literal $name:ident $number:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
            #[unsafe(export_name = $export)]
            unsafe extern "C" fn $name($($arg: $type),*) -> $result {
                let mut arguments = [0usize; 6];
                for (at, value) in [$($arg as usize),*].into_iter().enumerate() {
                    arguments[at] = value;
                }
                // SAFETY: as the caller says.
                result(unsafe { sys::call(libc::$number, arguments) }) as $result
            }
        )*};
    }

    own! {
        "__lc_real_read" read SYS_read(fd: i32, buffer: usize, size: usize) -> isize;
        "__lc_real_write" write SYS_write(fd: i32, buffer: usize, size: usize) -> isize;
        "__lc_real_pread64" pread64 SYS_pread64(fd: i32, buffer: usize, size: usize, at: i64) -> isize;
        "__lc_real_readv" readv SYS_readv(fd: i32, vector: usize, count: i32) -> isize;
        "__lc_real_writev" writev SYS_writev(fd: i32, vector: usize, count: i32) -> isize;
        "__lc_real_close" close SYS_close(fd: i32) -> i32;
        "__lc_real_poll" poll SYS_poll(fds: usize, count: u64, timeout: i32) -> i32;
        "__lc_real_nanosleep" nanosleep SYS_nanosleep(time: usize, left: usize) -> i32;
    }
}
