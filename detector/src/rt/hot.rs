//! What the hottest hooks read of the calling thread: four words of
//! thread-local storage, at an offset that assembly can name.
//!
//! The runtime is linked into executables, where such an offset is a constant
//! of the link (the *local-exec* model of ELF thread-local storage).
//!
//! | offset | word |
//! |---|---|
//! | 0 | the thread's record; null before it has one and after its end |
//! | 8 | its stamp: slot and epoch, as they go into cells |
//! | 16 | the cell of a plain write of all bytes of a granule |
//! | 24 | the cell of a plain read of them |
//!
//! Without a record, all are zero, which no cell is.

use std::arch::{asm, global_asm};

use super::thread::Thread;
use crate::shadow::word::{Access, Class, Mask};

global_asm!(
    ".pushsection .tbss.leakcheck_hot, \"awT\", @nobits",
    ".balign 32",
    ".globl __leakcheck_hot",
    ".hidden __leakcheck_hot",
    ".type __leakcheck_hot, @object",
    ".size __leakcheck_hot, 32",
    "__leakcheck_hot:",
    ".zero 32",
    ".popsection",
);

/// The record of the calling thread; null before it has one and after its end.
#[inline(always)]
pub fn current() -> *mut Thread {
    let record: *mut Thread;
    // SAFETY: reads a word of this thread's block.
    unsafe {
        asm!(
            "mov {}, qword ptr fs:[__leakcheck_hot@tpoff]",
            out(reg) record,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    record
}

/// Sets the record of the calling thread, and with it all that follows from
/// it.
///
/// # Safety
/// A record is this thread's from here on.
pub unsafe fn set_current(record: *mut Thread) {
    // SAFETY: as the caller says.
    let stamp = unsafe { record.as_ref() }.map_or(0, Thread::stamp);
    // SAFETY: writes a word of this thread's block.
    unsafe {
        asm!(
            "mov qword ptr fs:[__leakcheck_hot@tpoff], {}",
            in(reg) record,
            options(nostack, preserves_flags),
        );
    }
    set_stamp(stamp);
}

/// Sets the stamp of the calling thread; zero if it has no record.
#[inline(always)]
pub fn set_stamp(stamp: u64) {
    const WRITE: u64 = Access::write(Class::Plain).bits() | Mask::MAX as u64;
    const READ: u64 = Access::read(Class::Plain).bits() | Mask::MAX as u64;
    let whole = |access: u64| if stamp == 0 { 0 } else { stamp | access };
    // SAFETY: writes words of this thread's block.
    unsafe {
        asm!(
            "mov qword ptr fs:[__leakcheck_hot@tpoff + 8], {}",
            "mov qword ptr fs:[__leakcheck_hot@tpoff + 16], {}",
            "mov qword ptr fs:[__leakcheck_hot@tpoff + 24], {}",
            in(reg) stamp,
            in(reg) whole(WRITE),
            in(reg) whole(READ),
            options(nostack, preserves_flags),
        );
    }
}
