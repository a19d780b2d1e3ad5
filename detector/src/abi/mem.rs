//! `__tsan_memcpy`, `__tsan_memmove`, `__tsan_memset`: the compiler's memory
//! intrinsics in instrumented code.

use std::arch::naked_asm;
use std::ffi::c_void;
use std::sync::atomic::Ordering;

use super::real;
use crate::check::{self, Seen, recorded};
use crate::report::wire::AccessOp;
use crate::rt::hot::current;
use crate::rt::mode;
use crate::shadow::map;
use crate::shadow::word::{Access, Cell, Class, GRANULE, Mask};

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

/// Bytes up to which the granules of an access are looked at one by one.
const SHORT: usize = 2 * GRANULE;

const READ: bool = false;
const WRITE: bool = true;

/// As [`touch`], for one kind of access: the check folds to what it needs.
#[inline(always)]
fn range<const KIND: bool>(addr: usize, size: usize, op: AccessOp, pc: u64) {
    if check::is_long(size) {
        check_range::<KIND, true>(addr, size, op, pc);
    } else if !is_recorded::<KIND>(addr, size) {
        if size <= SHORT {
            check_short::<KIND>(addr, size, op, pc);
        } else {
            check_range::<KIND, false>(addr, size, op, pc);
        }
    }
}

/// True if the access is recorded already, as far as a look at one granule, or
/// at the first words of whole ones, tells.
#[inline(always)]
fn is_recorded<const KIND: bool>(addr: usize, size: usize) -> bool {
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_ref() }) else {
        return true;
    };
    if !map::covers(addr, size) {
        return false;
    }
    let access = const { access_of::<KIND>() };
    let cell = thread.stamp() | access.bits();
    if addr % GRANULE + size <= GRANULE {
        let mask = (((1u16 << size) - 1) << (addr % GRANULE)) as Mask;
        // SAFETY: covered, as just checked.
        return unsafe { recorded(addr, Cell::from_bits(cell | u64::from(mask))) };
    }
    let whole = cell | u64::from(Mask::MAX);
    let read = access.bits() & Access::read(Class::Plain).bits();
    // SAFETY: covered, as just checked.
    let first = |at| unsafe { map::front(at) }[0].load(Ordering::Relaxed);
    (addr | size).is_multiple_of(GRANULE)
        && (addr..addr + size)
            .step_by(GRANULE)
            .all(|at| first(at) | read == whole)
}

/// The access of a kind.
const fn access_of<const KIND: bool>() -> Access {
    match KIND {
        READ => Access::read(Class::Plain),
        WRITE => Access::write(Class::Plain),
    }
}

/// An access to few granules.
#[inline(never)]
fn check_short<const KIND: bool>(addr: usize, size: usize, op: AccessOp, pc: u64) {
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_mut() }) else {
        return;
    };
    let seen = Seen {
        addr,
        size,
        access: const { access_of::<KIND>() },
        op,
        pc,
    };
    check::short(thread, seen);
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
    let seen = Seen {
        addr,
        size,
        access: const { access_of::<KIND>() },
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
