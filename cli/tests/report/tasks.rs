//! Leaked tasks: what they wait for, how that is known, where they come from.

use leakcheck::report::kind::{Certainty, Kind, Level};
use leakcheck::report::wire::{
    Executor, Finding, Leg, Moment, Proof, Stack, TaskState, TaskStatus, TaskType, ThreadId, Wait,
    WaitOn, Woken,
};
use leakcheck_cli::document::{Line, of_model};
use leakcheck_cli::render::human::{HumanOptions, render};

use crate::redaction::check;
use crate::world::{MAIN, World, finding, lock_wait, wait, waits};

const TOKIO: &str = "/registry/src/index/tokio-1.54.1/src";

/// A task that `poll::start` spawned.
fn task(world: &mut World, id: u32, future: &str, parent: ThreadId) -> ThreadId {
    let mut at = vec![world.library(
        "tokio::task::spawn::spawn",
        &format!("{TOKIO}/task/spawn.rs"),
        200,
    )];
    at.push(world.user("poll::start", "src/poll.rs", "spawn(run)"));
    world.task(
        id,
        TaskType {
            future: future.to_owned(),
            poll: None,
            executor: Executor::Tokio,
        },
        parent,
        at,
    )
}

/// The stack of a task that awaits `api`.
fn awaits(world: &mut World, api: &[&str]) -> Stack {
    let file = format!("{TOKIO}/sync/sample.rs");
    let mut stack: Stack = api
        .iter()
        .map(|name| world.library(name, &file, 9))
        .collect();
    stack.push(world.user("poll::run::{{closure}}", "src/poll.rs", "recv()"));
    stack
}

fn status(proof: Option<Proof>) -> TaskStatus {
    TaskStatus {
        state: TaskState::Waiting,
        proof,
        moment: Moment::Shutdown,
        polls: 3,
        polls_since: 0,
        age_ms: 1500,
        idle_ms: 1234,
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
    }
}

fn leg(thread: ThreadId, stack: Stack, task: TaskStatus) -> Leg {
    Leg {
        task: Some(task),
        ..crate::world::at(thread, stack)
    }
}

/// The report of tasks and threads of which none can go on.
fn stuck(world: &mut World, legs: Vec<Leg>) -> String {
    let found = finding(Kind::Deadlock, Certainty::Proved, legs);
    world.found(Finding {
        fatal: true,
        ..found
    });
    render(&world.collect().findings[0], &HumanOptions::default())
}

fn leaked(world: &mut World, certainty: Certainty, leg: Leg) -> String {
    world.found(finding(Kind::LeakedTask, certainty, vec![leg]));
    let report = world.collect();
    render(&report.findings[0], &HumanOptions::default())
}

#[test]
fn per_await() {
    let cases: &[(&str, &[&str])] = &[
        (
            "channel",
            &["tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}"],
        ),
        (
            "mutex",
            &["tokio::sync::mutex::Mutex<T>::lock::{{closure}}"],
        ),
        (
            "semaphore",
            &["tokio::sync::semaphore::Semaphore::acquire::{{closure}}"],
        ),
        (
            "join",
            &["<tokio::runtime::task::join::JoinHandle<T> as core::future::future::Future>::poll"],
        ),
        (
            "rwlock_read",
            &["tokio::sync::rwlock::RwLock<T>::read::{{closure}}"],
        ),
        (
            "rwlock_write",
            &["tokio::sync::rwlock::RwLock<T>::write::{{closure}}"],
        ),
        (
            "notify",
            &["<tokio::sync::notify::Notified as core::future::future::Future>::poll"],
        ),
        (
            "oneshot",
            &["<tokio::sync::oneshot::Receiver<T> as core::future::future::Future>::poll"],
        ),
        (
            "timer",
            &["<tokio::time::sleep::Sleep as core::future::future::Future>::poll"],
        ),
        (
            "socket",
            &["tokio::runtime::io::registration::Registration::poll_readiness"],
        ),
        ("unknown", &[]),
    ];
    for (name, api) in cases {
        let mut world = World::new();
        let id = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
        let stack = awaits(&mut world, api);
        let leg = leg(id, stack, status(Some(Proof::Unreachable)));
        let text = leaked(&mut world, Certainty::Proved, leg);
        check(&format!("task_{name}"), &text);
    }
}

#[test]
fn stuck_while_the_test_waits_for_them() {
    let mut world = World::new();
    let first = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
    let second = task(&mut world, 5, "poll::serve::{{closure}}", MAIN);
    let worker = world.worker(6, "tokio-rt-worker");
    let lock = &["tokio::sync::mutex::Mutex<T>::lock::{{closure}}"];
    let stack = awaits(&mut world, lock);
    let parked = vec![world.library(
        "tokio::runtime::scheduler::multi_thread::park::Inner::park_condvar",
        &format!("{TOKIO}/park.rs"),
        9,
    )];
    let test = vec![
        world.library(
            "tokio::runtime::runtime::Runtime::block_on",
            &format!("{TOKIO}/runtime.rs"),
            9,
        ),
        world.user("poll::drains", "src/poll.rs", "recv()"),
    ];
    let legs = vec![
        leg(first, stack.clone(), status(None)),
        leg(second, stack, status(None)),
        waits(MAIN, wait(WaitOn::Futex), test),
        // A worker that has nothing to do is not told.
        waits(worker, wait(WaitOn::Condvar), parked),
    ];
    check("task_deadlock", &stuck(&mut world, legs));
}

/// Two tasks: one has a lock of tokio's and joins the other, which wants it.
#[test]
fn in_a_cycle_of_a_lock_and_a_join() {
    let mut world = World::new();
    let first = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
    let second = task(&mut world, 5, "poll::serve::{{closure}}", MAIN);
    let lock = &["tokio::sync::mutex::Mutex<T>::lock::{{closure}}"];
    let join =
        &["<tokio::runtime::task::join::JoinHandle<T> as core::future::future::Future>::poll"];
    let (wants, joins) = (awaits(&mut world, lock), awaits(&mut world, join));
    let acquired = vec![world.user("poll::serve::{{closure}}", "src/poll.rs", "spawn(run)")];
    let legs = vec![
        Leg {
            wait: Some(lock_wait(WaitOn::Futex, 0x7f00_1000, second, acquired)),
            ..leg(first, wants, status(None))
        },
        Leg {
            wait: Some(Wait {
                owner: Some(first),
                ..wait(WaitOn::Futex)
            }),
            ..leg(second, joins, status(None))
        },
    ];
    check("task_cycle", &stuck(&mut world, legs));
}

/// A worker blocks on a task that is ready, and that only this worker would poll.
#[test]
fn a_worker_blocks_on_what_it_would_poll() {
    let mut world = World::new();
    let worker = world.worker(6, "tokio-rt-worker");
    let ready = task(&mut world, 4, "poll::run::{{closure}}", worker);
    let blocks = vec![
        world.library("futures_executor::local_pool::block_on", "/lib.rs", 9),
        world.user("poll::run::{{closure}}", "src/poll.rs", "recv()"),
    ];
    let needs = |owner| Wait {
        owner: Some(owner),
        ..wait(WaitOn::Futex)
    };
    let new = TaskStatus {
        state: TaskState::New,
        polls: 0,
        ..status(None)
    };
    let legs = vec![
        waits(worker, needs(ready), blocks),
        Leg {
            wait: Some(needs(worker)),
            ..leg(ready, Vec::new(), new)
        },
    ];
    check("task_turn", &stuck(&mut world, legs));
}

/// One blocks on a task with a guard that the task's worker waits for.
#[test]
fn a_worker_wants_the_guard_of_who_waits_for_its_task() {
    let mut world = World::new();
    let worker = world.worker(6, "tokio-rt-worker");
    let polled = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
    let test = vec![
        world.library("tokio::runtime::runtime::Runtime::block_on", "/lib.rs", 9),
        world.user("poll::drains", "src/poll.rs", "recv()"),
    ];
    let mut locks = vec![world.std("std::sync::poison::mutex::Mutex<T>::lock")];
    locks.push(world.user("poll::run::{{closure}}", "src/poll.rs", "STATE.lock()"));
    let needs = |owner| Wait {
        owner: Some(owner),
        ..wait(WaitOn::Futex)
    };
    let running = TaskStatus {
        state: TaskState::Running,
        polls: 1,
        ..status(None)
    };
    let acquired = vec![world.user("poll::closing", "src/poll.rs", "let guard")];
    let legs = vec![
        waits(MAIN, needs(polled), test),
        Leg {
            wait: Some(needs(worker)),
            ..leg(polled, Vec::new(), running)
        },
        waits(
            worker,
            lock_wait(WaitOn::Mutex, 0x7f00_1000, MAIN, acquired),
            locks,
        ),
    ];
    check("task_polled", &stuck(&mut world, legs));
}

/// The guard of a leaked task's mutex is another's, whose name is told.
#[test]
fn whose_guard_is_kept() {
    let mut world = World::new();
    let id = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
    let holder = task(&mut world, 5, "poll::serve::{{closure}}", MAIN);
    let lock = &["tokio::sync::mutex::Mutex<T>::lock::{{closure}}"];
    let stack = awaits(&mut world, lock);
    let acquired = vec![world.user("poll::serve::{{closure}}", "src/poll.rs", "spawn(run)")];
    let leg = Leg {
        wait: Some(lock_wait(WaitOn::Futex, 0x7f00_1000, holder, acquired)),
        ..leg(id, stack, status(Some(Proof::Unreachable)))
    };
    check("task_guard", &leaked(&mut world, Certainty::Proved, leg));
}

#[test]
fn without_a_waker_and_spawned_by_a_task() {
    let mut world = World::new();
    let outer = task(&mut world, 4, "poll::serve::{{closure}}", MAIN);
    let id = task(&mut world, 5, "core::future::pending::Pending<()>", outer);
    let text = leaked(
        &mut world,
        Certainty::Proved,
        leg(id, Stack::new(), status(Some(Proof::NoWaker))),
    );
    check("task_without_waker", &text);
}

#[test]
fn in_two_branches_and_woken_before() {
    let mut world = World::new();
    let id = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
    let api = "tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}";
    let mut stack = awaits(&mut world, &[api]);
    let mut other = awaits(
        &mut world,
        &["<tokio::sync::oneshot::Receiver<T> as Future>::poll"],
    );
    // Both in a function that awaits a third besides.
    let outer = world.user("poll::serve::{{closure}}", "src/poll.rs", "closing(");
    let mut third = awaits(
        &mut world,
        &["tokio::sync::mutex::Mutex<T>::lock::{{closure}}"],
    );
    third.truncate(1);
    for stack in [&mut stack, &mut other, &mut third] {
        stack.push(outer);
    }
    let woken_at = vec![world.user("poll::closing", "src/poll.rs", "handles.worker")];
    let status = TaskStatus {
        awaits_ms: vec![1234, 1234, 4100],
        branches: vec![other, third],
        branches_ms: vec![vec![50, 1234, 4100], vec![2500, 4100]],
        polls_since: 2,
        woken: Some(Woken {
            by: MAIN,
            stack: woken_at,
            ago_ms: 70,
        }),
        ..status(Some(Proof::Unreachable))
    };
    let text = leaked(&mut world, Certainty::Proved, leg(id, stack, status));
    check("task_branches", &text);
}

/// Two tasks that wait for each other, as far as is known, in a test that is ended from
/// outside; and two of which that is proved, while others go on.
#[test]
fn that_wait_for_each_other_while_others_go_on() {
    for (name, certainty, proof) in [
        ("observed", Certainty::Observed, None),
        ("proved", Certainty::Proved, Some(Proof::Unreachable)),
    ] {
        let mut world = World::new();
        let first = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
        let second = task(&mut world, 5, "poll::serve::{{closure}}", MAIN);
        let lock = &["tokio::sync::mutex::Mutex<T>::lock::{{closure}}"];
        let acquired = vec![world.user("poll::serve::{{closure}}", "src/poll.rs", "spawn(run)")];
        let legs = [(first, second, 0x10), (second, first, 0x20)];
        let legs = legs.map(|(waiter, owner, addr)| {
            let stack = awaits(&mut world, lock);
            Leg {
                wait: Some(lock_wait(WaitOn::Futex, addr, owner, acquired.clone())),
                ..leg(waiter, stack, status(proof))
            }
        });
        world.found(finding(Kind::Deadlock, certainty, legs.to_vec()));
        let report = world.collect();
        let text = render(&report.findings[0], &HumanOptions::default());
        check(&format!("task_cycle_{name}"), &text);
    }
}

#[test]
fn that_could_have_been_woken() {
    let mut world = World::new();
    let id = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
    let api = "tokio::net::tcp::listener::TcpListener::accept::{{closure}}";
    let stack = awaits(&mut world, &[api]);
    let status = TaskStatus {
        moment: Moment::Exit,
        ..status(None)
    };
    let text = leaked(&mut world, Certainty::Observed, leg(id, stack, status));
    check("task_left_behind", &text);
}

/// How tasks end that nobody waits for.
#[test]
fn ends_that_nobody_waits_for() {
    let kinds = [
        (
            "aborted",
            Kind::AbortedTask,
            TaskState::Waiting,
            Moment::Shutdown,
        ),
        (
            "detached",
            Kind::DetachedTask,
            TaskState::Waiting,
            Moment::Exit,
        ),
        (
            "panicked",
            Kind::PanickedTask,
            TaskState::Panicked,
            Moment::Exit,
        ),
    ];
    for (name, kind, state, moment) in kinds {
        let mut world = World::new();
        let id = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
        let api = match state {
            TaskState::Panicked => "core::panicking::panic_fmt",
            _ => "tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}",
        };
        let stack = awaits(&mut world, &[api]);
        let status = TaskStatus {
            state,
            moment,
            ..status(None)
        };
        let leg = leg(id, stack, status);
        world.found(finding(kind, Certainty::Observed, vec![leg]));
        let mut report = world.collect();
        // A note is one line: what is asked for is told in full.
        report.findings[0].level = Level::Warning;
        let text = render(&report.findings[0], &HumanOptions::default());
        check(&format!("task_{name}"), &text);
    }
}

#[test]
fn as_json() {
    let mut world = World::new();
    let id = task(&mut world, 4, "poll::run::{{closure}}", MAIN);
    let api = "tokio::sync::mpsc::bounded::Receiver<T>::recv::{{closure}}";
    let stack = awaits(&mut world, &[api]);
    let status = status(Some(Proof::Unreachable));
    world.found(finding(
        Kind::LeakedTask,
        Certainty::Proved,
        vec![leg(id, stack, status)],
    ));
    let report = world.collect();
    let line = of_model::finding(&report.findings[0], &HumanOptions::default());
    let text = Line::Finding(Box::new(line))
        .text()
        .expect("a line is JSON");
    let value: serde_json::Value = serde_json::from_str(&text).expect("a line is JSON");
    check(
        "json_task",
        &serde_json::to_string_pretty(&value["legs"]).expect("a value is JSON"),
    );
}
