//! The signal that a process died of.

use leakcheck::report::wire;

use super::resolve::Resolver;
use crate::model::Crash;

/// A sentence for a crash, its thread and stack.
pub fn crash(crash: &wire::Crash, resolver: &mut Resolver<'_>) -> Crash {
    resolver.begin(&[crash.thread].into());
    let thread = resolver.thread(crash.thread);
    let (title, help) = if crash.stack_overflow {
        (
            format!("{} overflowed its stack", thread.label.text()),
            Some("look for unbounded recursion or a large local; a larger stack: `RUST_MIN_STACK`"),
        )
    } else {
        let (what, help) = signal(crash.signal);
        (format!("{} died of {what}", thread.label.text()), help)
    };
    Crash {
        title,
        stack: resolver.stack(&crash.stack),
        thread,
        help: help.map(str::to_owned),
    }
}

/// Name and meaning of a signal, numbers as on Linux x86-64.
fn signal(number: i32) -> (String, Option<&'static str>) {
    let (name, help) = match number {
        4 => ("SIGILL, an illegal instruction", None),
        5 => ("SIGTRAP, a trap", None),
        6 => (
            "SIGABRT: it aborted",
            Some("a panic while panicking, `process::abort` or a failed check of C code aborts"),
        ),
        7 => ("SIGBUS, an access to memory that is not there", None),
        8 => ("SIGFPE, an arithmetic fault", None),
        11 => (
            "SIGSEGV, an invalid memory access",
            Some("only unsafe code can do that: look for a dangling or null pointer"),
        ),
        31 => ("SIGSYS, a system call that is not allowed", None),
        other => return (format!("signal {other}"), None),
    };
    (name.to_owned(), help)
}
