//! Where a task panics: by the function that begins to unwind the stack.
//!
//! The function goes on to the C library's own, which must find its caller's
//! frame as it was: a stub without a frame of its own passes it on.

use std::arch::naked_asm;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::real;
use super::task;

/// Interposed function of the unwinder.
#[unsafe(naked)]
#[unsafe(export_name = "__lc_interpose__Unwind_RaiseException")]
unsafe extern "C" fn interposed(exception: usize) -> i32 {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rdi",
        "sub rsp, 8",
        "mov rdi, [rbp + 8]",
        "mov rsi, [rbp]",
        "call {raised}",
        "add rsp, 8",
        "pop rdi",
        "pop rbp",
        "jmp rax",
        raised = sym raised,
    )
}

/// What the runtime itself, its std, calls by that name.
#[unsafe(naked)]
#[unsafe(export_name = "__lc_real__Unwind_RaiseException")]
unsafe extern "C" fn forward(exception: usize) -> i32 {
    naked_asm!(
        "push rdi",
        "call {unwinder}",
        "pop rdi",
        "jmp rax",
        unwinder = sym unwinder,
    )
}

/// A panic or exception begins to unwind at `pc`, in a function that has `frame`.
/// Returns what does it.
extern "C" fn raised(pc: u64, frame: usize) -> usize {
    task::panics(pc, frame);
    unwinder()
}

/// The unwinder's own function.
extern "C" fn unwinder() -> usize {
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    match FOUND.load(Ordering::Relaxed) {
        0 => {
            let found = real::next(c"_Unwind_RaiseException") as usize;
            FOUND.store(found, Ordering::Relaxed);
            found
        }
        found => found,
    }
}
