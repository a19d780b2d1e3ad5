//! The registers of a thread that its callers want back unchanged: what a
//! thread holds there while it is blocked is nowhere in memory.

use std::arch::asm;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many.
pub const REGISTERS: usize = 6;

/// Their values at one moment.
#[derive(Debug)]
pub struct Registers([AtomicUsize; REGISTERS]);

impl Registers {
    /// Not saved yet.
    pub const fn new() -> Self {
        Self([const { AtomicUsize::new(0) }; REGISTERS])
    }

    /// Saves those of the calling thread.
    #[inline]
    pub fn save(&self) {
        let mut now = [0usize; REGISTERS];
        // SAFETY: writes the registers to six words that are there.
        unsafe {
            asm!(
                "mov [{to}], rbx",
                "mov [{to} + 8], rbp",
                "mov [{to} + 16], r12",
                "mov [{to} + 24], r13",
                "mov [{to} + 32], r14",
                "mov [{to} + 40], r15",
                to = in(reg) now.as_mut_ptr(),
                options(nostack, preserves_flags),
            );
        }
        for (slot, value) in self.0.iter().zip(now) {
            slot.store(value, Ordering::Relaxed);
        }
    }

    /// The frame pointer that was saved last.
    pub fn frame(&self) -> usize {
        self.0[1].load(Ordering::Relaxed)
    }

    /// What was saved last.
    pub fn get(&self) -> [usize; REGISTERS] {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}

impl Default for Registers {
    fn default() -> Self {
        Self::new()
    }
}
