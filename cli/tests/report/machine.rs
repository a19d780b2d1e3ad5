//! The JSON lines: their snapshot is the schema that `docs/json.md` tells.

use leakcheck::report::kind::{Certainty, Kind};
use leakcheck::report::wire::{Gap, GapKind, Record, WaitOn};
use leakcheck_cli::document::{Line, TestCounts, of_model};
use leakcheck_cli::render::human::HumanOptions;
use serde_json::Value;

use crate::races::static_race;
use crate::redaction::check;
use crate::world::{World, crash, finding, lock_wait, test, waits};

/// The line as a document that a person can read.
fn pretty(line: &Line) -> String {
    let text = line.text().expect("a line is JSON");
    assert!(!text.contains('\n'));
    let value: Value = serde_json::from_str(&text).expect("a line is JSON");
    serde_json::to_string_pretty(&value).expect("a value is JSON")
}

#[test]
fn the_line_of_a_race() {
    let mut world = World::new();
    let found = static_race(&mut world);
    world.found(found);
    let report = world.collect();
    check(
        "json_race",
        &pretty(&Line::Finding(Box::new(of_model::finding(
            &report.findings[0],
            &HumanOptions::default(),
        )))),
    );
}

#[test]
fn the_line_of_a_leaked_thread() {
    let mut world = World::new();
    let (thread, owner) = (world.worker(1, "poller"), world.worker(2, "holder"));
    let acquired = vec![world.user("poll::closing", "src/poll.rs", "STATE.lock()")];
    let stack = vec![world.user("poll::run", "src/poll.rs", "STATE.lock()")];
    let wait = lock_wait(WaitOn::Mutex, 1, owner, acquired);
    world.found(finding(
        Kind::LeakedThread,
        Certainty::Observed,
        vec![waits(thread, wait, stack)],
    ));
    let report = world.collect();
    check(
        "json_leak",
        &pretty(&Line::Finding(Box::new(of_model::finding(
            &report.findings[0],
            &HumanOptions::default(),
        )))),
    );
}

#[test]
fn the_line_of_a_test_that_crashed() {
    let mut world = World::new();
    let found = static_race(&mut world);
    world.found(found);
    let stack = vec![world.user("bank::peek", "src/bank.rs", "*READY.as_ptr()")];
    world.record(crash(6, crate::world::MAIN, stack, false));
    let report = world.collect();
    let id = test("drains");
    let mut line = of_model::test(
        &id,
        "crashed",
        0.25,
        &report.findings,
        report.crash.as_ref(),
        &HumanOptions::default(),
    );
    (line.runs, line.seed) = (Some(3), Some(12));
    check("json_test", &pretty(&Line::Test(Box::new(line))));
}

#[test]
fn the_last_line() {
    let mut world = World::new();
    let found = static_race(&mut world);
    world.found(found);
    world.record(Record::Gap(Gap {
        gap: GapKind::HistoryLost,
        count: 2,
        detail: None,
    }));
    world.end();
    let report = world.collect();
    let counts = TestCounts {
        run: 3,
        passed: 2,
        with_findings: 1,
        ignored: 1,
        ..TestCounts::default()
    };
    let line = of_model::summary(66, 1.5, counts, &report.findings, &report.gaps);
    check("json_summary", &pretty(&Line::Summary(Box::new(line))));
}
