//! `syscall`: std and parking_lot block through it, with `SYS_futex`.
//!
//! Everything else goes straight to the kernel, from a stub without a frame of
//! its own, as the C library's `syscall` does.

use std::arch::naked_asm;

use super::stuck;
use super::task::{self, cycles};
use crate::rt::hot::current;
use crate::rt::sys;
use crate::rt::thread::Thread;
use crate::rt::waiting::{Blocked, Call};

/// Interposed function of the C library.
#[unsafe(naked)]
#[unsafe(export_name = "__lc_interpose_syscall")]
unsafe extern "C" fn interposed(number: i64) -> i64 {
    naked_asm!(
        "cmp rdi, {futex}",
        "je {blocks}",
        "jmp {forward}",
        futex = const libc::SYS_futex,
        blocks = sym futex_stub,
        forward = sym forward,
    )
}

/// What the runtime itself, its std, calls as `syscall`.
#[unsafe(naked)]
#[unsafe(export_name = "__lc_real_syscall")]
unsafe extern "C" fn forward(number: i64) -> i64 {
    naked_asm!(
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov r10, r8",
        "mov r8, r9",
        "mov r9, [rsp + 8]",
        "syscall",
        "cmp rax, -4095",
        "jae 2f",
        "ret",
        "2:",
        "mov rdi, rax",
        "jmp {failed}",
        failed = sym failed,
    )
}

/// Passes the return address in the place of the number.
#[unsafe(naked)]
unsafe extern "C" fn futex_stub() {
    naked_asm!("mov rdi, [rsp]", "jmp {}", sym futex)
}

/// Sets `errno` to the error that the kernel gave as a result.
extern "C" fn failed(result: isize) -> i64 {
    // SAFETY: the C library's own place for this thread's errno.
    unsafe { *libc::__errno_location() = -result as i32 };
    -1
}

/// A call of `SYS_futex` from `pc`.
unsafe extern "C" fn futex(
    pc: u64,
    word: usize,
    operation: i32,
    value: u32,
    timeout: *const libc::timespec,
    word2: usize,
    bits: u32,
) -> i64 {
    let real = || {
        let arguments = [
            word,
            operation as usize,
            value as usize,
            timeout as usize,
            word2,
            bits as usize,
        ];
        // SAFETY: as the program says.
        unsafe { sys::call(libc::SYS_futex, arguments) }
    };
    // SAFETY: the record belongs to this thread.
    let thread = unsafe { current().as_mut() };
    let command = operation & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
    let waits = matches!(command, libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET);
    let result = match thread.filter(|thread| waits && thread.busy == 0) {
        Some(thread) => {
            let mask = if command == libc::FUTEX_WAIT {
                !0
            } else {
                bits
            };
            if cycles::is_due() {
                let here = task::here();
                thread.load_calls(pc);
                cycles::look(&here);
            }
            let blocked = Blocked {
                call: Call::Futex,
                addr: word,
                expected: value,
                timed: !timeout.is_null(),
                private: operation & libc::FUTEX_PRIVATE_FLAG != 0,
                target: None,
                pc,
            };
            wait(thread, &blocked, mask, real)
        }
        None => real(),
    };
    if result < 0 {
        failed(result)
    } else {
        result as i64
    }
}

fn wait(thread: &mut Thread, blocked: &Blocked, mask: u32, real: impl Fn() -> isize) -> isize {
    let wait = |until: Option<u64>| {
        let Some(until) = until else {
            return Some(real());
        };
        let until = libc::timespec {
            tv_sec: (until / 1_000_000_000) as i64,
            tv_nsec: (until % 1_000_000_000) as i64,
        };
        let private = if blocked.private {
            libc::FUTEX_PRIVATE_FLAG
        } else {
            0
        };
        let operation = libc::FUTEX_WAIT_BITSET | private;
        let arguments = [
            blocked.addr,
            operation as usize,
            blocked.expected as usize,
            &raw const until as usize,
            0,
            mask as usize,
        ];
        // SAFETY: as the program says; the same wait, with a timeout.
        let result = unsafe { sys::call(libc::SYS_futex, arguments) };
        (result != -(libc::ETIMEDOUT as isize)).then_some(result)
    };
    // A wait without an end of its own always has a result.
    stuck::sliced(thread, blocked, wait).unwrap_or(0)
}
