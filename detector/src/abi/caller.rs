//! Where an interposed function was called from.

use std::arch::asm;

/// The return address of the function that this is inlined into, which must
/// not itself be inlined: an interposed function, called by the program alone.
/// The runtime is built with frame pointers.
#[inline(always)]
pub fn return_address() -> u64 {
    let pc: u64;
    // SAFETY: with a frame pointer, the return address lies above the saved
    // one.
    unsafe { asm!("mov {}, [rbp + 8]", out(reg) pc, options(nostack, readonly)) };
    pc
}
