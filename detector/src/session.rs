//! The one engine of a process: its slots, its live threads, its findings.
//!
//! A slot is reused only by a thread that knows its last epoch: everything the
//! earlier thread did then happens before all that the new one does, and
//! neither it nor a third thread can be misled. Threads that end unseen (never
//! joined, nothing acquired after their end) keep their slots, up to a
//! thousand; beyond it the oldest is forgotten, which hides races with it, and
//! is counted as a gap.

use std::ops::Range;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::ids::{Epoch, Slot};
use crate::report::wire::ThreadId;
use crate::rt::lock::Spin;
use crate::rt::sys;
use crate::rt::thread::{Ring, Thread};
use crate::shadow::word::Cell;

/// Ended threads whose slot is kept though nobody saw their end. Each is a
/// component of every clock from then on: with four thousand, programs that
/// leave hundreds of thousands of scoped threads behind took twice the time.
const FORGET_ABOVE: usize = 1000;

/// With no more live threads than that, what they all know is looked at
/// whenever one starts: what the main thread prepared for them.
const FEW: usize = 8;

struct SlotEntry {
    /// The live thread that has it, or null.
    thread: AtomicPtr<Thread>,
    ring: AtomicPtr<Ring>,
    /// The stack of that thread: here, since what others read often must not
    /// lie beside what the thread itself writes often.
    stack: [AtomicUsize; 2],
    /// Every live thread, and every one to come, knows this epoch: an access
    /// up to it can race with nothing any more.
    floor: AtomicU64,
}

static SLOTS: [SlotEntry; Slot::COUNT] = [const {
    SlotEntry {
        thread: AtomicPtr::new(std::ptr::null_mut()),
        ring: AtomicPtr::new(std::ptr::null_mut()),
        stack: [const { AtomicUsize::new(0) }; 2],
        floor: AtomicU64::new(0),
    }
}; Slot::COUNT];

/// Live threads, for the hot path's question whether there is only one.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// Threads forgotten to reuse their slots.
static FORGOTTEN: AtomicU64 = AtomicU64::new(0);

static THREADS: Spin<Threads> = Spin::new(Threads {
    live: Vec::new(),
    ended: Vec::new(),
    spare: Vec::new(),
    next_slot: 0,
});

struct Threads {
    live: Vec<ThreadPtr>,
    /// Slots of ended threads and their last epochs, oldest first.
    ended: Vec<(Slot, Epoch)>,
    /// Records to use again.
    spare: Vec<ThreadPtr>,
    next_slot: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct ThreadPtr(*mut Thread);

// SAFETY: the pointer is followed only as `Thread` allows to others.
unsafe impl Send for ThreadPtr {}

impl Threads {
    /// A slot for a thread that knows `clock`, and its first epoch.
    fn take_slot(&mut self, clock: &[u64]) -> (Slot, Epoch) {
        let known = |&(slot, last): &(Slot, Epoch)| crate::clock::covers(clock, slot, last);
        let reuse = match self.ended.iter().rposition(known) {
            Some(at) => Some(self.ended.remove(at)),
            None if self.ended.len() > FORGET_ABOVE || self.next_slot == Slot::COUNT => {
                FORGOTTEN.fetch_add(1, Ordering::Relaxed);
                (!self.ended.is_empty()).then(|| self.ended.remove(0))
            }
            None => None,
        };
        if let Some((slot, last)) = reuse {
            return (slot, Epoch::new(last.get() + 1));
        }
        if self.next_slot == Slot::COUNT {
            sys::fatal("more than 16384 threads alive at once: run fewer, or test them apart");
        }
        let slot = Slot::new(self.next_slot);
        self.next_slot += 1;
        let ring = Ring::map(slot);
        if ring.is_null() {
            sys::fatal("out of memory for the history of a new thread");
        }
        SLOTS[slot.index()].ring.store(ring, Ordering::Release);
        (slot, Epoch::new(1))
    }

    /// Recomputes what every live thread knows.
    fn raise_floor(&self) {
        for (index, entry) in SLOTS[..self.next_slot].iter().enumerate() {
            let known = self.live.iter().map(|thread| {
                // SAFETY: records stay mapped; a component may be old, which
                // only lowers the floor.
                unsafe { (*thread.0).clocks.base().add(index).read_volatile() }
            });
            if let Some(least) = known.min() {
                entry.floor.fetch_max(least, Ordering::Relaxed);
            }
        }
    }
}

/// Prepares a record for a new thread that knows `clock`: its slot, its
/// clocks. It counts as live from here on.
pub fn new_thread(id: ThreadId, clock: &[u64], stack_size: usize) -> *mut Thread {
    let mut threads = THREADS.lock();
    let fit = threads.spare.iter().rposition(|t| {
        // SAFETY: spare records are owned by the list.
        unsafe { (*t.0).has_room_for(stack_size) }
    });
    let record = match fit {
        Some(at) => threads.spare.swap_remove(at).0,
        None => {
            drop(threads);
            let record = Box::into_raw(Thread::new(stack_size));
            threads = THREADS.lock();
            record
        }
    };
    let (slot, epoch) = threads.take_slot(clock);
    let entry = &SLOTS[slot.index()];
    // SAFETY: the record is not shared yet.
    let thread = unsafe { &mut *record };
    thread.clocks.start(slot, epoch, clock);
    thread.start(id, entry.ring.load(Ordering::Relaxed));
    entry.thread.store(record, Ordering::Release);
    threads.live.push(ThreadPtr(record));
    LIVE.store(threads.live.len(), Ordering::SeqCst);
    if threads.live.len() <= FEW {
        threads.raise_floor();
    }
    record
}

/// Ends a thread: its slot and its record may be used again. The caller has
/// published its clock to whoever joins it.
///
/// # Safety
/// `record` is live, and its thread does not use it any more.
pub unsafe fn end_thread(record: *mut Thread) {
    // SAFETY: as the caller says.
    let thread = unsafe { &mut *record };
    let stamp = thread.stamp_value();
    let mut threads = THREADS.lock();
    leave_slot(stamp.slot());
    threads.live.retain(|&live| live != ThreadPtr(record));
    LIVE.store(threads.live.len(), Ordering::SeqCst);
    if stamp.epoch().get() + 1 < Epoch::MAX.get() {
        threads.ended.push((stamp.slot(), stamp.epoch()));
    }
    threads.spare.push(ThreadPtr(record));
}

/// Ends the epoch of a thread, after it released.
#[inline]
pub fn tick(thread: &mut Thread) {
    thread.again.clear();
    if thread.clocks.tick() {
        retire_slot(thread);
    } else {
        thread.stamp_changed();
    }
}

/// The slot has no epoch left: goes on in another.
#[cold]
fn retire_slot(thread: &mut Thread) {
    let old = thread.stamp_value().slot();
    let (slot, epoch) = THREADS.lock().take_slot(thread.clocks.now());
    leave_slot(old);
    thread.clocks.change_slot(slot, epoch);
    let entry = &SLOTS[slot.index()];
    thread.change_ring(entry.ring.load(Ordering::Relaxed));
    entry.thread.store(thread, Ordering::Release);
    let stack = thread.stack.clone();
    has_stack(thread, stack);
}

/// The thread of `slot` is over, or goes on in another.
fn leave_slot(slot: Slot) {
    let entry = &SLOTS[slot.index()];
    entry.stack[1].store(0, Ordering::Relaxed);
    entry.thread.store(std::ptr::null_mut(), Ordering::Release);
}

/// True while one thread only is live: nobody else touches shadow memory.
#[inline]
pub fn alone() -> bool {
    LIVE.load(Ordering::Relaxed) <= 1
}

/// Live threads.
#[inline]
pub fn live_count() -> usize {
    LIVE.load(Ordering::SeqCst)
}

/// True if every live thread knows the access of `cell`.
#[inline]
pub fn dead(cell: Cell) -> bool {
    SLOTS[cell.slot().index()].floor.load(Ordering::Relaxed) >= cell.epoch().get()
}

/// Counts granules that overflowed. Once they are worth the work, brings
/// [`dead`] up to now; true if it did.
pub fn overflowed(granules: u32) -> bool {
    static SINCE: AtomicU64 = AtomicU64::new(0);
    static DUE: AtomicU64 = AtomicU64::new(64);
    let since = SINCE.fetch_add(granules.into(), Ordering::Relaxed);
    if since < DUE.load(Ordering::Relaxed) {
        return false;
    }
    SINCE.store(0, Ordering::Relaxed);
    let threads = THREADS.lock();
    threads.raise_floor();
    let work = threads.live.len() * threads.next_slot;
    DUE.store((work as u64 / 8).max(64), Ordering::Relaxed);
    true
}

/// The live thread in whose stack `addr` lies, if it has this slot.
#[inline]
pub fn owner_of_stack(slot: Slot, addr: usize) -> Option<&'static Thread> {
    let entry = &SLOTS[slot.index()];
    let [start, end] = [0, 1].map(|bound| entry.stack[bound].load(Ordering::Relaxed));
    if !(start..end).contains(&addr) {
        return None;
    }
    // SAFETY: records stay mapped; what is read of another's is old at worst.
    unsafe { entry.thread.load(Ordering::Acquire).as_ref() }
}

/// The calling thread knows its stack now.
pub fn has_stack(thread: &mut Thread, stack: Range<usize>) {
    let entry = &SLOTS[thread.stamp_value().slot().index()];
    entry.stack[0].store(stack.start, Ordering::Relaxed);
    entry.stack[1].store(stack.end, Ordering::Relaxed);
    thread.stack = stack;
}

/// The live thread whose stack holds `addr`.
pub fn find_stack(addr: usize) -> Option<&'static Thread> {
    let threads = THREADS.lock();
    // SAFETY: records stay mapped.
    threads
        .live
        .iter()
        .map(|t| unsafe { &*t.0 })
        .find(|t| t.stack.contains(&addr))
}

/// The live thread whose thread-local variables hold `addr`, and how far below
/// the end of these that is.
pub fn find_locals(addr: usize) -> Option<(ThreadId, usize)> {
    let threads = THREADS.lock();
    // SAFETY: records stay mapped.
    let mut live = threads.live.iter().map(|t| unsafe { &*t.0 });
    live.find(|t| t.locals.contains(&addr))
        .map(|t| (t.id, t.locals.end - addr))
}

/// A copy of the history of a slot, oldest first.
pub fn history(slot: Slot) -> Vec<u64> {
    let ring = SLOTS[slot.index()].ring.load(Ordering::Acquire);
    if ring.is_null() {
        Vec::new()
    } else {
        // SAFETY: the ring of a slot is made by `Ring::map`.
        unsafe { Ring::copy(ring) }
    }
}

/// A thread is about to wait for the end of the live thread `id`.
pub fn is_joined(id: ThreadId) {
    let threads = THREADS.lock();
    // SAFETY: records stay mapped.
    let mut live = threads.live.iter().map(|t| unsafe { &*t.0 });
    if let Some(thread) = live.find(|t| t.id == id) {
        thread.waiting.is_joined();
    }
}

/// Live threads, in the order of their start.
pub fn live() -> Vec<*mut Thread> {
    THREADS.lock().live.iter().map(|t| t.0).collect()
}

/// Threads forgotten so far to reuse their slots.
pub fn forgotten() -> u64 {
    FORGOTTEN.load(Ordering::Relaxed)
}

/// In the child of a fork: only `thread` is left, and all that the others did
/// happens before what it does next.
///
/// # Safety
/// No other thread exists.
pub unsafe fn only(thread: *mut Thread) {
    let mut threads = THREADS.lock();
    let live: Vec<*mut Thread> = threads.live.iter().map(|live| live.0).collect();
    for other in live {
        if other != thread {
            // SAFETY: records stay mapped, and the others' threads are not
            // here.
            unsafe { (*thread).clocks.learn((*other).clocks.now()) };
        }
    }
    for (slot, last) in &threads.ended {
        let mut known = vec![0; slot.index() + 1];
        known[slot.index()] = last.get();
        // SAFETY: as above.
        unsafe { (*thread).clocks.learn(&known) };
    }
    threads.live.retain(|&live| live == ThreadPtr(thread));
    LIVE.store(threads.live.len(), Ordering::SeqCst);
}
