//! A look at all live tasks, and the report of those that are leaks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::cycles;
use super::ends;
use super::locks;
use super::record::{Polls, Record};
use super::registry;
use super::turn;
use super::waits::{self, Named, Object, Queues};
use super::world::{self, Here, Search};
use crate::abi::{kernel, stuck};
use crate::findings;
use crate::reach::{Joiner, Reach, Task};
use crate::report::kind::{Certainty, Kind};
use crate::report::wire::{
    Finding, Leg, Memory, Moment, Proof, Stack, TaskState, TaskStatus, ThreadId, Wait, WaitOn,
    Woken,
};
use crate::rt::hot::current;
use crate::stack::{self, StackId};
use crate::task::{Facts, Reached, Verdict, verdict};
use crate::waits::{WaitGraph, Wakers};

/// How often a world that does not stand still is looked at again.
const TRIES: u32 = 10;
/// Until then, doubled each time.
const PAUSE_MS: u64 = 1;

/// A task at one moment.
pub struct Seen {
    /// What is kept of it.
    pub record: Arc<Record>,
    /// Its state.
    pub facts: Facts,
    /// How it was polled.
    pub polls: Polls,
    /// Who keeps what it waits on, where that was looked for.
    pub held: Held,
}

/// Who keeps what a task waits on.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Tasks and threads.
    pub by: Vec<ThreadId>,
    /// They can still run.
    pub live: bool,
    /// Where a root of the search does that is no thread's.
    pub at: Option<u64>,
    /// Leaked memory does.
    pub by_leak: bool,
}

impl Seen {
    /// The task as it is now; none if it is gone.
    pub fn of(record: Arc<Record>) -> Option<Self> {
        let (facts, polls) = record.look()?;
        Some(Self {
            record,
            facts,
            polls,
            held: Held::default(),
        })
    }

    /// True if it waits to be woken.
    pub fn waits(&self) -> bool {
        match verdict(self.facts) {
            Verdict::Ending => false,
            Verdict::Alive(state) => state == TaskState::Waiting,
            Verdict::MayBeStuck | Verdict::Stuck(_) => true,
        }
    }

    /// True if it has not gone on since.
    pub fn is_still(&self) -> bool {
        self.record
            .look()
            .is_some_and(|(facts, polls)| facts == self.facts && polls.count == self.polls.count)
    }
}

/// Reports the tasks that can never run again, each once; at the end of the
/// process, all that are left.
///
/// Those that wait for each other are told as one deadlock, owner by owner.
pub fn report(moment: Moment, here: &Here) {
    let all = at_rest(here, TRIES).unwrap_or_else(see_all);
    let look = Look::default();
    look.tell_cycles(&all, moment);
    for seen in &all {
        let Some((state, proof, certainty)) = verdict(seen.facts).told() else {
            // What is cancelled or complete is only to be dropped.
            seen.record.rest.lock().reported = true;
            continue;
        };
        let told = certainty != Certainty::Observed || moment == Moment::Exit;
        if !told || seen.record.rest.lock().reported || is_idle_service(seen, state) {
            continue;
        }
        seen.record.rest.lock().reported = true;
        let kind = match certainty {
            Certainty::Observed if !seen.facts.handle => Kind::DetachedTask,
            Certainty::Proved | Certainty::Observed | Certainty::Potential => Kind::LeakedTask,
        };
        if certainty != Certainty::Observed || ends::is_first(kind, seen, state) {
            emit(kind, certainty, look.leg(seen, state, proof, moment));
        }
    }
    if moment == Moment::Shutdown {
        ends::waited(all.iter().filter(|seen| seen.waits()), look);
    }
}

/// Reports the tasks that wait for each other and never run again, each once, in a
/// program that goes on; false if none was found, or its threads do not sleep.
pub fn report_cycles(here: &Here) -> bool {
    at_rest(here, 0).is_some_and(|all| Look::default().tell_cycles(&all, Moment::Request))
}

/// A look at what tasks wait for: at one moment, for all that is told of it.
#[derive(Debug, Default)]
pub struct Look(Queues);

impl Look {
    /// True if there are any.
    fn tell_cycles(&self, all: &[Seen], moment: Moment) -> bool {
        let cycles = self.cycles(all);
        for cycle in &cycles {
            let proof = |seen: &Seen| match verdict(seen.facts) {
                Verdict::Stuck(proof) => Some(proof),
                Verdict::Ending | Verdict::Alive(_) | Verdict::MayBeStuck => None,
            };
            for seen in cycle {
                seen.record.rest.lock().reported = true;
            }
            let legs = cycle
                .iter()
                .map(|seen| self.leg(seen, TaskState::Waiting, proof(seen), moment));
            stuck::emit_cycle(legs.collect());
            cycles::told(cycle.iter().map(|seen| seen.record.origin.id).collect());
        }
        !cycles.is_empty()
    }

    /// Tasks that never run again and of which each waits for what the next one has, or
    /// for its end. That they never do is proved without that.
    fn cycles<'a>(&self, all: &'a [Seen]) -> Vec<Vec<&'a Seen>> {
        let never_runs = |seen: &&Seen| {
            matches!(verdict(seen.facts), Verdict::Stuck(_)) && !seen.polls.rest.reported
        };
        let by_id: BTreeMap<ThreadId, &Seen> = all
            .iter()
            .filter(never_runs)
            .map(|seen| (seen.record.origin.id, seen))
            .collect();
        let mut graph = WaitGraph::new(true);
        for (id, seen) in &by_id {
            let named = self.0.named(*id, seen.polls.count);
            if let Some(named) = named.filter(|named| !named.owners.is_empty()) {
                graph.block(*id, Wakers::All(named.owners));
            }
        }
        let cycles = graph.cycles().into_iter();
        cycles
            .map(|cycle| {
                cycle
                    .iter()
                    .filter_map(|id| by_id.get(id).copied())
                    .collect()
            })
            .collect()
    }

    /// The tasks that are kept from going on.
    pub fn stuck(&self) -> Vec<Stuck> {
        let all = see_all();
        let polled: Vec<(&Record, ThreadId)> = all
            .iter()
            .filter(|seen| seen.facts.running)
            .filter_map(|seen| Some((&*seen.record, seen.polls.thread?)))
            .collect();
        let told = |seen: &Seen| {
            let (state, proof, _) = verdict(seen.facts).told()?;
            let id = seen.record.origin.id;
            let (named, owners) = self.wait(id, seen.polls.count).unzip();
            Some(match state {
                TaskState::Waiting => {
                    let keeper = Keeper::Nobody(owners.unwrap_or_default());
                    (state, proof, named, keeper)
                }
                TaskState::Running => {
                    let thread = seen.polls.thread?;
                    (
                        state,
                        proof,
                        Some(waits_for(thread)),
                        Keeper::Polls(thread, named),
                    )
                }
                TaskState::New | TaskState::Scheduled => {
                    let thread = turn::of(&seen.record, &polled);
                    (state, proof, thread.map(waits_for), Keeper::Ready)
                }
                TaskState::Panicked => return None,
            })
        };
        let told: Vec<_> = all.iter().map(told).collect();
        let told = all.into_iter().zip(told);
        told.filter_map(|(seen, told)| {
            let (state, proof, wait, keeper) = told?;
            Some(Stuck {
                seen,
                state,
                proof,
                wait,
                keeper,
            })
        })
        .collect()
    }

    /// What a task or thread waits for in its poll of this number, where the other
    /// side has a name: the first of those who must act, and all of them.
    pub fn wait(&self, who: ThreadId, poll: u64) -> Option<(Wait, Vec<ThreadId>)> {
        let Named { on, owners, got_at } = self.0.named(who, poll)?;
        let addr = match on {
            Object::Permits(semaphore) => Some(semaphore as u64),
            Object::Task { .. } => None,
        };
        let wait = Wait {
            addr,
            acquired_at: got_at.map(stack::get).unwrap_or_default(),
            ..waits_for(*owners.first()?)
        };
        Some((wait, owners))
    }

    /// A task's side of a finding.
    pub fn leg(&self, seen: &Seen, state: TaskState, proof: Option<Proof>, moment: Moment) -> Leg {
        let waits = state == TaskState::Waiting;
        let named = waits.then(|| self.wait(seen.record.origin.id, seen.polls.count));
        Leg {
            wait: named.flatten().map(|(wait, _)| wait),
            ..unnamed_leg(seen, state, proof, moment)
        }
    }
}

/// All live tasks, once nothing moves any more; none if it still does after so many
/// tries more. Where some wait with wakers somewhere, the wakers are looked for.
fn at_rest(here: &Here, tries: u32) -> Option<Vec<Seen>> {
    let mut attempt = 0;
    loop {
        let mut all = see_all();
        let joiners = joiners(&all);
        let joiner = |seen: &Seen| joiners.get(&seen.record.origin.id).copied();
        let may_be_stuck = |seen: &Seen| {
            let facts = Facts {
                reached: Reached::Not,
                handle: seen.facts.handle && joiner(seen).is_none(),
                ..seen.facts
            };
            matches!(verdict(facts), Verdict::Stuck(_))
        };
        let undecided =
            |seen: &Seen| may_be_stuck(seen) && (seen.facts.references > 0 || seen.facts.handle);
        let on_its_way = |seen: &Seen| seen.facts.running || seen.facts.scheduled;
        let searched = all.iter().any(undecided);
        if !searched && !all.iter().any(on_its_way) {
            return Some(all);
        }
        let (locks, wanted) = locks::wanted(&all);
        let tasks: Vec<Task> = all
            .iter()
            .zip(wanted)
            .map(|(seen, lock)| Task {
                waker: seen.polls.rest.waker,
                data_word: seen.record.data_word,
                waits: seen.waits(),
                wakers: may_be_stuck(seen).then_some(seen.facts.references),
                joined_by: joiner(seen).filter(|_| seen.facts.handle),
                lock,
            })
            .collect();
        match world::search(&tasks, &locks, here, searched) {
            Search::Done(found) if all.iter().all(Seen::is_still) => {
                let ids: Vec<ThreadId> = all.iter().map(|seen| seen.record.origin.id).collect();
                let polls = |seen: &Seen| seen.polls.thread.filter(|_| seen.facts.running);
                let polling: Vec<ThreadId> = all.iter().filter_map(polls).collect();
                for (seen, reach) in all.iter_mut().zip(found) {
                    // Who has the handle never runs again either.
                    seen.facts.handle &= !reach.is_dead();
                    let (reached, holders) = match reach {
                        Reach::Live(holders) => (Reached::Live, holders),
                        Reach::Unaccounted(holders) => (Reached::Unaccounted, holders),
                        Reach::Unreachable(holders) => (Reached::Not, holders),
                    };
                    seen.facts.reached = reached;
                    seen.held = Held {
                        by: holders.tasks.into_iter().map(|at| ids[at]).collect(),
                        live: reached == Reached::Live,
                        at: None,
                        by_leak: holders.leaked,
                    };
                    if seen.held.by.is_empty() {
                        held_by_roots(&mut seen.held, &holders.roots, &polling);
                    }
                }
                return Some(all);
            }
            Search::Impossible => return Some(all),
            Search::Done(_) | Search::Moving if attempt == tries => return None,
            Search::Done(_) | Search::Moving => {}
        }
        stuck::nap(PAUSE_MS << attempt);
        attempt += 1;
    }
}

/// Who keeps what a task waits on by the words of these roots. A thread that polls
/// tasks, or that looks, has on its stack what is left of them.
fn held_by_roots(held: &mut Held, roots: &[usize], polling: &[ThreadId]) {
    let own = tracked_id();
    for &root in roots {
        match findings::memory(root) {
            Memory::Stack { thread, .. } | Memory::ThreadLocal { thread, .. } => {
                let told =
                    Some(thread) == own || polling.contains(&thread) || held.by.contains(&thread);
                if !told {
                    held.by.push(thread);
                }
            }
            Memory::Static { addr } => held.at = held.at.or(Some(addr)),
            Memory::Heap { .. } | Memory::Mapped { .. } | Memory::Unknown { .. } => {}
        }
    }
}

/// The number of the calling thread, which looks.
fn tracked_id() -> Option<ThreadId> {
    // SAFETY: the record belongs to this thread.
    unsafe { current().as_ref() }.map(|thread| thread.id)
}

/// For each task whose join handle another polled when it was polled last: that
/// one, and where the handle lies.
fn joiners(all: &[Seen]) -> HashMap<ThreadId, Joiner> {
    let joined = |(at, seen): (usize, &Seen)| {
        let waits = waits::of(seen.record.origin.id, seen.polls.count)?;
        let Object::Task { data, handle } = waits else {
            return None;
        };
        let joiner = Joiner { task: at, handle };
        Some((registry::by_data(data)?.origin.id, joiner))
    };
    all.iter().enumerate().filter_map(joined).collect()
}

fn see_all() -> Vec<Seen> {
    registry::live().into_iter().filter_map(Seen::of).collect()
}

/// A closure of the blocking pool is no task that waits, and the workers of a
/// tokio runtime are such closures themselves: they are told as threads.
fn is_idle_service(seen: &Seen, state: TaskState) -> bool {
    const WORKER: &str = "tokio::runtime::blocking::task::BlockingTask<\
                          tokio::runtime::scheduler::multi_thread";
    let is_worker = seen.record.origin.future.starts_with(WORKER);
    is_worker || seen.facts.polls == 0 && state != TaskState::Waiting
}

/// What keeps a task from going on.
pub enum Keeper {
    /// It waits: until these act, where they have names.
    Nobody(Vec<ThreadId>),
    /// This thread is in the middle of its poll, and waits there for that, if it
    /// waits for a future.
    Polls(ThreadId, Option<Wait>),
    /// It is ready: who would poll it is what it waits for, if that is known.
    Ready,
}

/// A task that is kept from going on.
pub struct Stuck {
    /// It.
    pub seen: Seen,
    state: TaskState,
    proof: Option<Proof>,
    /// What it waits for, where that has a name.
    pub wait: Option<Wait>,
    /// What keeps it.
    pub keeper: Keeper,
}

impl Stuck {
    /// Its side of a finding.
    pub fn leg(self, moment: Moment) -> Leg {
        Leg {
            wait: self.wait,
            ..unnamed_leg(&self.seen, self.state, self.proof, moment)
        }
    }
}

/// The wait of who goes on once that one acts.
pub fn waits_for(owner: ThreadId) -> Wait {
    Wait {
        on: WaitOn::Futex,
        for_ms: 0,
        timed: false,
        addr: None,
        owner: Some(owner),
        acquired_at: Stack::new(),
    }
}

/// All live tasks, for a snapshot.
pub fn present() -> Vec<Leg> {
    let look = Look::default();
    let told = |seen: Seen| {
        let (state, proof, _) = verdict(seen.facts).told()?;
        Some(look.leg(&seen, state, proof, Moment::Request))
    };
    see_all().into_iter().filter_map(told).collect()
}

/// A task's side of a finding, without what it waits for.
pub fn unnamed_leg(seen: &Seen, state: TaskState, proof: Option<Proof>, moment: Moment) -> Leg {
    let Seen {
        record,
        facts,
        polls,
        held,
    } = seen;
    let now = kernel::now();
    let ms = |since: u64| now.saturating_sub(since) / 1_000_000;
    let spent = |chain: StackId| record.since(chain).into_iter().map(ms).collect();
    let mut chains = polls.chains();
    let innermost = chains.next();
    let stack = innermost.map(stack::get).unwrap_or_default();
    let (branches, branches_ms) = chains
        .map(|chain| (stack::get(chain), spent(chain)))
        .unzip();
    let status = TaskStatus {
        state,
        proof,
        moment,
        polls: polls.count,
        polls_since: polls.count.saturating_sub(polls.chains_poll),
        age_ms: ms(record.born),
        idle_ms: ms(polls.idle_since.max(record.born)),
        handle: facts.handle,
        references: facts.references,
        held_by: held.by.clone(),
        held_live: held.live,
        held_at: held.at,
        held_by_leak: held.by_leak,
        awaits_ms: innermost.map(spent).unwrap_or_default(),
        branches,
        branches_ms,
        woken: polls.woken.map(|wake| Woken {
            by: wake.by,
            stack: stack::get(wake.at),
            ago_ms: ms(wake.time),
        }),
    };
    Leg {
        thread: record.origin.id,
        stack,
        access: None,
        locks: Vec::new(),
        wait: None,
        task: Some(status),
    }
}

fn emit(kind: Kind, certainty: Certainty, leg: Leg) {
    findings::emit(&Finding {
        kind,
        certainty,
        legs: vec![leg],
        memory: None,
        said: None,
        fatal: false,
        asked: Vec::new(),
    });
}

/// Threads and tasks that a status mentions.
pub fn mentioned(status: &TaskStatus) -> impl Iterator<Item = ThreadId> {
    let woken = status.woken.iter().map(|woken| woken.by);
    woken.chain(status.held_by.iter().copied())
}
