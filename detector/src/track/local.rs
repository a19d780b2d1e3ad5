//! A thread's own cells: its strand, the accesses that it remembers, and what
//! runs on it at the moment.
//!
//! The futures of async tasks are no strands: a poll happens in the strand of
//! the thread that polls, ordered after the task's earlier polls and its
//! wake-up. A race between two tasks that shared one thread is therefore not
//! seen.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use super::callee;
use super::context::ContextId;
use super::engine;
use super::strand::Strand;
use super::task::Task;

/// Accesses of this epoch that a thread remembers.
const RECENT: usize = 64;

/// An access that is recorded already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recent {
    /// First byte.
    addr: usize,
    /// Bytes, and whether it writes.
    what: usize,
    /// Slot and epoch.
    stamp: u64,
}

/// What goes on around a tracked function, see [`Local::enters`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Around {
    calling: u64,
    own: usize,
}

/// The thread's own cells.
pub struct Local {
    strand: OnceCell<Arc<Strand>>,
    recent: [Cell<Recent>; RECENT],
    /// Hash of the name of a function that is being called; zero if none.
    calling: Cell<u64>,
    /// The scope or test that what happens here belongs to.
    pub context: Cell<ContextId>,
    /// The task being polled.
    pub task: RefCell<Option<Arc<Task>>>,
    /// The spawn that this thread runs.
    pub unit: Cell<Option<u64>>,
    /// Statements in which code of a type's own may run, as deep as they nest.
    pub own: Cell<usize>,
    /// The library's own code runs, see [`inside`].
    is_inside: Cell<bool>,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            strand: OnceCell::new(),
            recent: [const { Cell::new(Recent { addr: 0, what: 0, stamp: 0 }) }; RECENT],
            calling: Cell::new(0),
            context: Cell::new(ContextId::ROOT),
            task: RefCell::new(None),
            unit: Cell::new(None),
            own: Cell::new(0),
            is_inside: Cell::new(false),
        }
    };
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(strand) = self.strand.get() {
            engine::end(strand);
        }
    }
}

/// Calls `f` with the cells of this thread; none once they are destroyed.
#[inline]
pub fn with<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    LOCAL.try_with(f).ok()
}

/// Calls `f` as code of the library's own: with the cells of this thread, once
/// it does nothing else here; else not at all.
///
/// It allocates under its locks, and the program's allocator may be tracked
/// itself: what that tells meanwhile is not for the library.
#[inline]
pub fn inside<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    struct Inside<'l>(&'l Local);

    impl Drop for Inside<'_> {
        fn drop(&mut self) {
            self.0.is_inside.set(false);
        }
    }

    with(|local| {
        if local.is_inside.replace(true) {
            return None;
        }
        let _inside = Inside(local);
        Some(f(local))
    })
    .flatten()
}

impl Local {
    /// This thread's strand, begun if need be.
    #[inline]
    pub fn strand(&self) -> &Arc<Strand> {
        match self.strand.get() {
            Some(strand) => strand,
            None => self.begin(None),
        }
    }

    /// This thread's strand, begun if need be by a spawn that was seen.
    pub fn spawned(&self, spawn: engine::Spawned) -> &Arc<Strand> {
        match self.strand.get() {
            Some(strand) => strand,
            None => self.begin(Some(spawn)),
        }
    }

    #[cold]
    fn begin(&self, spawn: Option<engine::Spawned>) -> &Arc<Strand> {
        let strand = self
            .strand
            .get_or_init(|| engine::begin(&std::thread::current(), spawn));
        if spawn.is_none() {
            self.opaque();
        }
        strand
    }

    #[inline]
    fn place(addr: usize) -> usize {
        (addr >> 2 ^ addr >> 9) % RECENT
    }

    /// True if the access is recorded in this epoch already.
    #[inline]
    pub fn recorded(&self, addr: usize, what: usize) -> bool {
        let recent = self.recent[Self::place(addr)].get();
        let Some(strand) = self.strand.get() else {
            return false;
        };
        let stamp = strand.stamp();
        recent == Recent { addr, what, stamp }
    }

    /// The access was recorded at this stamp.
    pub fn record(&self, addr: usize, what: usize, stamp: u64) {
        self.recent[Self::place(addr)].set(Recent { addr, what, stamp });
    }

    /// Code that is not tracked runs, or has run.
    #[inline]
    pub fn opaque(&self) {
        if let Some(strand) = self.strand.get() {
            strand.ran_opaque(engine::sequence());
        }
    }

    /// A known object was acquired.
    pub fn acquired(&self) {
        if let Some(strand) = self.strand.get() {
            strand.acquired(engine::sequence());
        }
    }

    /// What this thread shares with others is about to be dropped.
    pub fn dropped_shared(&self) {
        if let Some(strand) = self.strand.get() {
            strand.dropped_shared(engine::sequence());
        }
    }

    /// A function is about to be called that may be tracked.
    pub fn calls(&self, name: u64) {
        let strand = self.strand();
        self.settle();
        self.calling.set(name);
        strand.calls(engine::sequence());
    }

    /// True if a function of this name is about to be entered.
    pub fn is_calling(&self, name: u64) -> bool {
        self.calling.get() == name
    }

    /// A tracked function of this number is entered, or one that anybody may
    /// call (zero): what goes on around it, and whether who calls is tracked,
    /// too. Nothing does inside.
    pub fn enters(&self, number: u64) -> (Around, bool) {
        let around = Around {
            calling: self.called(),
            own: self.own.replace(0),
        };
        let is_answer = number != 0 && callee::answers(around.calling, number);
        if !is_answer || around.own != 0 {
            self.opaque();
        }
        (around, is_answer)
    }

    /// It is left, and what is around it goes on: what was called, if that was
    /// another function.
    pub fn leaves(&self, around: Around, was_answer: bool) {
        if around.own != 0 {
            self.own.set(around.own);
            self.opaque();
        }
        if !was_answer && around.calling != 0 {
            self.calls(around.calling);
        }
    }

    /// What was called, if anything: it is known now.
    fn called(&self) -> u64 {
        let called = self.calling.replace(0);
        if called != 0
            && let Some(strand) = self.strand.get()
        {
            strand.calls(0);
        }
        called
    }

    /// Something else than the entry of a tracked function happens: what was
    /// called, if anything, is not tracked.
    #[inline]
    pub fn settle(&self) {
        if self.calling.get() != 0 {
            // First, for who looks in between.
            self.opaque();
            self.called();
        }
    }
}
