//! The C library's functions on strings that end in a NUL.
//!
//! Followed where [`super::strings`] is: called straight from an instrumented
//! function.
//!
//! What it misses: `strtok`, `strstr` and the other searches, wide strings and
//! formatted ones.

use std::ffi::c_void;

use super::real;
use super::strings::{Bytes, Caller, stubs};

/// Bytes of a string with its NUL.
fn whole(text: Bytes) -> usize {
    // SAFETY: the program hands it to the C library as a string.
    unsafe { real::strlen(text.cast()) + 1 }
}

/// Bytes of a string with its NUL, at most `n`.
fn at_most(text: Bytes, n: usize) -> usize {
    let text = text.cast::<u8>();
    // SAFETY: the C library reads as far.
    let ends = |i: &usize| unsafe { *text.add(*i) } == 0;
    (0..n).find(ends).map_or(n, |end| end + 1)
}

/// Bytes that a comparison of `n` bytes at most reads of each string.
fn compared(a: Bytes, b: Bytes, n: usize) -> usize {
    let (a, b) = (a.cast::<u8>(), b.cast::<u8>());
    let decides = |i: &usize| {
        // SAFETY: the C library reads as far.
        let (left, right) = unsafe { (*a.add(*i), *b.add(*i)) };
        left == 0 || left != right
    };
    (0..n).find(decides).map_or(n, |end| end + 1)
}

macro_rules! real_functions {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
        real::forward! {
            /// The C library's.
            fn $name($($arg: $type),*) -> $result
        }
    )*};
}

real_functions! {
    fn strcpy(to: *mut c_void, from: Bytes) -> *mut c_void;
    fn stpcpy(to: *mut c_void, from: Bytes) -> *mut c_void;
    fn strncpy(to: *mut c_void, from: Bytes, n: usize) -> *mut c_void;
    fn strcat(to: *mut c_void, from: Bytes) -> *mut c_void;
    fn strcmp(a: Bytes, b: Bytes) -> i32;
    fn strncmp(a: Bytes, b: Bytes, n: usize) -> i32;
    fn strnlen(text: Bytes, n: usize) -> usize;
    fn strdup(text: Bytes) -> *mut c_void;
}

unsafe extern "C" fn copy(
    to: *mut c_void,
    from: Bytes,
    _: usize,
    frame: usize,
    pc: u64,
) -> *mut c_void {
    let caller = Caller { frame, pc };
    if caller.is_followed() {
        let size = whole(from);
        caller.reads(from, size);
        caller.writes(to, size);
    }
    // SAFETY: as the program says.
    unsafe { strcpy(to, from) }
}

unsafe extern "C" fn copy_to_end(
    to: *mut c_void,
    from: Bytes,
    _: usize,
    frame: usize,
    pc: u64,
) -> *mut c_void {
    let caller = Caller { frame, pc };
    if caller.is_followed() {
        let size = whole(from);
        caller.reads(from, size);
        caller.writes(to, size);
    }
    // SAFETY: as the program says.
    unsafe { stpcpy(to, from) }
}

unsafe extern "C" fn copy_at_most(
    to: *mut c_void,
    from: Bytes,
    n: usize,
    frame: usize,
    pc: u64,
) -> *mut c_void {
    let caller = Caller { frame, pc };
    if caller.is_followed() {
        caller.reads(from, at_most(from, n));
        // The rest is filled with zeros.
        caller.writes(to, n);
    }
    // SAFETY: as the program says.
    unsafe { strncpy(to, from, n) }
}

unsafe extern "C" fn append(
    to: *mut c_void,
    from: Bytes,
    _: usize,
    frame: usize,
    pc: u64,
) -> *mut c_void {
    let caller = Caller { frame, pc };
    if caller.is_followed() {
        let (size, before) = (whole(from), whole(to));
        caller.reads(from, size);
        caller.reads(to, before);
        caller.writes(to.wrapping_byte_add(before - 1), size);
    }
    // SAFETY: as the program says.
    unsafe { strcat(to, from) }
}

unsafe extern "C" fn compare(a: Bytes, b: Bytes, _: usize, frame: usize, pc: u64) -> i32 {
    let caller = Caller { frame, pc };
    if caller.is_followed() {
        let size = compared(a, b, usize::MAX);
        caller.reads(a, size);
        caller.reads(b, size);
    }
    // SAFETY: as the program says.
    unsafe { strcmp(a, b) }
}

unsafe extern "C" fn compare_at_most(a: Bytes, b: Bytes, n: usize, frame: usize, pc: u64) -> i32 {
    let caller = Caller { frame, pc };
    if caller.is_followed() {
        let size = compared(a, b, n);
        caller.reads(a, size);
        caller.reads(b, size);
    }
    // SAFETY: as the program says.
    unsafe { strncmp(a, b, n) }
}

unsafe extern "C" fn length_at_most(
    text: Bytes,
    n: usize,
    _: usize,
    frame: usize,
    pc: u64,
) -> usize {
    let caller = Caller { frame, pc };
    if caller.is_followed() {
        caller.reads(text, at_most(text, n));
    }
    // SAFETY: as the program says.
    unsafe { strnlen(text, n) }
}

unsafe extern "C" fn duplicate(
    text: Bytes,
    _: usize,
    _: usize,
    frame: usize,
    pc: u64,
) -> *mut c_void {
    let caller = Caller { frame, pc };
    if caller.is_followed() {
        caller.reads(text, whole(text));
    }
    // SAFETY: as the program says.
    unsafe { strdup(text) }
}

stubs! {
    __lc_interpose_strcpy => copy;
    __lc_interpose_stpcpy => copy_to_end;
    __lc_interpose_strncpy => copy_at_most;
    __lc_interpose_strcat => append;
    __lc_interpose_strcmp => compare;
    __lc_interpose_strncmp => compare_at_most;
    __lc_interpose_strnlen => length_at_most;
    __lc_interpose_strdup => duplicate;
}
