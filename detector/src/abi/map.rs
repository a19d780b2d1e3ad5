//! `mmap`, `munmap`, `mremap`: memory that begins anew.

use std::ffi::c_void;
use std::ops::Range;

use super::real;
use crate::check;
use crate::objects;
use crate::rt::thread::current;

real::forward! {
    /// The C library's.
    pub fn mmap(at: *mut c_void, size: usize, protection: i32, flags: i32, fd: i32, offset: i64) -> *mut c_void
}
real::forward! {
    /// The C library's.
    pub fn munmap(at: *mut c_void, size: usize) -> i32
}
real::forward! {
    /// The C library's.
    fn mremap(at: *mut c_void, old: usize, size: usize, flags: i32, to: *mut c_void) -> *mut c_void
}

/// Nothing is known of the range any more.
fn anew(range: Range<usize>) {
    // SAFETY: the record belongs to this thread.
    if let Some(thread) = unsafe { current().as_mut() }
        && thread.busy == 0
    {
        thread.busy += 1;
        objects::drop_range(thread, range.clone());
        check::fresh(range);
        thread.busy -= 1;
    }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_mmap(
    at: *mut c_void,
    size: usize,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: i64,
) -> *mut c_void {
    // SAFETY: as the program says.
    let got = unsafe { mmap(at, size, protection, flags, fd, offset) };
    if got != libc::MAP_FAILED {
        anew(got as usize..got as usize + size);
    }
    got
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_mmap64(
    at: *mut c_void,
    size: usize,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: i64,
) -> *mut c_void {
    // SAFETY: as the program says.
    unsafe { __lc_interpose_mmap(at, size, protection, flags, fd, offset) }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_munmap(at: *mut c_void, size: usize) -> i32 {
    // Before, since another thread may get the memory as soon as it is free.
    anew(at as usize..(at as usize).saturating_add(size));
    // SAFETY: as the program says.
    unsafe { munmap(at, size) }
}

/// Interposed function of the C library. The fifth argument is there only with
/// `MREMAP_FIXED`; otherwise it is whatever the register holds.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_mremap(
    at: *mut c_void,
    old: usize,
    size: usize,
    flags: i32,
    to: *mut c_void,
) -> *mut c_void {
    // SAFETY: as the program says.
    let got = unsafe { mremap(at, old, size, flags, to) };
    if got != libc::MAP_FAILED {
        if got != at {
            anew(at as usize..at as usize + old);
            anew(got as usize..got as usize + size);
        } else if size > old {
            anew(at as usize + old..at as usize + size);
        }
    }
    got
}
