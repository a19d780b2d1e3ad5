//! The C library's memory and string functions, as instrumented code calls
//! them: reads and writes of their buffers.
//!
//! `memcmp` of a slice comparison is such a call. A call is followed only if
//! it comes straight from an instrumented function: C code has its own
//! synchronisation, which is not seen.

use std::ffi::c_void;

use super::caller::instrumented;
use super::mem::touch;
use super::real;
use crate::report::wire::AccessOp;

/// Who called a function of the C library.
pub struct Caller {
    /// Its frame pointer.
    pub frame: usize,
    /// Where in it.
    pub pc: u64,
}

impl Caller {
    /// True if it is an instrumented function: what it calls is followed.
    pub fn is_followed(&self) -> bool {
        instrumented(self.frame)
    }

    /// It reads a buffer.
    pub fn reads(&self, at: *const c_void, size: usize) {
        if self.is_followed() {
            touch(at as usize, size, AccessOp::Read, self.pc);
        }
    }

    /// It writes a buffer.
    pub fn writes(&self, at: *mut c_void, size: usize) {
        if self.is_followed() {
            touch(at as usize, size, AccessOp::Write, self.pc);
        }
    }
}

real::forward! {
    /// The C library's.
    fn memchr(at: *const c_void, byte: i32, n: usize) -> *mut c_void
}
real::forward! {
    /// The C library's.
    fn memrchr(at: *const c_void, byte: i32, n: usize) -> *mut c_void
}

/// A buffer that is read.
pub type Bytes = *const c_void;

unsafe extern "C" fn compare(a: Bytes, b: Bytes, n: usize, frame: usize, pc: u64) -> i32 {
    if instrumented(frame) {
        touch(a as usize, n, AccessOp::Read, pc);
        touch(b as usize, n, AccessOp::Read, pc);
    }
    // SAFETY: as the program says.
    unsafe { real::memcmp(a, b, n) }
}

unsafe extern "C" fn length(text: *const u8, _: usize, _: usize, frame: usize, pc: u64) -> usize {
    // SAFETY: as the program says.
    let len = unsafe { real::strlen(text) };
    Caller { frame, pc }.reads(text.cast(), len + 1);
    len
}

unsafe extern "C" fn find(at: Bytes, byte: i32, n: usize, frame: usize, pc: u64) -> *mut c_void {
    Caller { frame, pc }.reads(at, n);
    // SAFETY: as the program says.
    unsafe { memchr(at, byte, n) }
}

unsafe extern "C" fn rfind(at: Bytes, byte: i32, n: usize, frame: usize, pc: u64) -> *mut c_void {
    Caller { frame, pc }.reads(at, n);
    // SAFETY: as the program says.
    unsafe { memrchr(at, byte, n) }
}

unsafe extern "C" fn copy(
    to: *mut c_void,
    from: Bytes,
    n: usize,
    frame: usize,
    pc: u64,
) -> *mut c_void {
    let caller = Caller { frame, pc };
    caller.reads(from, n);
    caller.writes(to, n);
    // SAFETY: as the program says.
    unsafe { real::memmove(to, from, n) }
}

unsafe extern "C" fn set(
    to: *mut c_void,
    byte: i32,
    n: usize,
    frame: usize,
    pc: u64,
) -> *mut c_void {
    Caller { frame, pc }.writes(to, n);
    // SAFETY: as the program says.
    unsafe { real::memset(to, byte, n) }
}

/// Stubs that pass the caller's frame pointer and the return address.
macro_rules! stubs {
    ($($name:ident => $target:ident;)*) => {$(
        /// Interposed function of the C library.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name() {
            std::arch::naked_asm!("mov rcx, rbp", "mov r8, [rsp]", "jmp {}", sym $target)
        }
    )*};
}
pub(super) use stubs;

stubs! {
    __lc_interpose_memcmp => compare;
    __lc_interpose_bcmp => compare;
    __lc_interpose_strlen => length;
    __lc_interpose_memchr => find;
    __lc_interpose_memrchr => rfind;
    __lc_interpose_memcpy => copy;
    __lc_interpose_memmove => copy;
    __lc_interpose_memset => set;
}
