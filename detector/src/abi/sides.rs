//! Threads and tasks that wait, each for whom: one wait-for graph of both.
//!
//! Who has a lock of the system, of std or of parking_lot, and which thread is
//! joined, the threads' own notes tell ([`super::snapshot`]); who has a lock of the
//! executor's and which task is joined, what its copy tells ([`super::task::waits`]).
//! A cycle of threads alone is proved where all of them were asleep at one moment. Of
//! a cycle with tasks it is known that each waited at one moment for what the next one
//! had, and no more: a task may wait for a timer besides, or be aborted by its handle.
//!
//! Waits without a name, such as for a message, are named by memory where nothing
//! moves any more ([`super::task::keepers`]).

use std::collections::BTreeMap;

use super::place::Place;
use super::snapshot::{Member, Snapshot};
use super::stuck;
use super::symbols;
use super::task::cycles;
use super::task::keepers::{self, Unnamed};
use super::task::look::{self, Keeper, Look, Stuck};
use super::task::world::Here;
use crate::report::kind::Certainty;
use crate::report::wire::{Finding, Leg, Moment, ThreadId, Wait, WaitOn};
use crate::rt::waiting::Call;
use crate::waits::{WaitGraph, Wakers};

/// Threads and tasks that wait.
pub struct Sides {
    /// Who waits for whom.
    pub graph: WaitGraph,
    sides: BTreeMap<ThreadId, Side>,
    /// The tasks that nobody polls.
    pub waiting: Vec<ThreadId>,
}

/// One of them.
enum Side {
    Thread(Box<Leg>),
    Task(Box<Stuck>),
}

impl Sides {
    /// Those that wait at this moment, the threads as in the snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut sides = Self {
            graph: snapshot.graph(false),
            sides: BTreeMap::new(),
            waiting: Vec::new(),
        };
        let look = Look::default();
        let waits = |member: &&Member| {
            let call = member.seen.map(|seen| seen.blocked.call);
            call.is_some_and(|call| call.is_wait() || call == Call::Events)
        };
        for member in snapshot.members().iter().filter(waits) {
            let mut leg = snapshot.leg(member, None, None);
            let named = look.wait(member.id, 0);
            sides.block(leg.thread, leg.wait.as_ref());
            if let Some((named, owners)) = named
                && name(&mut leg, named)
            {
                sides.graph.block(leg.thread, Wakers::All(owners));
            }
            sides.sides.insert(leg.thread, Side::Thread(Box::new(leg)));
        }
        for mut task in look.stuck() {
            let id = task.seen.record.origin.id;
            match &mut task.keeper {
                Keeper::Nobody(_) => sides.waiting.push(id),
                Keeper::Polls(thread, named) => {
                    if let Some(named) = named.take() {
                        sides.name(*thread, named);
                    }
                }
                Keeper::Ready => {}
            }
            sides.block(id, task.wait.as_ref());
            if let Keeper::Nobody(owners) = &mut task.keeper
                && task.wait.is_some()
            {
                let owners = std::mem::take(owners);
                sides.graph.block(id, Wakers::All(owners));
            }
            sides.sides.insert(id, Side::Task(Box::new(task)));
        }
        sides
    }

    /// What a thread waits for that is in the middle of a poll.
    fn name(&mut self, thread: ThreadId, named: Wait) {
        if let Some(Side::Thread(leg)) = self.sides.get_mut(&thread) {
            name(leg, named);
            self.graph.block(thread, wakers(leg.wait.as_ref()));
        }
    }

    fn block(&mut self, who: ThreadId, wait: Option<&Wait>) {
        self.graph.block(who, wakers(wait));
    }

    /// Finds by memory who must act where a wait has no name: of a process that can
    /// never go on, by a thread of which `here` is left. What that explains, the cycles
    /// there are then.
    pub fn cycles_by_memory(&mut self, here: &Here) -> Vec<Vec<ThreadId>> {
        let unnamed: Vec<Unnamed> = self
            .sides
            .iter()
            .filter_map(|(id, side)| side.unnamed(*id))
            .collect();
        let found = keepers::find(&unnamed, here);
        for &(who, keeper) in &found {
            self.graph.block(who, Wakers::All(vec![keeper]));
        }
        let cycles = self.graph.cycles();
        for (who, keeper) in found {
            if cycles.iter().any(|cycle| cycle.contains(&who))
                && let Some(side) = self.sides.get_mut(&who)
            {
                side.needs(keeper);
            }
        }
        cycles
    }

    /// Their sides of a finding, as far as they wait: each is taken once.
    pub fn take(&mut self, ids: &[ThreadId], moment: Moment) -> Vec<Leg> {
        let taken = ids.iter().filter_map(|id| self.sides.remove(id));
        let leg = |side| match side {
            Side::Thread(leg) => *leg,
            Side::Task(task) => task.leg(moment),
        };
        taken.map(leg).collect()
    }

    /// True if at one moment since they were looked at all of them waited. The
    /// calling thread is `own`, which looks.
    fn still_wait(&self, cycle: &[ThreadId], snapshot: &Snapshot, own: ThreadId) -> bool {
        let tasks_are_still = || {
            cycle.iter().all(|id| match self.sides.get(id) {
                Some(Side::Task(task)) => task.seen.is_still(),
                Some(Side::Thread(_)) => true,
                None => false,
            })
        };
        snapshot.confirm(&others(cycle, own)) && tasks_are_still()
    }
}

impl Side {
    /// Its wait, if it is not known who must act for that to end.
    fn unnamed(&self, who: ThreadId) -> Option<Unnamed> {
        match self {
            Self::Thread(leg) => {
                let wait = leg.wait.as_ref().filter(|wait| wait.owner.is_none())?;
                let futex = usize::try_from(wait.addr?).ok()?;
                Some(Unnamed {
                    who,
                    futex: Some(futex),
                })
            }
            Self::Task(task) => {
                let waits = matches!(task.keeper, Keeper::Nobody(_)) && task.wait.is_none();
                waits.then_some(Unnamed { who, futex: None })
            }
        }
    }

    /// That one must act for its wait to end.
    fn needs(&mut self, keeper: ThreadId) {
        match self {
            Self::Thread(leg) => {
                if let Some(wait) = &mut leg.wait {
                    wait.owner = Some(keeper);
                }
            }
            Self::Task(task) => {
                task.wait = Some(Wait {
                    on: WaitOn::OtherEnd,
                    ..look::waits_for(keeper)
                });
            }
        }
    }
}

fn others(cycle: &[ThreadId], own: ThreadId) -> Vec<ThreadId> {
    cycle.iter().copied().filter(|id| *id != own).collect()
}

/// The cycles that tasks are in, of a process that its supervisor ends. Others may go
/// on, and what a task waits for besides is not known: nothing is proved.
pub fn report_cycles_of_tasks(snapshot: &Snapshot) {
    let mut sides = Sides::of(snapshot);
    for cycle in sides.graph.cycles() {
        if cycle.iter().any(|id| sides.waiting.contains(id)) {
            stuck::emit_observed(sides.take(&cycle, Moment::Exit));
        }
    }
}

/// The cycles that there are while all goes on. Nothing is waited for: what moves is
/// left out.
pub fn cycles_now(snapshot: &Snapshot, own: ThreadId) -> Vec<Finding> {
    let mut sides = Sides::of(snapshot);
    let of_threads = snapshot.graph(true).cycles();
    let mut found = Vec::new();
    for cycle in sides.graph.cycles() {
        if !sides.still_wait(&cycle, snapshot, own) {
            continue;
        }
        let proved = of_threads.contains(&cycle) || cycles::was_told(&cycle);
        let certainty = match proved {
            true => Certainty::Proved,
            false => Certainty::Observed,
        };
        let legs = sides.take(&cycle, Moment::Request);
        found.push(stuck::deadlock(legs, certainty, false));
    }
    found
}

/// Of a thread that blocks on a future: what it awaits tells more than where it
/// sleeps. True if that is known.
fn name(leg: &mut Leg, named: Wait) -> bool {
    let names = leg.stack.iter().map(|&pc| symbols::name_of(pc));
    if Place::blocks_on_future(names)
        && let Some(own) = leg.wait.as_mut().filter(|own| own.owner.is_none())
    {
        (own.owner, own.acquired_at) = (named.owner, named.acquired_at);
        own.addr = named.addr.or(own.addr);
        return true;
    }
    false
}

/// Who must act for a wait to end.
fn wakers(wait: Option<&Wait>) -> Wakers {
    match wait.and_then(|wait| wait.owner) {
        Some(owner) => Wakers::All(vec![owner]),
        None => Wakers::Anyone,
    }
}
