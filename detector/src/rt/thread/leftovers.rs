//! What earlier calls of a thread have left below its stack pointer.
//!
//! A function does not write all of its frame, so that words of calls that are long over
//! stay in frames to come, and are moved with the padding of what lies there, as a
//! future that is moved into another. A conservative search takes them for pointers.
//! Boehm's collector clears the unused part of the stack for the same reason (Boehm,
//! *Bounding Space Usage of Conservative Garbage Collectors*, POPL 2002).
//!
//! What it misses: what lies above, and deeper calls.

use std::arch::asm;

use super::Thread;

/// Bytes cleared.
const CLEARED: usize = 8 << 10;
/// Bytes below a stack pointer that belong to the function.
const RED_ZONE: usize = 128;
/// Bytes at the end of a stack that are left alone.
const MARGIN: usize = 16 << 10;

impl Thread {
    /// Clears the part of the calling thread's own stack that the next calls will use.
    #[inline(never)]
    pub fn clear_leftovers(&self) {
        let pointer: usize;
        // SAFETY: reads a register.
        unsafe {
            asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        }
        let lowest = self.stack.start + CLEARED + RED_ZONE + MARGIN;
        if pointer < lowest || pointer >= self.stack.end {
            return;
        }
        // SAFETY: a part of the thread's own stack that belongs to nobody: below the red
        // zone of this function, which calls nothing meanwhile. A signal handler that
        // runs in between has returned when the next word is written.
        unsafe {
            asm!(
                "rep stosq",
                inout("rcx") CLEARED / size_of::<u64>() => _,
                inout("rdi") pointer - RED_ZONE - CLEARED => _,
                in("rax") 0,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a mark into a frame of its own, and returns where the lower half begins.
    #[inline(never)]
    fn leaves() -> usize {
        let mut words = [0_u64; 64];
        for word in &mut words {
            // SAFETY: a word of the array.
            unsafe { std::ptr::from_mut(word).write_volatile(0x5eed) };
        }
        (&raw const words) as usize
    }

    #[inline(never)]
    fn is_left(at: usize) -> bool {
        // SAFETY: below the stack pointer, where the stack is mapped.
        (0..32).any(|word| unsafe { (at as *const u64).add(word).read_volatile() } == 0x5eed)
    }

    /// On a thread of its own, whose stack is known.
    fn on(stack: impl FnOnce(usize) -> std::ops::Range<usize> + Send + 'static) -> bool {
        let thread = std::thread::spawn(|| {
            let mut record = Thread::new(1 << 16);
            let here = (&raw const record) as usize;
            record.stack = stack(here);
            // The upper half may lie in the red zone.
            let at = leaves();
            record.clear_leftovers();
            is_left(at)
        });
        thread.join().unwrap()
    }

    #[test]
    fn what_a_call_has_left_is_gone() {
        assert!(!on(|here| here - (64 << 10)..here + 4096));
    }

    #[test]
    fn a_stack_that_is_not_the_threads_is_left_alone() {
        assert!(on(|here| here - (16 << 10)..here + 4096));
        assert!(on(|_| 0..4096));
    }
}
