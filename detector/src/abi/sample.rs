//! Where a thread that runs is at the moment.
//!
//! The notes and the shadow stack of another thread say which calls it is in,
//! but not where in the innermost function; and read from outside they may be
//! half written. So the thread is asked by a signal: its handler copies the
//! shadow stack, the instruction that was interrupted, and the top of the
//! stack, in which the return address is found if that instruction is one of
//! the runtime's.
//!
//! Used at the end of the process and for a snapshot. The handler stays for the rest of it,
//! since the signal may come late. What it misses: a thread that blocks the
//! signal, or is not scheduled in time; it is shown by its calls alone.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use super::handlers;
use super::kernel;
use super::symbols;
use crate::report::wire::Stack;
use crate::rt::hot::current;
use crate::rt::mode;
use crate::rt::sys;

/// Words of the interrupted stack that are looked at.
const WORDS: usize = 256;
/// Calls that are copied, from the innermost.
const CALLS: usize = 256;
/// How long the thread may take to answer.
const PATIENCE_NS: u64 = 200_000_000;

/// Nobody asks.
const IDLE: u32 = 0;
/// The thread [`ASKED`] is to answer.
const WANTED: u32 = 1;
/// Its handler writes.
const WRITING: u32 = 2;
/// The answer is there.
const DONE: u32 = 3;

/// A futex.
static STATE: AtomicU32 = AtomicU32::new(IDLE);
static ASKED: AtomicI32 = AtomicI32::new(0);
static ANSWER: Shared = Shared(UnsafeCell::new(Answer {
    pc: 0,
    in_runtime: false,
    words: [0; WORDS],
    calls: [0; CALLS],
    len: 0,
}));
/// The signal, once the handler is installed.
static SIGNAL: AtomicUsize = AtomicUsize::new(0);

struct Shared(UnsafeCell<Answer>);

// SAFETY: written only by the thread that took `STATE` from WANTED to WRITING,
// read only by the one that finds it DONE.
unsafe impl Sync for Shared {}

struct Answer {
    /// The instruction that was interrupted.
    pc: u64,
    /// The thread was in the middle of an operation of the runtime.
    in_runtime: bool,
    /// The top of its stack.
    words: [u64; WORDS],
    /// Its calls, innermost first: return addresses.
    calls: [u64; CALLS],
    len: usize,
}

/// The stack of a running thread, innermost call first. One at a time: called
/// by the thread that ends the process.
pub fn stack_of(kernel_id: i32) -> Option<Stack> {
    let signal = signal()?;
    // The names are read before, since the handler may interrupt an allocation.
    symbols::name_of(0);
    ASKED.store(kernel_id, Ordering::Relaxed);
    STATE.store(WANTED, Ordering::SeqCst);
    let process = sys::process_id() as usize;
    // SAFETY: a signal that has our handler, to a thread of this process.
    let sent = unsafe {
        sys::call(
            libc::SYS_tgkill,
            [process, kernel_id as usize, signal, 0, 0, 0],
        )
    };
    let until = kernel::now() + PATIENCE_NS;
    loop {
        match STATE.load(Ordering::Acquire) {
            DONE => break,
            WANTED if sent < 0 || kernel::now() >= until => {
                let withdrawn =
                    STATE.compare_exchange(WANTED, IDLE, Ordering::SeqCst, Ordering::Relaxed);
                if withdrawn.is_ok() {
                    return None;
                }
            }
            now => wait_while(now, until),
        }
    }
    // SAFETY: the handler has written it, and writes no more.
    let answer = unsafe { &*ANSWER.0.get() };
    let stack = answer.stack();
    STATE.store(IDLE, Ordering::Relaxed);
    Some(stack)
}

impl Answer {
    fn stack(&self) -> Stack {
        let calls = self.calls[..self.len].iter().map(|pc| pc - 1);
        let place = self.place();
        let caller = place.and_then(|place| self.missing_call(place));
        place.into_iter().chain(caller).chain(calls).collect()
    }

    /// The call of the function at `place`, if the shadow stack does not have
    /// it: that function is about to note its entry, or has noted its exit.
    fn missing_call(&self, place: u64) -> Option<u64> {
        let function = symbols::name_of(place)?;
        let innermost = self.calls[..self.len].first();
        self.words
            .iter()
            .take_while(|word| Some(*word) != innermost)
            .find(|&&word| called_from(word).and_then(symbols::name_of) == Some(function))
            .map(|pc| pc - 1)
    }

    /// The instruction of the program that it is at.
    fn place(&self) -> Option<u64> {
        let of_hook = |name: &str| name.starts_with("__tsan_") || name.contains("9leakcheck");
        let function = symbols::name_of(self.pc);
        if !self.in_runtime && !function.is_none_or(of_hook) {
            return Some(self.pc);
        }
        let at = self.words.iter().find(|&&word| {
            called_from(word)
                .and_then(symbols::name_of)
                .is_some_and(|name| name.starts_with("__tsan_"))
        });
        // A shared library that no hook called is where the program is.
        at.map(|pc| pc - 1)
            .or(function.is_none().then_some(self.pc))
    }
}

/// The function called before the return address `word`, if it is one: by a
/// relative call, as hooks are.
fn called_from(word: u64) -> Option<u64> {
    const CALL: u8 = 0xe8;
    symbols::name_of(word.checked_sub(1)?)?;
    let at = word - 5;
    // SAFETY: inside of the executable's code, which is readable; 5 bytes
    // before an address in a function lie in its section.
    let code = unsafe { (at as *const [u8; 5]).read_unaligned() };
    let [CALL, offset @ ..] = code else {
        return None;
    };
    Some(word.wrapping_add_signed(i32::from_le_bytes(offset).into()))
}

/// A signal that the program does not use, with our handler.
fn signal() -> Option<usize> {
    let known = SIGNAL.load(Ordering::Relaxed);
    if known != 0 {
        return Some(known);
    }
    let unused = (libc::SIGRTMIN()..=libc::SIGRTMAX())
        .rev()
        .find(|&signal| handlers::install(signal, answer, libc::SA_RESTART))?;
    SIGNAL.store(unused as usize, Ordering::Relaxed);
    Some(unused as usize)
}

/// The signal of our handler, if it is installed, as a bit.
pub fn signal_bit() -> u64 {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => 0,
        signal => 1 << (signal - 1),
    }
}

fn wait_while(value: u32, until: u64) {
    let ns = until.saturating_sub(kernel::now());
    sys::wait_while(&STATE, value, ns.clamp(1_000_000, 999_999_999));
}

unsafe extern "C" fn answer(_signal: i32, _info: *mut libc::siginfo_t, context: *mut c_void) {
    let taken = ASKED.load(Ordering::SeqCst) == sys::thread_id()
        && STATE
            .compare_exchange(WANTED, WRITING, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok();
    if !taken {
        return;
    }
    // SAFETY: the kernel passes it.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let register = |name: i32| context.uc_mcontext.gregs[name as usize] as u64;
    // SAFETY: the state gives this thread the right to write.
    let answer = unsafe { &mut *ANSWER.0.get() };
    answer.pc = register(libc::REG_RIP);
    answer.words = [0; WORDS];
    answer.len = 0;
    // SAFETY: the record belongs to this thread.
    if let Some(thread) = unsafe { current().as_ref() } {
        if mode::leaks_alone() {
            thread.walk(register(libc::REG_RBP) as usize, |_, call| {
                answer.calls[answer.len] = call;
                answer.len += 1;
                answer.len < CALLS
            });
        } else {
            for (to, call) in answer.calls.iter_mut().zip(thread.frames().iter().rev()) {
                *to = *call;
                answer.len += 1;
            }
        }
        answer.in_runtime = thread.busy > 0;
        let top = register(libc::REG_RSP) as usize;
        if thread.stack.contains(&top) {
            let words = ((thread.stack.end - top) / size_of::<u64>()).min(WORDS);
            for (at, word) in answer.words[..words].iter_mut().enumerate() {
                // SAFETY: above the stack pointer, on this thread's stack.
                *word = unsafe { (top as *const u64).add(at).read_volatile() };
            }
        }
    }
    STATE.store(DONE, Ordering::SeqCst);
    sys::wake_one(&STATE);
}
