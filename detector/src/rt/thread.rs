//! What the runtime keeps for a running thread, found through thread-local
//! storage.
//!
//! The hot fields come first: every instrumented access and function touches
//! them. A [`Thread`] is owned by its thread; what others read of it (the
//! clock's components, the lowest foreign access to its stack) is read word by
//! word and may be old.

pub mod calls;
mod leftovers;
mod locks;
mod peek;
mod ring;

use std::hint::assert_unchecked;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::locks::{Note, Notes};
pub use self::locks::{Taken, Taker};
pub use self::ring::Ring;
use self::ring::put;
use super::hot;
use super::sys;
use super::time;
use super::waiting::Waiting;
use crate::check::Again;
use crate::explore::Steps;
use crate::history::{self, HeldThen, SNAPSHOT_FRAMES};
use crate::report::wire::{AccessOp, Stack, ThreadId, WaitOn};
use crate::shadow::word::{Access, Cell, Stamp};
use crate::stack::{self, StackId};
use crate::sync::Clocks;

/// Frames kept of the place where a lock was taken.
pub const LOCK_FRAMES: usize = 12;
/// Locks that a thread can hold and still have them named.
const LOCKS: usize = 16;
/// Bytes that each shadow stack may grow to at least; what is never used costs
/// nothing.
const FRAMES_LEAST: usize = 64 << 20;

/// A lock that the thread holds, and where it took it.
#[derive(Clone, Copy)]
pub struct Held {
    /// Address of the lock word.
    pub addr: usize,
    /// Read lock.
    pub shared: bool,
    /// Return address of the call that took it.
    pc: u64,
    /// The calls around, outermost first: the first so many.
    calls: [u64; LOCK_FRAMES - 1],
    depth: usize,
    /// The same in the table of stacks, once the history needed it.
    interned: StackId,
    /// What the call that took it says of it.
    pub on: WaitOn,
    note: Note,
    /// For whom it was taken, if tasks were looked at then.
    pub taker: Option<Taker>,
}

impl Held {
    /// Where it was taken.
    pub fn stack(&self) -> Stack {
        self.pcs().map(|pc| pc - 1).collect()
    }

    /// Return addresses, innermost first.
    fn pcs(&self) -> impl Iterator<Item = u64> {
        let calls = self.calls[..self.depth].iter().rev();
        std::iter::once(self.pc).chain(calls.copied())
    }

    /// As the history keeps it.
    #[inline]
    fn then(&mut self) -> HeldThen {
        if self.interned == StackId(0) {
            self.interned = stack::intern_frames(1 + self.depth, || self.pcs());
        }
        HeldThen {
            addr: self.addr as u64,
            shared: self.shared,
            stack: self.interned,
        }
    }
}

/// The runtime's record of a thread.
#[repr(C)]
pub struct Thread {
    /// Slot and epoch, as they go into cells.
    stamp: u64,
    /// Next free entry of the shadow stack.
    top: *mut u64,
    /// Lowest `top` since the history last knew the stack.
    low_water: *mut u64,
    /// The history knows the stack up to here.
    logged_top: *mut u64,
    log_next: *mut u64,
    log_end: *mut u64,
    logged_stamp: u64,
    /// The word that is reserved for this thread's first access.
    reserved: u64,
    /// Lowest address of this thread's stack that another thread touched.
    foreign: AtomicUsize,
    /// Its clocks.
    pub clocks: Clocks,
    /// Its number.
    pub id: ThreadId,
    ring: *mut Ring,
    frames: *mut u64,
    frames_size: usize,
    /// Its stack, as mapped.
    pub stack: Range<usize>,
    /// More than zero inside a synchronisation operation of the runtime: what
    /// a signal handler does there is not followed.
    pub busy: u32,
    held: [Held; LOCKS],
    held_len: usize,
    notes: Notes,
    /// The history does not know the locks of now.
    locks_changed: bool,
    /// Numbers of sync objects and of blocks at hand.
    pub objects: Vec<u32>,
    /// See `objects`.
    pub blocks: Vec<u32>,
    /// Cells that it put in the place of other threads'.
    pub again: Again,
    /// Granules that overflowed.
    overflows: u32,
    /// Its thread-local variables.
    pub locals: Range<usize>,
    /// What it is blocked on.
    pub waiting: Waiting,
    /// What its signal handlers run on, or null.
    pub signal_stack: *mut u8,
    /// Where it has been, if it is to pause.
    pub steps: Steps,
}

impl Thread {
    /// Offsets, for the hooks in assembly.
    pub const TOP: usize = offset_of!(Self, top);
    /// See [`Thread::TOP`].
    pub const LOW_WATER: usize = offset_of!(Self, low_water);
    /// See [`Thread::TOP`].
    pub const FOREIGN: usize = offset_of!(Self, foreign);
    /// See [`Thread::TOP`].
    pub const FRAMES: usize = offset_of!(Self, frames);

    /// A record whose shadow stack has room for every frame that fits in a
    /// stack of `stack_size` bytes (a frame takes at least 16), and for those of
    /// a program that goes on on stacks of its own.
    pub fn new(stack_size: usize) -> Box<Self> {
        let needed = (stack_size / 16 * size_of::<u64>()).next_multiple_of(4096) + 4096;
        let frames_size = needed.max(FRAMES_LEAST);
        let frames: *mut u64 = sys::map(frames_size).cast();
        if frames.is_null() {
            sys::fatal("out of memory for the shadow stack of a new thread");
        }
        sys::advise(frames.addr(), frames_size, libc::MADV_NOHUGEPAGE);
        Box::new(Self {
            stamp: 0,
            top: frames,
            low_water: frames,
            logged_top: frames,
            log_next: null_mut(),
            log_end: null_mut(),
            logged_stamp: 0,
            reserved: 0,
            foreign: AtomicUsize::new(usize::MAX),
            clocks: Clocks::new(),
            id: ThreadId(0),
            ring: null_mut(),
            frames,
            frames_size,
            stack: 0..0,
            busy: 0,
            held: [Held {
                addr: 0,
                shared: false,
                pc: 0,
                calls: [0; LOCK_FRAMES - 1],
                depth: 0,
                interned: StackId(0),
                on: WaitOn::Futex,
                note: Note::NONE,
                taker: None,
            }; LOCKS],
            held_len: 0,
            notes: Notes::new(),
            locks_changed: false,
            objects: Vec::new(),
            blocks: Vec::new(),
            again: Again::default(),
            overflows: 0,
            locals: 0..0,
            waiting: Waiting::new(),
            signal_stack: null_mut(),
            steps: Steps::of_main(),
        })
    }

    /// True if its shadow stack has room for the frames of such a stack.
    pub fn has_room_for(&self, stack_size: usize) -> bool {
        self.frames_size > stack_size / 16 * size_of::<u64>()
    }

    /// Begins a new thread in this record, its clocks already started.
    pub fn start(&mut self, id: ThreadId, ring: *mut Ring) {
        self.id = id;
        self.ring = ring;
        self.stamp_changed();
        self.again.clear();
        self.top = self.frames;
        self.foreign.store(usize::MAX, Ordering::Relaxed);
        self.held_len = 0;
        self.notes.reset();
        self.busy = 0;
        self.waiting.reset();
        self.begin_history();
    }

    /// Before it publishes its clock: looks again at what it is to look at
    /// again.
    #[inline(always)]
    pub fn before_release(&mut self) {
        if !self.again.is_empty() {
            crate::check::look_again(self);
        }
    }

    /// Who and when, for cells.
    #[inline(always)]
    pub fn stamp(&self) -> u64 {
        // SAFETY: only ever a stamp's bits, or zero. Told so, the compiler
        // knows the access of a cell that it makes from it.
        unsafe { assert_unchecked(self.stamp & !Stamp::BITS == 0) };
        self.stamp
    }

    /// The bits of the word that is reserved for its first access.
    #[inline(always)]
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// After the clocks' own component changed.
    #[inline]
    pub fn stamp_changed(&mut self) {
        let stamp = self.clocks.stamp();
        self.reserved = Cell::reserved(stamp).bits();
        self.stamp = stamp.bits();
        if std::ptr::eq(hot::current(), self) {
            hot::set_stamp(self.stamp);
        }
    }

    /// Continues in the ring of another slot.
    pub fn change_ring(&mut self, ring: *mut Ring) {
        self.ring = ring;
        self.stamp_changed();
        self.new_part();
    }

    /// A function begins that was called at `pc`.
    #[inline(always)]
    pub fn enter(&mut self, pc: u64) {
        // SAFETY: the shadow stack has room for as many frames as the stack.
        unsafe {
            self.top.write(pc);
            self.top = self.top.add(1);
        }
    }

    /// The innermost function ends.
    #[inline(always)]
    pub fn leave(&mut self) {
        // SAFETY: every leave follows its enter; below the first entry there
        // is none (see `underflow` in the callers' test).
        self.top = unsafe { self.top.sub(1) };
        if self.top < self.low_water {
            self.low_water = self.top;
        }
    }

    /// True if there is a function to leave.
    #[inline(always)]
    pub fn has_frames(&self) -> bool {
        self.top > self.frames
    }

    /// The stack of calls, innermost first, with `pc` inside the innermost
    /// function. `pc` and the entries are return addresses; the result is not.
    pub fn stack_at(&self, pc: u64) -> Stack {
        std::iter::once(pc)
            .chain(self.frames().iter().rev().copied())
            .map(|pc| pc - 1)
            .collect()
    }

    /// The return addresses of the calls, outermost first.
    pub fn frames(&self) -> &[u64] {
        let depth = (self.top as usize - self.frames as usize) / size_of::<u64>();
        // SAFETY: the entries below `top` are initialised.
        unsafe { std::slice::from_raw_parts(self.frames, depth) }
    }

    /// Logs an access in the history.
    #[inline(always)]
    pub fn log(&mut self, pc: u64, access: Access, op: AccessOp, addr: usize, size: usize) {
        if !self.is_calm() {
            self.settle();
        }
        self.log_calmly(pc, access, op, addr, size);
    }

    /// Brings the history up to the epoch and the shadow stack of now, and
    /// makes room for an access.
    #[inline(never)]
    pub fn settle(&mut self) {
        self.catch_up();
        if self.log_next >= self.log_end {
            self.new_part();
        }
    }

    /// True if the history knows the stack and the epoch of now, and has room.
    #[inline(always)]
    pub fn is_calm(&self) -> bool {
        let moved = (self.top as u64 ^ self.logged_top as u64)
            | (self.low_water as u64 ^ self.logged_top as u64)
            | (self.logged_stamp ^ self.stamp);
        moved == 0 && self.log_next < self.log_end
    }

    /// As [`Thread::log`], when [`Thread::is_calm`].
    #[inline(always)]
    pub fn log_calmly(&mut self, pc: u64, access: Access, op: AccessOp, addr: usize, size: usize) {
        let words = history::access(pc, access, op, addr, size);
        // SAFETY: `log_end` leaves room for them.
        self.log_next = unsafe { put(self.log_next, words) };
    }

    /// As [`Thread::settle`], with room left or not.
    #[inline(always)]
    fn catch_up(&mut self) {
        let pushes = (self.top as usize - self.low_water as usize) / size_of::<u64>();
        let locks = if self.locks_changed {
            1 + 2 * self.held_len
        } else {
            0
        };
        let needed = (pushes + locks + 3) * size_of::<u64>();
        if self.log_next as usize + needed > self.log_end as usize {
            self.new_part();
            return;
        }
        let mut next = self.log_next;
        // SAFETY: there is room for the words, and the shadow stack is
        // initialised below `top`.
        unsafe {
            if self.logged_stamp != self.stamp {
                self.logged_stamp = self.stamp;
                let epoch = Cell::from_bits(self.stamp).epoch();
                if history::is_noted(epoch) {
                    next = put(next, [history::time(time::now() / 1000)]);
                }
                next = put(next, [history::epoch(epoch)]);
            }
            let mut frame = self.low_water;
            if frame < self.logged_top {
                let pops = (self.logged_top as usize - frame as usize) / size_of::<u64>();
                next = put(next, [history::pop(pops)]);
            }
            while frame < self.top {
                next = put(next, [history::push(frame.read())]);
                frame = frame.add(1);
            }
            self.log_next = next;
            if self.locks_changed {
                self.put_locks();
            }
        }
        self.low_water = self.top;
        self.logged_top = self.top;
    }

    /// Writes which locks the thread holds.
    ///
    /// # Safety
    /// The part has room for a word, two more for each lock, and one behind them.
    unsafe fn put_locks(&mut self) {
        // SAFETY: as the caller says.
        unsafe {
            let mut next = put(self.log_next, [history::locks(self.held_len)]);
            for held in &mut self.held[..self.held_len] {
                next = put(next, history::lock(held.then()));
            }
            self.log_next = next;
        }
        self.locks_changed = false;
    }

    /// Goes on behind what earlier threads wrote into the ring, if there is room.
    fn begin_history(&mut self) {
        // SAFETY: the ring is mapped; only the thread that has the slot writes
        // it.
        match unsafe { Ring::rest(self.ring) } {
            Some(rest) => self.write_from(rest),
            None => self.new_part(),
        }
    }

    /// Begins the next part of the ring.
    #[cold]
    fn new_part(&mut self) {
        // SAFETY: as above.
        let part = unsafe { Ring::turn_over(self.ring) };
        self.write_from(part);
    }

    /// Begins to write at `room`, with who the thread is, and all that the
    /// history must know of it.
    fn write_from(&mut self, room: Range<*mut u64>) {
        // SAFETY: the room is enough for the three words, the snapshot and the
        // locks.
        unsafe {
            self.log_end = room.end.sub(2);
            let mut next = put(room.start, [history::thread(self.id)]);
            next = put(next, [history::time(time::now() / 1000)]);
            next = put(next, [history::epoch(self.clocks.stamp().epoch())]);
            let frames = self.frames();
            for &pc in &frames[frames.len().saturating_sub(SNAPSHOT_FRAMES)..] {
                next = put(next, [history::push(pc)]);
            }
            self.log_next = next;
            if self.held_len > 0 {
                self.put_locks();
            }
        }
        self.locks_changed = false;
        self.logged_stamp = self.stamp;
        self.logged_top = self.top;
        self.low_water = self.top;
    }

    /// Remembers that another thread touched this thread's stack at `addr`.
    pub fn touched_by_another(&self, addr: usize) {
        self.foreign.fetch_min(addr, Ordering::Relaxed);
    }

    /// True if another thread touched this thread's stack below `frame`.
    #[inline(always)]
    pub fn touched_below(&self, frame: usize) -> bool {
        self.foreign.load(Ordering::Relaxed) < frame
    }

    /// The part of the stack below `frame` that others touched; from now on
    /// only what is touched later or above counts.
    pub fn take_touched(&self, frame: usize) -> Option<Range<usize>> {
        let low = self.foreign.swap(usize::MAX, Ordering::Relaxed);
        if low == usize::MAX {
            return None;
        }
        self.foreign.fetch_min(low.max(frame), Ordering::Relaxed);
        (self.stack.contains(&frame) && low < frame).then_some(low..frame)
    }

    /// Before a granule overflows: now and then, looks first whether cells
    /// have died meanwhile. True if it did, and the granule is worth a look.
    pub fn tried_floor(&mut self) -> bool {
        /// Overflows that a thread counts on its own.
        const BATCH: u32 = 16;
        self.overflows += 1;
        if self.overflows < BATCH {
            return false;
        }
        self.overflows = 0;
        crate::session::overflowed(BATCH)
    }

    /// Its current stamp, as a value.
    pub fn stamp_value(&self) -> Stamp {
        self.clocks.stamp()
    }
}
