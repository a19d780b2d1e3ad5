//! What holds for every kind: merging, unfolding, missing sources, crashes.

use leakcheck::report::kind::{Certainty, Kind};
use leakcheck::report::wire::{AccessOp, Finding, Gap, GapKind, Memory, Record, WaitOn};
use leakcheck_cli::model::{GapReason, TestId};
use leakcheck_cli::render::human::{HumanOptions, render, render_crash};

use crate::races::static_race;
use crate::redaction::check;
use crate::world::{MAIN, World, access, crash, finding, race, test, wait, waits};

#[test]
fn equal_findings_are_merged_over_tests() {
    let mut world = World::new();
    for _ in 0..3 {
        let found = static_race(&mut world);
        world.found(found);
    }
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let tests = names.map(|binary| TestId {
        binary: binary.to_owned(),
        ..test("drains")
    });
    let (reports, run) = world.collect_as(&tests);
    assert_eq!(reports[0].findings[0].seen.count, 3);
    assert_eq!(run.findings.len(), 1);
    assert_eq!(run.findings[0].seen.count, 21);
    check(
        "merged",
        &render(&run.findings[0], &HumanOptions::default()),
    );
}

#[test]
fn the_full_backtrace_shows_every_frame() {
    let mut world = World::new();
    let found = static_race(&mut world);
    world.found(found);
    let options = HumanOptions {
        backtrace_full: true,
        ..HumanOptions::default()
    };
    check(
        "full_backtrace",
        &render(&world.collect().findings[0], &options),
    );
}

#[test]
fn colours_do_not_change_the_text() {
    let mut world = World::new();
    let found = static_race(&mut world);
    world.found(found);
    let report = world.collect();
    let plain = render(&report.findings[0], &HumanOptions::default());
    let options = HumanOptions {
        color: true,
        ..HumanOptions::default()
    };
    let coloured = render(&report.findings[0], &options);
    assert_ne!(plain, coloured);
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

#[test]
fn a_source_that_is_not_there_is_named_in_a_note() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let file = "/cargo/registry/src/index-1/ring-queue-0.3.1/src/ring.rs";
    let push = vec![world.library("ring_queue::Ring<T>::push", file, 41)];
    let pop = vec![world.library("ring_queue::Ring<T>::pop", file, 58)];
    world.found(race(
        Kind::DataRace,
        access(MAIN, AccessOp::Read, false, 8, pop),
        access(worker, AccessOp::Write, false, 8, push),
        Memory::Unknown { addr: 1 },
    ));
    check(
        "no_source",
        &render(&world.collect().findings[0], &HumanOptions::default()),
    );
}

#[test]
fn a_stack_that_left_the_history_is_said_to_have() {
    let mut world = World::new();
    let mut found = static_race(&mut world);
    found.legs[1].stack.clear();
    world.found(found);
    check(
        "history_lost",
        &render(&world.collect().findings[0], &HumanOptions::default()),
    );
}

#[test]
fn two_threads_of_one_name_are_told_apart() {
    let mut world = World::new();
    let (one, other) = (world.worker(1, "teller"), world.worker(2, "teller"));
    let deposit = vec![world.user("bank::deposit", "src/bank.rs", "TOTAL += amount")];
    let addr = world.variable("bank::TOTAL", None, 8);
    world.found(race(
        Kind::DataRace,
        access(one, AccessOp::Write, false, 8, deposit.clone()),
        access(other, AccessOp::Write, false, 8, deposit),
        Memory::Static { addr },
    ));
    check(
        "namesakes",
        &render(&world.collect().findings[0], &HumanOptions::default()),
    );
}

#[test]
fn the_thread_of_a_test_is_called_so() {
    let mut world = World::new();
    let runner = world.thread(1, Some("polls::drains_a"), MAIN, Vec::new());
    let worker = world.thread(2, Some("teller"), runner, Vec::new());
    let deposit = vec![world.user("bank::deposit", "src/bank.rs", "TOTAL += amount")];
    let addr = world.variable("bank::TOTAL", None, 8);
    world.found(race(
        Kind::DataRace,
        access(runner, AccessOp::Write, false, 8, deposit.clone()),
        access(worker, AccessOp::Write, false, 8, deposit),
        Memory::Static { addr },
    ));
    let (reports, _) = world.collect_as(&[test("polls::drains_all")]);
    let legs = &reports[0].findings[0].legs;
    assert_eq!(legs[0].thread.label.text(), "the test's thread");
    assert_eq!(legs[1].thread.spawned[0].by.text(), "the test's thread");
    assert_eq!(legs[1].thread.spawned.len(), 1);
}

#[test]
fn the_harness_that_waits_for_a_stuck_test_is_left_out() {
    let mut world = World::new();
    let runner = world.thread(1, Some("drains"), MAIN, Vec::new());
    let recv = vec![
        world.std("std::sync::mpsc::Receiver<T>::recv"),
        world.user("poll::drains", "src/poll.rs", "two()"),
    ];
    let harness = vec![
        world.std("std::sync::mpsc::Receiver<T>::recv"),
        world.std("test::run_tests"),
        // The main function that the compiler makes has no line.
        world.library("bank::main", "src/bank.rs", 0),
    ];
    world.found(Finding {
        fatal: true,
        ..finding(
            Kind::Deadlock,
            Certainty::Proved,
            vec![
                waits(runner, wait(WaitOn::Park), recv),
                waits(MAIN, wait(WaitOn::Park), harness),
            ],
        )
    });
    let report = world.collect();
    let found = &report.findings[0];
    assert_eq!(found.legs.len(), 1);
    assert_eq!(
        found.title,
        "deadlock: the test's thread waits, and nothing is left to wake it"
    );
}

#[test]
fn a_crash_is_told_with_its_stack() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let stack = vec![
        world.std("core::ptr::read"),
        world.user("bank::peek", "src/bank.rs", "*READY.as_ptr()"),
    ];
    world.record(crash(11, worker, stack, false));
    let report = world.collect();
    assert!(report.missing_end);
    assert_eq!(report.gaps, []);
    let crash = report.crash.expect("the crash is told");
    check("crash", &render_crash(&crash, &HumanOptions::default()));
}

#[test]
fn a_stack_overflow_is_told_as_one() {
    let mut world = World::new();
    let stack = vec![
        world.user("bank::recurse", "src/bank.rs", "recurse(depth + 1)"),
        world.user("bank::recurse", "src/bank.rs", "recurse(depth + 1)"),
        world.user("bank::recurse", "src/bank.rs", "recurse(depth + 1)"),
        world.user("poll::drains", "src/poll.rs", "balance()"),
    ];
    world.record(crash(11, MAIN, stack, true));
    let crash = world.collect().crash.expect("the crash is told");
    check(
        "stack_overflow",
        &render_crash(&crash, &HumanOptions::default()),
    );
}

#[test]
fn what_was_not_seen_is_counted_and_told() {
    let mut world = World::new();
    for _ in 0..2 {
        world.record(Record::Gap(Gap {
            gap: GapKind::HistoryLost,
            count: 2,
            detail: None,
        }));
    }
    world.record(Record::Gap(Gap {
        gap: GapKind::UninstrumentedLibrary,
        count: 1,
        detail: Some("libsqlite3.so.0".to_owned()),
    }));
    let report = world.collect();
    let texts: Vec<String> = report.gaps.iter().map(|gap| gap.text()).collect();
    check("gaps", &texts.join("\n"));
    world.end();
    let report = world.collect();
    assert!(!report.missing_end);
    assert!(
        report
            .gaps
            .iter()
            .all(|gap| gap.reason != GapReason::MissingEnd)
    );
}
