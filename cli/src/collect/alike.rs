//! Leaked tasks that differ in nothing but their age: told once, and counted.
//!
//! A program that leaks one task leaks a hundred thousand. Names are looked up
//! for the first of those that are alike; `super::merge` would find out later
//! that the others say the same.

use std::collections::HashMap;

use leakcheck::report::wire;

use super::read::Process;
use crate::model::Finding;

/// The findings of one process, those that are alike as one.
#[derive(Debug, Default)]
pub struct Alike {
    findings: Vec<Finding>,
    known: HashMap<String, usize>,
}

impl Alike {
    /// Adds what was found; `build` tells it in full, unless it was told before.
    pub fn add(
        &mut self,
        found: &wire::Finding,
        process: &Process,
        build: impl FnOnce() -> Finding,
    ) {
        let Some(key) = key(found, process) else {
            self.findings.push(build());
            return;
        };
        if let Some(&at) = self.known.get(&key) {
            self.findings[at].seen.count += 1;
            return;
        }
        self.known.insert(key, self.findings.len());
        self.findings.push(build());
    }

    /// What is to be told.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }
}

/// All that is told of a leaked task but its number and its times.
fn key(found: &wire::Finding, process: &Process) -> Option<String> {
    let [leg] = &found.legs[..] else { return None };
    leg.task.as_ref()?;
    let mut thread = process.threads.get(&leg.thread)?.clone();
    let mut found = found.clone();
    for leg in &mut found.legs {
        let own = std::mem::replace(&mut leg.thread, wire::ThreadId(0));
        if let Some(task) = &mut leg.task {
            // Whether it keeps itself counts, and not which other one does.
            for holder in &mut task.held_by {
                *holder = wire::ThreadId(u32::from(*holder != own));
            }
            task.polls = 0;
            task.polls_since = 0;
            task.age_ms = 0;
            task.idle_ms = 0;
            task.awaits_ms.clear();
            task.branches_ms.clear();
            if let Some(woken) = &mut task.woken {
                woken.ago_ms = 0;
            }
        }
    }
    thread.id = wire::ThreadId(0);
    serde_json::to_string(&(found, thread)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leakcheck::report::kind::{Certainty, Kind};

    fn leaked(thread: u32, stack: u64, age_ms: u64) -> wire::Finding {
        wire::Finding {
            kind: Kind::LeakedTask,
            certainty: Certainty::Proved,
            legs: vec![wire::Leg {
                thread: wire::ThreadId(thread),
                stack: vec![stack],
                access: None,
                locks: Vec::new(),
                wait: None,
                task: Some(wire::TaskStatus {
                    state: wire::TaskState::Waiting,
                    proof: None,
                    moment: wire::Moment::Exit,
                    polls: u64::from(thread),
                    polls_since: 0,
                    age_ms,
                    idle_ms: age_ms,
                    handle: false,
                    references: 1,
                    held_by: Vec::new(),
                    held_by_leak: false,
                    held_live: false,
                    held_at: None,
                    awaits_ms: Vec::new(),
                    branches: Vec::new(),
                    branches_ms: Vec::new(),
                    woken: None,
                }),
            }],
            memory: None,
            said: None,
            fatal: false,
            asked: Vec::new(),
        }
    }

    #[test]
    fn tasks_that_differ_in_their_age_are_alike() {
        let mut process = Process::default();
        for (number, spawned_at) in [(1, 7), (2, 7), (3, 8)] {
            let id = wire::ThreadId(number);
            let thread = wire::Thread {
                id,
                name: None,
                parent: Some(wire::ThreadId(0)),
                spawned_at: vec![spawned_at],
                finished: false,
                task: None,
            };
            process.threads.insert(id, thread);
        }
        let key = |thread, stack, age| key(&leaked(thread, stack, age), &process);
        assert!(key(1, 5, 10).is_some());
        assert_eq!(key(1, 5, 10), key(2, 5, 20));
        assert_ne!(key(1, 5, 10), key(2, 6, 10), "it waits elsewhere");
        assert_ne!(key(1, 5, 10), key(3, 5, 10), "it was spawned elsewhere");
        assert_eq!(key(9, 5, 10), None, "nothing is known of it");
    }
}
