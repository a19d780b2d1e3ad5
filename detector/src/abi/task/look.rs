//! A look at all live tasks, and the report of those that are leaks.

use super::record::{Polls, Record};
use super::registry;
use crate::abi::kernel;
use crate::findings;
use crate::report::kind::{Certainty, Kind};
use crate::report::wire::{Finding, Leg, Moment, Proof, TaskState, TaskStatus, ThreadId, Woken};
use crate::stack;
use crate::task::{Facts, verdict};

/// Reports the tasks that can never run again, each once; at the end of the
/// process, all that are left.
pub fn report(moment: Moment) {
    for record in registry::live() {
        let Some((facts, polls)) = record.look() else {
            continue;
        };
        let Some((state, proof, certainty)) = verdict(facts).told() else {
            continue;
        };
        let told = certainty == Certainty::Proved || moment == Moment::Exit;
        if !told || polls.reported || is_idle_service(&facts, state) {
            continue;
        }
        record.polls.lock().reported = true;
        emit(&record, &polls, facts, state, proof, certainty, moment);
    }
}

/// A closure of the blocking pool is no task that waits.
fn is_idle_service(facts: &Facts, state: TaskState) -> bool {
    facts.polls == 0 && state != TaskState::Waiting
}

fn emit(
    record: &Record,
    polls: &Polls,
    facts: Facts,
    state: TaskState,
    proof: Option<Proof>,
    certainty: Certainty,
    moment: Moment,
) {
    let now = kernel::now();
    let ms = |since: u64| now.saturating_sub(since) / 1_000_000;
    let mut chains = polls.chains().map(stack::get);
    let stack = chains.next().unwrap_or_default();
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
        branches: chains.collect(),
        woken: polls.woken.map(|wake| Woken {
            by: wake.by,
            stack: stack::get(wake.at),
            ago_ms: ms(wake.time),
        }),
    };
    findings::emit(&Finding {
        kind: Kind::LeakedTask,
        certainty,
        legs: vec![Leg {
            thread: record.origin.id,
            stack,
            access: None,
            locks: Vec::new(),
            wait: None,
            task: Some(status),
        }],
        memory: None,
        fatal: false,
    });
}

/// Threads and tasks that a status mentions.
pub fn mentioned(status: &TaskStatus) -> Option<ThreadId> {
    status.woken.as_ref().map(|woken| woken.by)
}
