//! Strands: the threads of the program as the source front end sees them.
//!
//! A strand begins at the first tracked operation of a thread and ends with
//! the thread's local variables. What is asked on every access is in
//! thread-local cells; clocks are the engine's ([`super::engine`]), under its
//! lock. The futures of async tasks are no strands: a poll happens in the
//! strand of the thread that polls, ordered after the task's earlier polls and
//! its wake-up. A race between two tasks that shared one thread is therefore
//! not seen.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::context::ContextId;
use super::engine;
use super::task::Task;

/// Number of a strand: never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrandId(pub u64);

/// What a strand tells without the engine's lock.
#[derive(Debug, Default)]
pub struct Shared {
    /// When it last ran code that is not tracked, in the engine's sequence.
    pub opaque: AtomicU64,
    /// When it last acquired a known object.
    pub acquired: AtomicU64,
}

/// Accesses of this epoch that a strand remembers.
const RECENT: usize = 64;

/// An access that is recorded already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recent {
    /// First byte.
    pub addr: usize,
    /// Bytes, and whether it writes.
    pub what: usize,
    /// Slot and epoch.
    pub stamp: u64,
}

/// The thread's own cells.
pub struct Local {
    id: Cell<Option<StrandId>>,
    /// Slot and epoch, as in a shadow cell. Zero before the first operation.
    pub stamp: Cell<u64>,
    recent: [Cell<Recent>; RECENT],
    shared: RefCell<Option<Arc<Shared>>>,
    /// Hash of the name of a function that is being called; zero if none.
    calling: Cell<u64>,
    /// The scope or test that what happens here belongs to.
    pub context: Cell<ContextId>,
    /// The task being polled.
    pub task: RefCell<Option<Arc<Task>>>,
    /// The spawn that this thread runs.
    pub unit: Cell<Option<u64>>,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            id: Cell::new(None),
            stamp: Cell::new(0),
            recent: [const { Cell::new(Recent { addr: 0, what: 0, stamp: 0 }) }; RECENT],
            shared: RefCell::new(None),
            calling: Cell::new(0),
            context: Cell::new(ContextId::ROOT),
            task: RefCell::new(None),
            unit: Cell::new(None),
        }
    };
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(id) = self.id.get() {
            engine::with(|engine| engine.end_strand(id));
        }
    }
}

/// Calls `f` with the cells of this thread; none once they are destroyed.
#[inline]
pub fn with<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    LOCAL.try_with(f).ok()
}

impl Local {
    /// This thread's strand, begun if need be.
    #[inline]
    pub fn id(&self) -> StrandId {
        match self.id.get() {
            Some(id) => id,
            None => self.begin(None),
        }
    }

    /// This thread's strand, begun if need be by a spawn that was seen.
    pub fn spawned(&self, spawn: engine::Key) -> StrandId {
        self.id.get().unwrap_or_else(|| self.begin(Some(spawn)))
    }

    #[cold]
    fn begin(&self, spawn: Option<engine::Key>) -> StrandId {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::current();
        let (id, stamp) =
            engine::with(|engine| engine.begin_strand(&thread, shared.clone(), spawn));
        *self.shared.borrow_mut() = Some(shared);
        self.stamp.set(stamp);
        self.id.set(Some(id));
        if spawn.is_none() {
            self.opaque();
        }
        id
    }

    #[inline]
    fn place(addr: usize) -> usize {
        (addr >> 2 ^ addr >> 9) % RECENT
    }

    /// True if the access is recorded in this epoch already.
    #[inline]
    pub fn recorded(&self, addr: usize, what: usize) -> bool {
        let stamp = self.stamp.get();
        self.recent[Self::place(addr)].get() == Recent { addr, what, stamp } && stamp != 0
    }

    /// The access is recorded now.
    pub fn record(&self, addr: usize, what: usize) {
        let stamp = self.stamp.get();
        self.recent[Self::place(addr)].set(Recent { addr, what, stamp });
    }

    /// Code that is not tracked runs, or has run.
    pub fn opaque(&self) {
        if let Some(shared) = &*self.shared.borrow() {
            shared.opaque.store(engine::sequence(), Ordering::Relaxed);
        }
    }

    /// A known object was acquired.
    pub fn acquired(&self) {
        if let Some(shared) = &*self.shared.borrow() {
            shared.acquired.store(engine::sequence(), Ordering::Relaxed);
        }
    }

    /// A function is about to be called that may be tracked.
    pub fn calls(&self, name: u64) {
        self.id();
        self.settle();
        self.calling.set(name);
    }

    /// A tracked function is entered: who called it?
    pub fn entered(&self, name: u64) {
        if self.calling.replace(0) != name {
            self.opaque();
        }
    }

    /// Something else than the entry of a tracked function happens: what was
    /// called, if anything, is not tracked.
    #[inline]
    pub fn settle(&self) {
        if self.calling.replace(0) != 0 {
            self.opaque();
        }
    }
}
