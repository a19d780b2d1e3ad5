//! The calls of a thread, by its frame pointers: of programs that are not
//! instrumented and so keep no shadow stack.
//!
//! The program is built with frame pointers, and the standard library is
//! shipped with them. What this misses: code without, in C or assembly. A walk
//! ends there, or leaves calls out; it never leaves the thread's stack.

use std::arch::asm;
use std::ops::Range;

use super::Thread;
use crate::rt::mode;

const WORD: usize = size_of::<usize>();

/// The frame of the function that this is inlined into.
#[inline(always)]
pub fn own_frame() -> usize {
    let frame: usize;
    // SAFETY: reads a register; a register that the caller wants back is
    // written, so that the frame is set up before.
    unsafe {
        asm!(
            "mov {}, rbp",
            out(reg) frame,
            out("r15") _,
            options(nomem, nostack, preserves_flags),
        );
    }
    frame
}

/// Calls `with` for each call around the function that has `frame`, innermost
/// first, with that function's frame and its return address, until it returns
/// false or the frames end. `read` reads two words of the stack.
#[inline(always)]
pub fn walk(
    frame: usize,
    stack: &Range<usize>,
    read: impl Fn(usize) -> Option<[usize; 2]>,
    mut with: impl FnMut(usize, u64) -> bool,
) {
    let mut frame = frame;
    while frame.is_multiple_of(WORD) && stack.start <= frame && frame + 2 * WORD <= stack.end {
        let Some([outer, pc]) = read(frame) else {
            return;
        };
        if pc == 0 || !with(frame, pc as u64) || outer <= frame {
            return;
        }
        frame = outer;
    }
}

impl Thread {
    /// Calls `with` for each call around the function that has `frame`, on this
    /// thread's own stack: see [`walk`].
    #[inline(always)]
    pub fn walk(&self, frame: usize, with: impl FnMut(usize, u64) -> bool) {
        let read = |at: usize| {
            // SAFETY: two words of the calling thread's own stack, above the
            // frame of a function that has not returned.
            Some(unsafe { (at as *const [usize; 2]).read_volatile() })
        };
        walk(frame, &self.stack, read, with);
    }

    /// Where races are left out: takes the calls around the place `pc`, which
    /// called the runtime, from the frame pointers. Else, they are there.
    #[inline]
    pub fn load_calls(&mut self, pc: u64) {
        if mode::leaks_alone() {
            self.load_calls_around(own_frame(), Some(pc));
        }
    }

    /// Takes the calls around the function that has `frame` from the frame
    /// pointers: from the one that returns to `pc` on, if that is given.
    #[inline(never)]
    pub fn load_calls_around(&mut self, frame: usize, pc: Option<u64>) {
        let mut outside = pc.is_none();
        let mut top = self.frames;
        self.walk(frame, |_, call| {
            if outside {
                // SAFETY: the shadow stack has room for as many frames as the
                // stack has.
                unsafe {
                    top.write(call);
                    top = top.add(1);
                }
            } else {
                outside = Some(call) == pc;
            }
            true
        });
        self.top = top;
        // SAFETY: the entries below `top` are initialised.
        unsafe {
            let len = top.offset_from_unsigned(self.frames);
            std::slice::from_raw_parts_mut(self.frames, len).reverse();
        }
    }
}
