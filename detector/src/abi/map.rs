//! `mmap`, `munmap`, `mremap`: memory that begins anew.

use std::ffi::c_void;
use std::ops::Range;

use super::caller;
use super::real;
use crate::check;
use crate::objects;
use crate::rt::hot::current;
use crate::rt::lock::Spin;
use crate::shadow::map;

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

/// What instrumented code has mapped: memory whose users synchronise where it
/// is seen, unlike that of an allocator in C.
static MAPPED: Spin<Vec<Range<usize>>> = Spin::new(Vec::new());

/// True if instrumented code mapped the memory at `addr`.
pub fn is_mapped(addr: usize) -> bool {
    MAPPED.lock().iter().any(|range| range.contains(&addr))
}

/// What instrumented code has mapped.
pub fn mapped() -> Vec<Range<usize>> {
    MAPPED.lock().clone()
}

/// The range is mapped, by instrumented code or not.
fn note(range: Range<usize>, by_instrumented: bool) {
    let mut mapped = MAPPED.lock();
    mapped.retain(|known| known.end <= range.start || range.end <= known.start);
    if by_instrumented {
        mapped.push(range);
    }
}

/// A hint where to map, dropped if that place has no shadow: the kernel is free
/// not to follow it, and chooses a place that has.
fn within(at: *mut c_void, size: usize, flags: i32) -> *mut c_void {
    let fixed = flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0;
    if fixed || map::covers(at as usize, size) {
        at
    } else {
        std::ptr::null_mut()
    }
}

/// Nothing is known of the range any more.
fn anew(range: Range<usize>) {
    // SAFETY: the record belongs to this thread.
    if let Some(thread) = unsafe { current().as_mut() }
        && thread.busy == 0
    {
        thread.busy += 1;
        objects::drop_range(thread, range.clone());
        check::fresh(range, None);
        thread.busy -= 1;
    }
}

/// `mmap` as the program calls it, under either name. Inlined, since it looks at
/// the caller of the interposed function.
///
/// # Safety
/// As the C function.
#[inline(always)]
unsafe fn map_anew(
    at: *mut c_void,
    size: usize,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: i64,
) -> *mut c_void {
    // SAFETY: as the program says.
    let got = unsafe { mmap(within(at, size, flags), size, protection, flags, fd, offset) };
    if got != libc::MAP_FAILED {
        let range = got as usize..got as usize + size;
        note(range.clone(), caller::instrumented(caller::frame()));
        anew(range);
    }
    got
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
    unsafe { map_anew(at, size, protection, flags, fd, offset) }
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
    unsafe { map_anew(at, size, protection, flags, fd, offset) }
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_munmap(at: *mut c_void, size: usize) -> i32 {
    // Before, since another thread may get the memory as soon as it is free.
    let range = at as usize..(at as usize).saturating_add(size);
    note(range.clone(), false);
    anew(range);
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
        let ours = is_mapped(at as usize);
        if got != at {
            note(at as usize..at as usize + old, false);
            anew(at as usize..at as usize + old);
            anew(got as usize..got as usize + size);
        } else if size > old {
            anew(at as usize + old..at as usize + size);
        }
        note(got as usize..got as usize + size, ours);
    }
    got
}
