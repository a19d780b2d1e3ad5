//! What a thread has polled, one task after the other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::found;
use super::handed::{Handed, HandedOver};
use super::log;
use super::replay::{Event, Object};
use super::window;
use crate::abi::task::record::Origin;
use crate::check::Epochs;
use crate::ids::{Epoch, Slot};
use crate::report::wire::ThreadId;
use crate::shadow::word::{Cell, Stamp};

/// Polls remembered of a thread.
const POLLS: usize = 4096;
/// Of those, how many are looked at for one of the same task.
const LAST_TURNS: usize = 16;
/// Pairs of tasks remembered of a thread.
const PAIRS: usize = 4096;

/// A task in a poll.
#[derive(Clone)]
pub struct Polled {
    /// The task.
    pub task: Arc<Origin>,
    /// Where the innermost function around the poll goes on.
    pub around: u64,
}

/// What a thread does from an epoch on.
struct Turn {
    since: Epoch,
    /// The task that it polls.
    polled: Option<Polled>,
    /// Where the log was.
    logged: u64,
    /// In which window it began.
    window: u64,
}

/// A poll that has not ended.
pub struct Open {
    pub polled: Polled,
    /// When it began.
    pub since: Stamp,
    /// It is in the poll of the task that drives its executor, on this thread alone.
    pub nested: bool,
    /// It polls the tasks of a pool.
    pub works: bool,
}

/// What a thread has polled, oldest first.
pub struct Turns {
    slot: Slot,
    turns: VecDeque<Turn>,
    /// Outermost first: a task may drive an executor of its own.
    pub open: Vec<Open>,
    /// Up to which epoch of the first task on this thread the second knows it.
    known: BTreeMap<(ThreadId, ThreadId), Epoch>,
    /// What tasks left in memory of the thread's own, and others found there.
    pub handed: HandedOver,
}

/// Two polls of one thread whose tasks nothing is known to order.
pub struct Suspects {
    pub now: Polled,
    pub other: Polled,
    /// Where the log was at the earlier one.
    pub logged: u64,
    /// When the later one began.
    pub since: Stamp,
}

impl Turns {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            slot: Slot::new(0),
            turns: VecDeque::new(),
            open: Vec::new(),
            known: BTreeMap::new(),
            handed: HandedOver::new(),
        }
    }

    /// What the thread does from now on is another turn.
    pub fn begins(&mut self, stamp: Stamp, window: u64) {
        let open = self.open.last().filter(|open| !open.works);
        let polled = open.map(|open| open.polled.clone());
        if self.slot != stamp.slot() {
            self.slot = stamp.slot();
            self.turns.clear();
            self.known.clear();
            self.handed.clear();
        }
        if self.turns.len() == POLLS {
            self.turns.pop_front();
        }
        self.turns.push_back(Turn {
            since: stamp.epoch(),
            polled,
            logged: log::next(),
            window,
        });
    }

    /// Where most accesses were made before that have nothing to do with other tasks:
    /// in the last poll of the same task here, and since the last poll of all.
    pub fn passed_over(&self, task: &Arc<Origin>) -> [Epochs; 2] {
        let mut passed = [Epochs::default(); 2];
        let mut to = None;
        for (at, turn) in self.turns.iter().rev().take(LAST_TURNS).enumerate() {
            let from = turn.since.get();
            let Some(to) = to.replace(from) else { continue };
            match &turn.polled {
                None if at == 1 => passed[0] = Epochs { from, to },
                Some(polled) if Arc::ptr_eq(&polled.task, task) => {
                    passed[1] = Epochs { from, to };
                    break;
                }
                Some(_) | None => {}
            }
        }
        passed
    }

    /// What was left and found in the thread's own memory, as if it had been released
    /// and acquired; none if that was no memory of the thread's own, or no task.
    pub fn hand(&self, handed: &Handed) -> Option<[Event; 2]> {
        let task = |epoch| Some(self.at(epoch)?.polled.as_ref()?.task.id);
        let (leaves, finds) = (task(handed.left)?, task(handed.found)?);
        if handed.addr.is_some_and(found::is_shared_by_now) {
            return None;
        }
        let left = Event {
            who: leaves,
            acquires: false,
            releases: true,
            stamp: Stamp::new(self.slot, handed.left),
            at: Object::left_by(leaves),
        };
        let found = Event {
            who: finds,
            acquires: true,
            releases: false,
            ..left
        };
        Some([left, found])
    }

    /// The turn that an epoch of this thread is of.
    fn at(&self, epoch: Epoch) -> Option<&Turn> {
        let after = self.turns.partition_point(|turn| turn.since <= epoch);
        self.turns.get(after.checked_sub(1)?)
    }

    /// The task that is being polled, if it is a strand of its own: one that stays on
    /// its thread is as any code of that.
    pub fn strand(&self) -> Option<&Polled> {
        let open = self.open.last()?;
        (!open.polled.task.stays && !open.works).then_some(&open.polled)
    }

    /// On this thread `later` knows what `earlier` did there, up to an epoch.
    pub fn knows(&mut self, later: ThreadId, earlier: ThreadId, epoch: Epoch) {
        if self.known.len() == PAIRS {
            self.known.clear();
        }
        self.known.insert((earlier, later), epoch);
    }

    /// The poll that the thread makes now, and the one in which it made the access
    /// of `cell`, if their tasks are two and not known to be ordered.
    pub fn suspects(&self, cell: Cell) -> Option<Suspects> {
        let open = self.open.last()?;
        if self.slot != cell.slot() || open.since.slot() != cell.slot() {
            return None;
        }
        let turn = self.at(cell.epoch())?;
        if turn.window != window::number() {
            return None;
        }
        let other = turn.polled.as_ref()?;
        let now = &open.polled;
        if other.task.id == now.task.id || other.task.stays {
            return None;
        }
        let known = self.known.get(&(other.task.id, now.task.id));
        if known.is_some_and(|known| *known >= cell.epoch()) {
            return None;
        }
        Some(Suspects {
            now: now.clone(),
            other: other.clone(),
            logged: turn.logged,
            since: open.since,
        })
    }
}
