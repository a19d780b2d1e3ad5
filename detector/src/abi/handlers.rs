//! Signal handlers: ours, which stand where the program has none, and those that
//! it installs.
//!
//! The program must not find ours. It would take one for a handler that was there
//! before its own, as libraries for signals do, and call it afterwards. So it finds
//! the default action instead, and what it leaves to that is ours again. Of the
//! signals of a fault it is shown: its std has handlers of its own for these, which
//! it would install if it found none.
//!
//! What it misses: system calls that do not go through the C library.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::real;

/// One that takes the three arguments that `SA_SIGINFO` gives it.
pub type Handler = unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void);

real::forward! {
    /// The C library's.
    fn sigaction(
        signal: i32,
        new: *const libc::sigaction,
        old: *mut libc::sigaction,
    ) -> i32
}

/// What the runtime itself calls as `sigaction`.
#[unsafe(export_name = "__lc_real_sigaction")]
unsafe extern "C" fn own_sigaction(
    signal: i32,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> i32 {
    // SAFETY: as the caller says.
    unsafe { sigaction(signal, new, old) }
}

const SIGNALS: usize = 65;

/// The addresses of our handlers, by signal, and their flags beside them.
static OURS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];
static FLAGS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// Signals whose handlers the program's std looks for.
const SHOWN: [i32; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Handles a signal for as long as the program leaves it to its default action, on
/// the stack for signals. False if the signal has no such action now.
pub fn install(signal: i32, handler: Handler, flags: i32) -> bool {
    let of_default = action(signal).is_some_and(|it| it.sa_sigaction == libc::SIG_DFL);
    if !of_default {
        return false;
    }
    let index = signal as usize;
    let flags = flags | libc::SA_SIGINFO | libc::SA_ONSTACK;
    FLAGS[index].store(flags as usize, Ordering::Relaxed);
    OURS[index].store(handler as *const () as usize, Ordering::Release);
    set(signal, ours(signal))
}

/// True if our handler is in place.
pub fn is_ours(signal: i32) -> bool {
    let handler = OURS[signal as usize].load(Ordering::Acquire);
    handler != 0 && action(signal).is_some_and(|it| it.sa_sigaction == handler)
}

/// Gives a signal its default action.
pub fn set_default(signal: i32) {
    set(signal, default_action());
}

fn default_action() -> libc::sigaction {
    // SAFETY: zero is a valid action, the default one.
    unsafe { std::mem::zeroed() }
}

/// Our handler of a signal that has one.
fn ours(signal: i32) -> libc::sigaction {
    let mut ours = default_action();
    ours.sa_sigaction = OURS[signal as usize].load(Ordering::Acquire);
    ours.sa_flags = FLAGS[signal as usize].load(Ordering::Relaxed) as i32;
    ours
}

/// What is done now; none if there is no such signal.
fn action(signal: i32) -> Option<libc::sigaction> {
    let mut action = default_action();
    // SAFETY: the old action is only read.
    let failed = unsafe { sigaction(signal, null(), &raw mut action) };
    (failed == 0).then_some(action)
}

fn set(signal: i32, action: libc::sigaction) -> bool {
    // SAFETY: a handler of ours takes what its flags say, and the default action
    // is always right.
    unsafe { sigaction(signal, &raw const action, null_mut()) == 0 }
}

/// True if the program must not find the handler that we have for this signal.
fn is_hidden(signal: i32) -> bool {
    let ours = OURS.get(usize::try_from(signal).unwrap_or(SIGNALS));
    ours.is_some_and(|ours| ours.load(Ordering::Acquire) != 0) && !SHOWN.contains(&signal)
}

/// Interposed function of the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_sigaction(
    signal: i32,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> i32 {
    if !is_hidden(signal) {
        // SAFETY: as the program says.
        return unsafe { sigaction(signal, new, old) };
    }
    let ours = ours(signal);
    // SAFETY: the program gives an action to read, or none.
    let leaves_it = unsafe { new.as_ref() }.is_some_and(|it| it.sa_sigaction == libc::SIG_DFL);
    let new = if leaves_it { &raw const ours } else { new };
    // SAFETY: as the program says, or an action of ours.
    let failed = unsafe { sigaction(signal, new, old) };
    if failed != 0 {
        return failed;
    }
    // SAFETY: the program gives a place to write to, or none.
    if let Some(old) = unsafe { old.as_mut() }
        && old.sa_sigaction == ours.sa_sigaction
    {
        *old = default_action();
    }
    0
}

/// Interposed function of the C library, whose handlers stay and restart what they
/// interrupt.
#[unsafe(no_mangle)]
unsafe extern "C" fn __lc_interpose_signal(
    signal: i32,
    handler: libc::sighandler_t,
) -> libc::sighandler_t {
    let mut new = default_action();
    new.sa_sigaction = handler;
    new.sa_flags = libc::SA_RESTART;
    let mut old = default_action();
    // SAFETY: as the program says; both are there.
    let failed = unsafe { __lc_interpose_sigaction(signal, &raw const new, &raw mut old) };
    if failed == 0 {
        old.sa_sigaction
    } else {
        libc::SIG_ERR
    }
}
