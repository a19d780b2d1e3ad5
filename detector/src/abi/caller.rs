//! Where an interposed function was called from.

use std::arch::asm;

use crate::rt::hot::current;
use crate::rt::mode;

/// The return address of the function that this is inlined into, which must
/// not itself be inlined: an interposed function, called by the program alone.
/// The runtime is built with frame pointers. A register that the caller wants
/// back is written, for that keeps the compiler from setting up the frame after
/// the look into it, on the path that needs one.
#[inline(always)]
pub fn return_address() -> u64 {
    let pc: u64;
    // SAFETY: with a frame pointer, the return address lies above the saved
    // one.
    unsafe {
        asm!(
            "mov {}, [rbp + 8]",
            out(reg) pc,
            out("r15") _,
            options(nostack, readonly),
        );
    }
    pc
}

/// The frame pointer of the caller of the function that this is inlined into.
#[inline(always)]
pub fn frame() -> usize {
    let frame: usize;
    // SAFETY: with a frame pointer, the caller's is saved where it points.
    unsafe {
        asm!(
            "mov {}, [rbp]",
            out(reg) frame,
            out("r15") _,
            options(nostack, readonly),
        );
    }
    frame
}

/// True if `frame`, the caller's frame pointer, is the frame of the innermost
/// instrumented function: the return address in it is the one that the
/// function's entry hook was given.
pub fn instrumented(frame: usize) -> bool {
    const WORD: usize = size_of::<u64>();
    if mode::leaks_alone() {
        return false;
    }
    // SAFETY: the record belongs to this thread.
    let Some(thread) = (unsafe { current().as_ref() }) else {
        return false;
    };
    let Some(&called_at) = thread.frames().last() else {
        return false;
    };
    let inside = thread.stack.contains(&frame) && thread.stack.contains(&(frame + WORD));
    // SAFETY: the address lies in this thread's own stack.
    thread.busy == 0
        && inside
        && frame.is_multiple_of(WORD)
        && unsafe { ((frame + WORD) as *const u64).read() } == called_at
}
