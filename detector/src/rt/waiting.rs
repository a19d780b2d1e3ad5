//! What a thread is blocked on, kept by the thread itself and read by others.
//!
//! A thread notes it before the call that blocks and takes it back after. What
//! it noted may be over by the time another thread reads it: [`Waiting::look`]
//! gives a consistent snapshot with the turn it belongs to, and the reader
//! asks the kernel whether the thread sleeps, before and after.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::atomic::{Ordering, fence};

use super::registers::{REGISTERS, Registers};
use crate::report::wire::ThreadId;

/// The call that a thread is blocked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Call {
    /// A futex wait by the program's own code: std, parking_lot.
    Futex = 0,
    /// `pthread_join`.
    Join = 1,
    /// `pthread_mutex_lock`.
    Mutex = 2,
    /// `pthread_rwlock_rdlock`.
    ReadLock = 3,
    /// `pthread_rwlock_wrlock`.
    WriteLock = 4,
    /// `pthread_cond_wait`.
    Condvar = 5,
    /// `sem_wait`, `pthread_barrier_wait`, `pthread_once`.
    Other = 6,
    /// A sleep.
    Sleep = 7,
    /// A call on file descriptors.
    Io = 8,
    /// `epoll_wait`.
    Events = 9,
}

impl Call {
    const ALL: [Self; 10] = [
        Self::Futex,
        Self::Join,
        Self::Mutex,
        Self::ReadLock,
        Self::WriteLock,
        Self::Condvar,
        Self::Other,
        Self::Sleep,
        Self::Io,
        Self::Events,
    ];

    /// True if another thread ends it; false for what the world outside does.
    pub fn is_wait(self) -> bool {
        match self {
            Self::Sleep | Self::Io | Self::Events => false,
            Self::Futex
            | Self::Join
            | Self::Mutex
            | Self::ReadLock
            | Self::WriteLock
            | Self::Condvar
            | Self::Other => true,
        }
    }

    fn from_bits(bits: u8) -> Self {
        Self::ALL[usize::from(bits) % Self::ALL.len()]
    }
}

/// A blocking call, as noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Which call.
    pub call: Call,
    /// The address that it waits on: futex, lock.
    pub addr: usize,
    /// The value that the futex was expected to have.
    pub expected: u32,
    /// It ends by itself.
    pub timed: bool,
    /// Only threads of this process can end it.
    pub private: bool,
    /// The thread joined.
    pub target: Option<ThreadId>,
    /// Return address of the call.
    pub pc: u64,
}

/// A thread's note of what it is blocked on.
#[derive(Debug)]
pub struct Waiting {
    /// The kernel's number of the thread; 0 before it runs.
    kernel_id: AtomicI32,
    /// Another thread waits for this one to end, or did.
    joined: AtomicBool,
    /// It is still looking whether its wait can end, and is not in it yet.
    looking: AtomicBool,
    /// Changes with every note made and taken back; odd while there is one.
    turn: AtomicU32,
    call: AtomicU8,
    timed: AtomicBool,
    private: AtomicBool,
    expected: AtomicU32,
    target: AtomicU32,
    addr: AtomicUsize,
    pc: AtomicU64,
    since: AtomicU64,
    /// The registers that a called function gives back as they were.
    registers: Registers,
}

/// A note as another thread saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What.
    pub blocked: Blocked,
    /// Since when: nanoseconds of the monotonic clock.
    pub since: u64,
    /// The turn that it belongs to.
    pub turn: u32,
}

impl Seen {
    /// True if only another thread ends it.
    pub fn is_untimed(&self) -> bool {
        self.blocked.call.is_wait() && !self.blocked.timed
    }
}

const NO_TARGET: u32 = u32::MAX;

impl Waiting {
    /// Of a thread that does not run yet.
    pub const fn new() -> Self {
        Self {
            kernel_id: AtomicI32::new(0),
            joined: AtomicBool::new(false),
            looking: AtomicBool::new(false),
            turn: AtomicU32::new(0),
            call: AtomicU8::new(0),
            timed: AtomicBool::new(false),
            private: AtomicBool::new(false),
            expected: AtomicU32::new(0),
            target: AtomicU32::new(NO_TARGET),
            addr: AtomicUsize::new(0),
            pc: AtomicU64::new(0),
            since: AtomicU64::new(0),
            registers: Registers::new(),
        }
    }

    /// What its registers held when it was about to block. What they hold
    /// later in the call is either still that, or on the stack meanwhile.
    pub fn registers(&self) -> [usize; REGISTERS] {
        self.registers.get()
    }

    /// The frame of a function that made the call, or of one inside it.
    pub fn frame(&self) -> usize {
        self.registers.frame()
    }

    /// The record gets a new thread, which does not run yet.
    pub fn reset(&self) {
        self.kernel_id.store(0, Ordering::Relaxed);
        self.joined.store(false, Ordering::Relaxed);
        self.looking.store(false, Ordering::Relaxed);
        let turn = self.turn.load(Ordering::Relaxed);
        self.turn
            .store((turn | 1).wrapping_add(1), Ordering::Release);
    }

    /// The thread runs, under this number of the kernel's.
    pub fn runs(&self, kernel_id: i32) {
        self.kernel_id.store(kernel_id, Ordering::Release);
    }

    /// The kernel's number of the thread; 0 before it runs.
    pub fn kernel_id(&self) -> i32 {
        self.kernel_id.load(Ordering::Acquire)
    }

    /// Another thread is about to wait for this one to end.
    pub fn is_joined(&self) {
        self.joined.store(true, Ordering::SeqCst);
    }

    /// True if another thread may be waiting for this one to end.
    pub fn may_be_joined(&self) -> bool {
        self.joined.load(Ordering::SeqCst)
    }

    /// The thread looks whether the wait that it has noted can end, or has
    /// looked. Meanwhile it may sleep for reasons of ours.
    pub fn set_looking(&self, looking: bool) {
        self.looking.store(looking, Ordering::SeqCst);
    }

    /// True if the thread looks whether its wait can end.
    pub fn is_looking(&self) -> bool {
        self.looking.load(Ordering::SeqCst)
    }

    /// The thread is about to block. Called by the thread itself.
    pub fn begin(&self, blocked: &Blocked, since: u64) {
        let Blocked {
            call,
            addr,
            expected,
            timed,
            private,
            target,
            pc,
        } = *blocked;
        self.call.store(call as u8, Ordering::Relaxed);
        self.timed.store(timed, Ordering::Relaxed);
        self.private.store(private, Ordering::Relaxed);
        self.expected.store(expected, Ordering::Relaxed);
        self.target
            .store(target.map_or(NO_TARGET, |t| t.0), Ordering::Relaxed);
        self.addr.store(addr, Ordering::Relaxed);
        self.pc.store(pc, Ordering::Relaxed);
        self.since.store(since, Ordering::Relaxed);
        self.registers.save();
        self.turn.fetch_add(1, Ordering::SeqCst);
    }

    /// The thread goes on.
    pub fn end(&self) {
        self.turn.fetch_add(1, Ordering::AcqRel);
    }

    /// What the thread is blocked on, by its own account.
    pub fn look(&self) -> Option<Seen> {
        let turn = self.turn.load(Ordering::Acquire);
        if turn.is_multiple_of(2) {
            return None;
        }
        let target = self.target.load(Ordering::Relaxed);
        let seen = Seen {
            blocked: Blocked {
                call: Call::from_bits(self.call.load(Ordering::Relaxed)),
                addr: self.addr.load(Ordering::Relaxed),
                expected: self.expected.load(Ordering::Relaxed),
                timed: self.timed.load(Ordering::Relaxed),
                private: self.private.load(Ordering::Relaxed),
                target: (target != NO_TARGET).then_some(ThreadId(target)),
                pc: self.pc.load(Ordering::Relaxed),
            },
            since: self.since.load(Ordering::Relaxed),
            turn,
        };
        fence(Ordering::Acquire);
        self.is_still(turn).then_some(seen)
    }

    /// True if the thread has not gone on since that turn.
    pub fn is_still(&self, turn: u32) -> bool {
        self.turn.load(Ordering::Acquire) == turn
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(target: u32) -> Blocked {
        Blocked {
            call: Call::Join,
            addr: 8,
            expected: 0,
            timed: false,
            private: true,
            target: Some(ThreadId(target)),
            pc: 77,
        }
    }

    #[test]
    fn a_note_is_seen_until_it_is_taken_back() {
        let waiting = Waiting::new();
        assert_eq!(waiting.look(), None);
        waiting.begin(&join(3), 5);
        let seen = waiting.look().expect("a note");
        assert_eq!((seen.blocked, seen.since), (join(3), 5));
        waiting.end();
        assert_eq!(waiting.look(), None);
        assert!(!waiting.is_still(seen.turn));
    }

    #[test]
    fn the_same_wait_again_is_another_turn() {
        let waiting = Waiting::new();
        waiting.begin(&join(3), 5);
        let first = waiting.look().expect("a note");
        waiting.end();
        waiting.begin(&join(3), 5);
        assert_ne!(waiting.look(), Some(first));
    }

    #[test]
    fn a_record_used_again_waits_for_nothing() {
        let waiting = Waiting::new();
        waiting.runs(12);
        waiting.begin(&join(3), 5);
        waiting.reset();
        assert_eq!((waiting.kernel_id(), waiting.look()), (0, None));
        waiting.begin(&join(4), 5);
        assert!(waiting.look().is_some());
    }
}
