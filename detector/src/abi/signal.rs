//! Signals that end the process: told on the wire before it dies of them.
//!
//! The handlers are there before std starts. std then installs none of its
//! own, which took a global lock at the start and end of every thread and so
//! ordered threads that are not ordered. What std's handler does is done here:
//! a stack overflow is recognised by the guard pages and said in std's words.
//! A handler that the program installs later takes the place of ours.
//!
//! SIGTERM is how the supervisor ends a test that takes too long: the cycles
//! that its threads are in are told first.

use std::ffi::c_void;
use std::fmt::Write as _;
use std::ptr::null_mut;

use super::end;
use super::handlers;
use super::process;
use super::symbols;
use crate::findings;
use crate::registry;
use crate::report::wire::{Crash, Record, ThreadId};
use crate::rt::hot::current;
use crate::rt::mode;
use crate::rt::sys;
use crate::rt::thread::Thread;
use crate::wire;

/// The signals, which end a process by default.
const CRASHES: [i32; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGABRT,
    libc::SIGILL,
    libc::SIGFPE,
];
/// Bytes of the stack that a handler runs on.
const STACK: usize = 128 << 10;
/// How far below a stack its guard may reach.
const GUARD: usize = 64 << 10;

/// Installs the handlers. Called once, before std starts. What whoever started the
/// process ignores is left so.
pub fn init() {
    let supervised = wire::supervised().then_some(libc::SIGTERM);
    for signal in CRASHES.into_iter().chain(supervised) {
        handlers::install(signal, handle, 0);
    }
}

/// Gives the calling thread a stack to run handlers on. It belongs to the
/// record and is used by all threads that the record has.
pub fn thread_starts(thread: &mut Thread) {
    if thread.signal_stack.is_null() {
        thread.signal_stack = sys::map(STACK);
    }
    if !thread.signal_stack.is_null() {
        set_stack(thread.signal_stack.cast(), 0);
    }
}

/// The calling thread's handlers run on its own stack again.
pub fn thread_ends() {
    set_stack(null_mut(), libc::SS_DISABLE);
}

fn set_stack(stack: *mut c_void, flags: i32) {
    let stack = libc::stack_t {
        ss_sp: stack,
        ss_flags: flags,
        ss_size: STACK,
    };
    // SAFETY: the stack is mapped for good, or is being disabled.
    unsafe { libc::sigaltstack(&raw const stack, null_mut()) };
}

unsafe extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    // From now on the signal does what it does without a handler: also if it
    // comes again in here.
    handlers::set_default(signal);
    // SAFETY: the kernel passes both.
    let (info, context) = unsafe { (&*info, &*context.cast::<libc::ucontext_t>()) };
    let register = |name: i32| context.uc_mcontext.gregs[name as usize] as u64;
    let is_fault = matches!(signal, libc::SIGSEGV | libc::SIGBUS) && info.si_code > 0;
    // SAFETY: a fault has an address.
    let addr = is_fault.then(|| unsafe { info.si_addr() } as u64);
    // SAFETY: the record belongs to this thread.
    let thread = unsafe { current().as_mut() };
    let mut last_signal = signal;
    // A fault inside the runtime is told by the signal alone: the locks that
    // a record needs may be held.
    if let Some(thread) = thread.filter(|thread| thread.busy == 0 && process::is_owner()) {
        thread.busy += 1;
        if signal == libc::SIGTERM {
            end::terminated(thread.id);
            die_of(signal);
            thread.busy -= 1;
            return;
        }
        let overflow = addr
            .is_some_and(|addr| overflows(thread, addr as usize, register(libc::REG_RSP) as usize));
        if overflow {
            last_signal = libc::SIGABRT;
        }
        let pc = register(libc::REG_RIP);
        if mode::leaks_alone() {
            thread.load_calls_around(register(libc::REG_RBP) as usize, None);
        }
        match caller_of_hook(thread, pc, register(libc::REG_RBP)) {
            // The address is that of the shadow, not the program's.
            Some(caller) => tell(thread, last_signal, None, caller, overflow),
            // The instruction itself, not a return address.
            None => tell(thread, last_signal, addr, pc + 1, overflow),
        }
        if overflow {
            say_overflow(thread.id);
        }
    }
    die_of(last_signal);
}

/// True if the fault is in the guard of the thread's stack, or the stack
/// pointer has left the stack with it.
fn overflows(thread: &Thread, addr: usize, stack_pointer: usize) -> bool {
    const PAGE: usize = 4096;
    let start = thread.stack.start;
    let below = |at: usize| (start.saturating_sub(GUARD)..start + PAGE).contains(&at);
    below(addr) || (below(stack_pointer) && addr.abs_diff(stack_pointer) < GUARD)
}

/// Where instrumented code called the hook that faulted: a hook looks at the
/// shadow of an address before the program does at the address, and there is
/// no shadow where nothing can be mapped.
fn caller_of_hook(thread: &Thread, pc: u64, frame: u64) -> Option<u64> {
    symbols::name_of(pc).filter(|name| name.contains("9leakcheck3abi"))?;
    let at = frame as usize + size_of::<u64>();
    let on_stack = thread.stack.contains(&at) && at.is_multiple_of(size_of::<u64>());
    // SAFETY: on this thread's own stack, above its frames.
    on_stack.then(|| unsafe { (at as *const u64).read() })
}

/// `pc` is a return address.
fn tell(thread: &Thread, signal: i32, addr: Option<u64>, pc: u64, stack_overflow: bool) {
    findings::mention(&[thread.id]);
    wire::write(&Record::Crash(Crash {
        signal,
        addr,
        thread: thread.id,
        stack: thread.stack_at(pc),
        stack_overflow,
    }));
}

/// What std says of a stack overflow.
fn say_overflow(id: ThreadId) {
    let name = registry::describe(id).and_then(|thread| thread.name);
    let name = name.as_deref().unwrap_or("<unknown>");
    let mut text = String::new();
    let number = sys::thread_id();
    let written = writeln!(
        text,
        "\nthread '{name}' ({number}) has overflowed its stack\n\
         fatal runtime error: stack overflow, aborting"
    );
    if written.is_ok() {
        sys::write_all(2, text.as_bytes());
    }
}

/// Sends the signal to this thread again, with nothing to catch it.
fn die_of(signal: i32) {
    handlers::set_default(signal);
    // SAFETY: the mask is filled before use; the signal goes to this thread.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut mask);
        libc::sigaddset(&raw mut mask, signal);
        let (process, thread) = (sys::process_id() as usize, sys::thread_id() as usize);
        sys::call(
            libc::SYS_tgkill,
            [process, thread, signal as usize, 0, 0, 0],
        );
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const mask, null_mut());
    }
}
