//! A finding of the wire as a person reads it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use leakcheck::report::kind::{Certainty, Kind, Level};
use leakcheck::report::wire::{self, TaskState, ThreadId, WaitOn};

use super::by_design::by_design;
use super::fingerprint::fingerprint;
use super::memory::{memory, returning};
use super::pools::{PoolRule, idle_pool, idle_task};
use super::resolve::Resolver;
use super::said;
use super::tasks;
use super::waits::wait_for;
use super::words;
use crate::model::{
    Access, Finding, LaneId, Leg, Memory, Role, Seen, Shape, Stack, Standing, ThreadLabel, Wait,
    WaitFor,
};

/// Why a race on memory that is neither static, nor of `malloc`, nor a stack,
/// nor mapped by instrumented code is not certain.
fn unseen_allocator(found: &wire::Finding) -> Option<&'static str> {
    let unknown = matches!(found.memory, Some(wire::Memory::Unknown { .. }));
    (unknown && found.certainty == Certainty::Potential).then_some(
        "the memory belongs to an allocator that is not seen: it may have been freed and \
         given out again between the two accesses",
    )
}

/// Builds findings of one process.
pub struct FindingBuilder<'r, 'a> {
    resolver: &'r mut Resolver<'a>,
    process: usize,
}

impl<'r, 'a> FindingBuilder<'r, 'a> {
    /// With the names of the test's nth process.
    pub fn new(resolver: &'r mut Resolver<'a>, process: usize) -> Self {
        Self { resolver, process }
    }

    /// Names everything in a finding and judges it.
    pub fn build(self, found: &wire::Finding, moment: Option<u64>) -> Finding {
        self.resolver.begin(&threads(found));
        self.build_more(found, moment)
    }

    /// As [`Self::build`], with the names that the resolver has given already.
    pub fn build_more(mut self, found: &wire::Finding, moment: Option<u64>) -> Finding {
        let told = self.without_harness(found);
        let told = self.without_workers(told);
        let found = told.as_ref();
        let legs: Vec<Leg> = found
            .legs
            .iter()
            .map(|leg| self.leg(found.kind, leg))
            .collect();
        let memory = self.memory(found, &legs);
        let said = found.said.as_ref();
        let said = said.and_then(|told| said::said(told, legs.first()));
        let pool = pool_rule(found.kind, &legs);
        let design = by_design(found.kind, legs.iter().map(|leg| &leg.stack));
        let kind = if design.is_some() {
            Kind::VolatileRace
        } else {
            found.kind
        };
        let shape = shape(found);
        let level = if pool.is_some() || design.is_some() {
            Level::Note
        } else {
            kind.level(found.certainty)
        };
        let test = self.resolver.test();
        let subject = words::Subject {
            kind,
            legs: &legs,
            memory: memory.as_ref(),
            said: said.as_ref(),
            shape,
            pool,
            by_design: design.is_some(),
            in_test: !test.name.is_empty(),
        };
        let title = words::title(&subject);
        let help = words::help(&subject);
        let label = pool.map(|rule| rule.name);
        let fingerprint = match pool {
            // All workers of a pool are one finding.
            Some(_) => fingerprint(kind, &[], None, label, test),
            None => fingerprint(kind, &legs, memory.as_ref(), label, test),
        };
        Finding {
            kind,
            level,
            certainty: found.certainty,
            title,
            shape,
            memory,
            said,
            by_design: pool
                .map(|rule| rule.reason)
                .or_else(|| design.map(|rule| rule.reason))
                .or_else(|| unseen_allocator(found))
                .map(str::to_owned),
            help,
            fingerprint,
            seen: Seen {
                count: 1,
                tests: vec![test.clone()],
            },
            standing: Standing::New,
            moment,
            fatal: found.fatal,
            legs,
        }
    }

    /// A thread or task of a snapshot. The resolver knows who is in it.
    pub fn present(mut self, leg: &wire::Leg) -> Leg {
        let kind = match leg.task {
            Some(_) => Kind::LeakedTask,
            None => Kind::LeakedThread,
        };
        self.leg(kind, leg)
    }

    /// The main thread of a test binary waits for the thread of the test: of
    /// threads that are all stuck it is the one that nobody asked for.
    fn without_harness<'f>(&mut self, found: &'f wire::Finding) -> Cow<'f, wire::Finding> {
        let is_test = |leg: &wire::Leg| self.resolver.label(leg.thread) == ThreadLabel::Test;
        if found.kind != Kind::Deadlock || !found.legs.iter().any(is_test) {
            return Cow::Borrowed(found);
        }
        let mut told = found.clone();
        told.legs.retain(|leg| {
            self.resolver.label(leg.thread) != ThreadLabel::Main
                || self.resolver.stack(&leg.stack).has_user_frame()
        });
        Cow::Owned(told)
    }

    /// The workers of an executor have nothing to do where all its tasks are
    /// stuck: told are the tasks, and the threads that wait in the user's code.
    fn without_workers<'f>(&mut self, found: Cow<'f, wire::Finding>) -> Cow<'f, wire::Finding> {
        let of_executor = |leg: &wire::Leg| {
            leg.task.is_some() || leg.wait.as_ref().is_some_and(|wait| wait.on == WaitOn::Io)
        };
        if found.kind != Kind::Deadlock || !found.legs.iter().any(of_executor) {
            return found;
        }
        let mut told = found.clone().into_owned();
        told.legs
            .retain(|leg| leg.task.is_some() || self.resolver.stack(&leg.stack).has_user_frame());
        if told.legs.is_empty() {
            found
        } else {
            Cow::Owned(told)
        }
    }

    fn leg(&mut self, kind: Kind, leg: &wire::Leg) -> Leg {
        let stack = self.resolver.stack(&leg.stack);
        if kind == Kind::LockOrder {
            // The first lock of the first thread is A.
            for lock in leg.locks.iter().take(1) {
                self.resolver.lock_name(lock.addr);
            }
        }
        let role = match (leg.access, kind) {
            (Some(access), _) => Role::Access(Access {
                op: access.op,
                atomic: access.atomic,
                size: access.size,
                during: access.during,
            }),
            (
                None,
                Kind::LeakedThread
                | Kind::LeakedTask
                | Kind::AbortedTask
                | Kind::DetachedTask
                | Kind::PanickedTask,
            ) => Role::Leaked,
            (
                None,
                Kind::DataRace
                | Kind::RaceWithFree
                | Kind::RaceWithReturn
                | Kind::VolatileRace
                | Kind::TaskRace
                | Kind::Deadlock
                | Kind::LockOrder,
            ) => Role::Stuck,
        };
        let wait = match (&leg.task, &leg.wait) {
            (Some(status), _) if status.state == TaskState::Panicked => None,
            (Some(status), named) => {
                let waits = tasks::wait(status, &stack);
                Some(match named {
                    Some(named) => self.named_wait(waits, named),
                    None => waits,
                })
            }
            (None, wait) => wait.as_ref().map(|wait| self.wait(kind, wait, &stack)),
        };
        let of = self.resolver.task(leg.thread);
        let task = leg.task.as_ref().zip(of);
        Leg {
            role,
            thread: self.resolver.thread(leg.thread),
            wait,
            task: task.map(|(status, of)| tasks::task(status, (leg, of), self.resolver)),
            lane: LaneId::thread(self.process, leg.thread),
            locks: {
                // In an order of locks it does not wait.
                let waits = leg.wait.is_some() && kind != Kind::LockOrder;
                self.resolver.held(&leg.locks, waits.then_some(&stack))
            },
            stack,
        }
    }

    fn wait(&mut self, kind: Kind, wait: &wire::Wait, stack: &Stack) -> Wait {
        // The side of an order that is a task's does not wait either.
        let of_task = (kind == Kind::LockOrder).then(|| tasks::awaited(stack));
        let what = of_task
            .flatten()
            .unwrap_or_else(|| wait_for(wait.on, stack));
        Wait {
            what,
            for_ms: wait.for_ms,
            timed: wait.timed,
            lock: wait
                .addr
                .filter(|_| what.is_lock() || kind == Kind::LockOrder)
                .map(|address| self.resolver.lock_name(address)),
            owner: wait.owner.map(|owner| self.resolver.label(owner)),
            acquired: self.resolver.stack(&wait.acquired_at),
        }
    }

    /// The wait of a task with what the runtime knows of the other side, if it
    /// is of the kind that this is known of.
    fn named_wait(&mut self, waits: Wait, named: &wire::Wait) -> Wait {
        let owned = waits.what.is_lock()
            || named.on == wire::WaitOn::OtherEnd
            || matches!(
                (waits.what, named.addr),
                (WaitFor::Task | WaitFor::Turn | WaitFor::Running, None)
                    | (WaitFor::Semaphore, Some(_))
            );
        if !owned {
            return waits;
        }
        Wait {
            lock: named
                .addr
                .filter(|_| waits.what.is_lock())
                .map(|address| self.resolver.lock_name(address)),
            owner: named.owner.map(|owner| self.resolver.label(owner)),
            acquired: self.resolver.stack(&named.acquired_at),
            ..waits
        }
    }

    fn memory(&mut self, found: &wire::Finding, legs: &[Leg]) -> Option<Memory> {
        let accesses = found.legs.iter().map(|leg| leg.access);
        let returning = returning(accesses.zip(legs.iter().map(|leg| &leg.stack)));
        let access = found.legs.first().and_then(|leg| leg.access);
        Some(memory(
            self.resolver,
            found.memory.as_ref()?,
            access,
            returning,
        ))
    }
}

/// The threads whose names appear together.
pub fn threads(found: &wire::Finding) -> BTreeSet<ThreadId> {
    let legs = found.legs.iter().map(|leg| leg.thread);
    let owners = found.legs.iter().filter_map(|leg| leg.wait.as_ref()?.owner);
    let memory = found.memory.as_ref().and_then(|memory| match memory {
        wire::Memory::Heap { thread, .. }
        | wire::Memory::Stack { thread, .. }
        | wire::Memory::ThreadLocal { thread, .. } => Some(*thread),
        wire::Memory::Static { .. }
        | wire::Memory::Mapped { .. }
        | wire::Memory::Unknown { .. } => None,
    });
    let statuses = found.legs.iter().filter_map(|leg| leg.task.as_ref());
    let holders = statuses.flat_map(|status| status.held_by.iter().copied());
    legs.chain(owners).chain(memory).chain(holders).collect()
}

fn pool_rule(kind: Kind, legs: &[Leg]) -> Option<&'static PoolRule> {
    let leg = legs.first()?;
    match kind {
        Kind::LeakedThread => {}
        Kind::DetachedTask => return idle_task(&leg.stack),
        Kind::LeakedTask
        | Kind::AbortedTask
        | Kind::PanickedTask
        | Kind::DataRace
        | Kind::RaceWithFree
        | Kind::RaceWithReturn
        | Kind::VolatileRace
        | Kind::TaskRace
        | Kind::Deadlock
        | Kind::LockOrder => return None,
    }
    let nowhere = Stack::default();
    let spawned = leg.thread.spawned.first().map_or(&nowhere, |step| &step.at);
    idle_pool(&leg.stack, spawned)
}

/// How the threads of a deadlock wait.
fn shape(found: &wire::Finding) -> Option<Shape> {
    if found.kind != Kind::Deadlock {
        return None;
    }
    let owner = |leg: &wire::Leg| leg.wait.as_ref().and_then(|wait| wait.owner);
    if let [only] = &found.legs[..] {
        return Some(if owner(only) == Some(only.thread) {
            Shape::Own
        } else {
            Shape::Stuck
        });
    }
    let next = found.legs.iter().cycle().skip(1);
    let closed = found
        .legs
        .iter()
        .zip(next)
        .all(|(leg, next)| match owner(leg) {
            Some(owner) => owner == next.thread,
            // A channel has no owner; the runtime put the legs in order.
            None => !found.fatal,
        });
    Some(if closed { Shape::Cycle } else { Shape::Stuck })
}
