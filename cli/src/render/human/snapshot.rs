//! A snapshot as text: cycles, threads, then tasks, the most numerous first. Those that
//! are alike, waiting for the same at the same place and spawned by the same
//! calls, are told once.

use std::collections::HashMap;

use leakcheck::report::kind::Certainty;

use super::HumanOptions;
use super::notes::{edges, push_spawn};
use super::stacks::push_stack;
use crate::collect::words::wait_phrase;
use crate::model::{Finding, Leg, Snapshot};

/// Those that are alike.
struct Group {
    head: String,
    rest: String,
    is_task: bool,
    count: usize,
    longest_ms: u64,
}

/// A snapshot of the program `name`, without a line break at its end.
pub fn render_snapshot(snapshot: &Snapshot, name: &str, options: &HumanOptions) -> String {
    let (threads, tasks) = snapshot.numbers();
    let plural = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let mut text = format!(
        "snapshot of `{name}`: {}, {}",
        plural(threads, "thread"),
        plural(tasks, "task")
    );
    for cycle in &snapshot.cycles {
        text.push_str(&format!("\n\n{}", told_cycle(cycle)));
    }
    for group in groups(snapshot, options) {
        text.push_str(&format!("\n\n{}", group.text().replace('\n', "\n  ")));
    }
    text
}

/// A cycle, owner → waiter.
fn told_cycle(cycle: &Finding) -> String {
    let lasts = match cycle.certainty {
        Certainty::Proved => "which never ends",
        Certainty::Observed | Certainty::Potential => {
            "at this moment; a time limit or an abort would end it"
        }
    };
    let edges = edges(cycle).unwrap_or_default();
    format!("{}, {lasts}; owner → waiter:{edges}", cycle.title)
}

fn groups(snapshot: &Snapshot, options: &HumanOptions) -> Vec<Group> {
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for leg in &snapshot.present {
        let (head, rest) = told(leg, options);
        let waits_ms = leg.wait.as_ref().map_or(0, |wait| wait.for_ms);
        let at = *known
            .entry((head.clone(), rest.clone()))
            .or_insert(groups.len());
        if at == groups.len() {
            groups.push(Group {
                head,
                rest,
                is_task: leg.task.is_some(),
                count: 0,
                longest_ms: 0,
            });
        }
        let group = &mut groups[at];
        group.count += 1;
        group.longest_ms = group.longest_ms.max(waits_ms);
    }
    groups.sort_by_key(|group| {
        let rank = if group.is_task { group.count } else { 0 };
        (group.is_task, std::cmp::Reverse(rank))
    });
    groups
}

impl Group {
    fn text(&self) -> String {
        let times = match self.count {
            1 => String::new(),
            count => format!("{count} times "),
        };
        let since = match (self.longest_ms, self.count) {
            (0, _) => String::new(),
            (ms, 1) => format!(", for {ms} ms"),
            (ms, _) => format!(", for up to {ms} ms"),
        };
        format!("{times}{}{since}{}", self.head, self.rest)
    }
}

/// What it is and does, then its stack and who spawned it.
fn told(leg: &Leg, options: &HumanOptions) -> (String, String) {
    let mut head = leg.thread.label.text();
    if let Some(wait) = &leg.wait {
        head.push_str(&format!(" {}", wait_phrase(wait)));
        if let Some(owner) = wait.owner.as_ref().filter(|_| wait.what.is_lock()) {
            head.push_str(&format!(", held by {}", owner.text()));
        }
    }
    if leg.task.as_ref().is_some_and(|task| task.proof.is_some()) {
        head.push_str(", and nothing can wake it");
    }
    let mut rest = String::new();
    push_stack(&mut rest, &leg.stack, false, options);
    push_spawn(&mut rest, &leg.thread, options);
    (head, rest)
}
