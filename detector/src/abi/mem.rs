//! `__tsan_memcpy`, `__tsan_memmove`, `__tsan_memset`: the compiler's memory
//! intrinsics in instrumented code.

use std::arch::naked_asm;
use std::ffi::c_void;

use super::real;
use crate::check::{self, Seen};
use crate::report::wire::AccessOp;
use crate::rt::hot::current;
use crate::rt::mode;
use crate::shadow::word::{Access, Class};

/// Checks an access of the calling thread to a range.
#[inline]
pub fn touch(addr: usize, size: usize, op: AccessOp, pc: u64) {
    if size == 0 || mode::leaks_alone() {
        return;
    }
    match op {
        AccessOp::Read => range::<READ>(addr, size, op, pc),
        AccessOp::Write | AccessOp::Free | AccessOp::Return => {
            range::<WRITE>(addr, size, op, pc);
        }
    }
}

const READ: bool = false;
const WRITE: bool = true;

/// As [`touch`], for one kind of access: the check folds to what it needs.
#[inline(always)]
fn range<const KIND: bool>(addr: usize, size: usize, op: AccessOp, pc: u64) {
    if check::is_long(size) {
        check_range::<KIND, true>(addr, size, op, pc);
    } else {
        check_range::<KIND, false>(addr, size, op, pc);
    }
}

#[inline(never)]
fn check_range<const KIND: bool, const LONG: bool>(
    addr: usize,
    size: usize,
    op: AccessOp,
    pc: u64,
) {
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_mut() }) else {
        return;
    };
    let access = match KIND {
        READ => Access::read(Class::Plain),
        WRITE => Access::write(Class::Plain),
    };
    let seen = Seen {
        addr,
        size,
        access,
        op,
        pc,
    };
    check::access_range::<LONG>(thread, seen);
}

unsafe extern "C" fn copy(to: *mut c_void, from: *const c_void, n: usize, pc: u64) -> *mut c_void {
    touch(from as usize, n, AccessOp::Read, pc);
    touch(to as usize, n, AccessOp::Write, pc);
    // SAFETY: as the program says.
    unsafe { real::memmove(to, from, n) }
}

unsafe extern "C" fn set(to: *mut c_void, byte: i32, n: usize, pc: u64) -> *mut c_void {
    touch(to as usize, n, AccessOp::Write, pc);
    // SAFETY: as the program says.
    unsafe { real::memset(to, byte, n) }
}

macro_rules! stubs {
    ($($name:ident => $target:ident;)*) => {$(
        /// Hook of the compiler's instrumentation, or the C function.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(to: *mut c_void, from: usize, n: usize) -> *mut c_void {
            naked_asm!("mov rcx, [rsp]", "jmp {}", sym $target)
        }
    )*};
}

stubs! {
    __tsan_memcpy => copy;
    __tsan_memmove => copy;
    __tsan_memset => set;
}
