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
use super::direct::{self, Announcement, Key};
use super::engine;
use super::locks;
use super::strand::Strand;
use super::task::Task;

/// Accesses of this epoch that a thread remembers.
const RECENT: usize = 64;
/// Announcements that a thread remembers.
const ANNOUNCED: usize = 32;

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

/// A call that is about to be announced.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    number: u64,
    /// What tells the announcement from others, of a method that may be another of
    /// its name.
    announced: Option<Key>,
}

impl Call {
    /// Of what has this number, and nothing else has.
    pub const fn of(number: u64) -> Self {
        Self {
            number,
            announced: None,
        }
    }

    /// Of a method with this number, announced so.
    pub const fn method(number: u64, announced: Key) -> Self {
        Self {
            number,
            announced: Some(announced),
        }
    }
}

impl From<u64> for Call {
    fn from(number: u64) -> Self {
        Self::of(number)
    }
}

/// A call that was announced.
#[derive(Debug, Clone, Copy)]
struct Calling {
    number: u64,
    announced: Option<&'static Announcement>,
}

/// What goes on around a tracked function, see [`Local::enters`].
#[derive(Debug, Clone, Copy)]
pub struct Around {
    calling: Option<Calling>,
    own: usize,
    /// What the entry was taken to answer, if that is open.
    open: Option<&'static Announcement>,
}

/// The thread's own cells.
pub struct Local {
    strand: OnceCell<Arc<Strand>>,
    recent: [Cell<Recent>; RECENT],
    /// The function that is being called.
    calling: Cell<Option<Calling>>,
    /// What a function answered that was left since: who called it may go on, if that
    /// was another.
    open: Cell<Option<&'static Announcement>>,
    /// The latest announcements.
    announced: [Cell<Option<&'static Announcement>>; ANNOUNCED],
    /// The scope or test that what happens here belongs to.
    pub context: Cell<ContextId>,
    /// The task being polled.
    pub task: RefCell<Option<Arc<Task>>>,
    /// The spawn that this thread runs.
    pub unit: Cell<Option<u64>>,
    /// Statements in which code of a type's own may run, as deep as they nest.
    pub own: Cell<usize>,
    /// It may have taken locks whose release is not seen.
    pub unseen: Cell<bool>,
    /// The library's own code runs, see [`inside`].
    is_inside: Cell<bool>,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            strand: OnceCell::new(),
            recent: [const { Cell::new(Recent { addr: 0, what: 0, stamp: 0 }) }; RECENT],
            calling: Cell::new(None),
            open: Cell::new(None),
            announced: [const { Cell::new(None) }; ANNOUNCED],
            context: Cell::new(ContextId::ROOT),
            task: RefCell::new(None),
            unit: Cell::new(None),
            own: Cell::new(0),
            unseen: Cell::new(false),
            is_inside: Cell::new(false),
        }
    };
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(strand) = self.strand.get() {
            locks::end(strand);
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
    pub fn calls(&self, call: Call) {
        self.settle();
        let announced = call.announced.map(|key| self.announcement(key));
        self.announces(Calling {
            number: call.number,
            announced,
        });
    }

    fn announces(&self, calling: Calling) {
        let strand = self.strand();
        self.calling.set(Some(calling));
        strand.calls(engine::sequence());
    }

    /// An announcement, which is noted if it is new.
    fn announcement(&self, key: Key) -> &'static Announcement {
        let latest = &self.announced[key.place(ANNOUNCED)];
        match latest.get() {
            Some(known) if known.is(key) => known,
            _ => {
                let known = direct::announce(key);
                latest.set(Some(known));
                known
            }
        }
    }

    /// True if a function of this number is about to be entered.
    pub fn is_calling(&self, number: u64) -> bool {
        self.calling.get().is_some_and(|it| it.number == number)
    }

    /// A tracked function of this number is entered, or one that anybody may
    /// call (zero): what goes on around it, and whether who calls is tracked,
    /// too. Nothing does inside.
    pub fn enters(&self, number: u64) -> (Around, bool) {
        self.close();
        let calling = self.calling.get();
        let answered = calling.filter(|it| number != 0 && callee::answers(it.number, number));
        let is_answer = answered.is_some_and(|it| {
            let announced = it.announced;
            announced.is_none_or(|one| one.is_answered(engine::sequence()))
        });
        let answered = answered.and_then(|it| it.announced);
        let own = self.own.replace(0);
        if !is_answer || own != 0 {
            // First, for who looks in between.
            self.opaque();
        }
        let around = Around {
            calling: self.called(),
            own,
            open: answered.filter(|one| is_answer && one.is_open()),
        };
        (around, is_answer)
    }

    /// Who called what was left has gone on until now, if that is open.
    #[inline]
    fn close(&self) {
        if let Some(open) = self.open.take()
            && !open.is_answered(engine::sequence())
        {
            // That became known meanwhile.
            self.opaque();
        }
    }

    /// It is left, and what is around it goes on: what was called, if that was
    /// another function.
    pub fn leaves(&self, around: Around, was_answer: bool) {
        if around.own != 0 {
            self.own.set(around.own);
            self.opaque();
        }
        // What it called last has gone on until now.
        self.close();
        self.open.set(around.open);
        if let Some(calling) = around.calling.filter(|_| !was_answer) {
            self.settle();
            self.announces(calling);
        }
    }

    /// What was called, if anything: it is known now.
    fn called(&self) -> Option<Calling> {
        let called = self.calling.take();
        if called.is_some()
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
        self.close();
        if self.calling.get().is_some() {
            // First, for who looks in between.
            self.opaque();
            self.called();
        }
    }
}
