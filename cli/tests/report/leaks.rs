//! Leaked threads: one report for each thing that a thread can wait for.

use leakcheck::report::kind::{Certainty, Kind};
use leakcheck::report::wire::{Leg, Stack, ThreadId, WaitOn};
use leakcheck_cli::render::human::{HumanOptions, render};

use crate::redaction::check;
use crate::world::{MAIN, World, finding, lock_wait, wait, waits};

fn leaked(world: &mut World, leg: Leg) -> String {
    world.found(finding(Kind::LeakedThread, Certainty::Observed, vec![leg]));
    let report = world.collect();
    render(&report.findings[0], &HumanOptions::default())
}

/// The stack of a thread that called `api` at `needle`.
fn stack(world: &mut World, api: &[&str], needle: &str) -> Stack {
    let mut stack: Stack = api.iter().map(|function| world.std(function)).collect();
    stack.push(world.user("poll::run", "src/poll.rs", needle));
    stack.extend(world.thread_start());
    stack
}

#[test]
fn per_wait() {
    let cases: &[(&str, WaitOn, &[&str], &str)] = &[
        (
            "rwlock_read",
            WaitOn::RwLockRead,
            &["std::sync::RwLock<T>::read"],
            "TABLE.read()",
        ),
        (
            "rwlock_write",
            WaitOn::RwLockWrite,
            &["std::sync::RwLock<T>::write"],
            "TABLE.write()",
        ),
        (
            "condvar",
            WaitOn::Condvar,
            &["std::sync::Condvar::wait"],
            "wait(guard)",
        ),
        (
            "lock-api-condvar",
            WaitOn::Futex,
            &[
                "parking_lot::raw_condvar::RawCondvar::wait_until_internal",
                "lock_api::condvar::Condvar<C>::wait",
            ],
            "wait(guard)",
        ),
        (
            "park",
            WaitOn::Park,
            &["std::thread::park"],
            "thread::park()",
        ),
        (
            "channel",
            WaitOn::Park,
            &["std::thread::park", "std::sync::mpsc::Receiver<T>::recv"],
            "recv()",
        ),
        ("futex", WaitOn::Futex, &[], "hand_made_wait(&word)"),
        (
            "sleep",
            WaitOn::Sleep,
            &["std::thread::sleep"],
            "thread::sleep",
        ),
        (
            "io",
            WaitOn::Io,
            &["std::net::TcpStream::read"],
            "read(&mut buffer)",
        ),
        ("running", WaitOn::Running, &[], "step()"),
    ];
    for (name, on, api, needle) in cases {
        let mut world = World::new();
        let thread = world.worker(1, "poller");
        let stack = stack(&mut world, api, needle);
        let text = leaked(&mut world, waits(thread, wait(*on), stack));
        check(&format!("leak_{name}"), &text);
    }
}

#[test]
fn on_a_mutex_with_its_owner() {
    let mut world = World::new();
    let thread = world.worker(1, "poller");
    let addr = world.variable("poll::STATE", None, 16);
    let acquired = vec![world.user("poll::closing", "src/poll.rs", "handles.worker")];
    let stack = stack(&mut world, &["std::sync::Mutex<T>::lock"], "lock()");
    let wait = lock_wait(WaitOn::Mutex, addr, MAIN, acquired);
    let text = leaked(&mut world, waits(thread, wait, stack));
    check("leak_mutex", &text);
}

#[test]
fn on_a_join_with_a_chain_of_spawners() {
    let mut world = World::new();
    let outer = world.worker(1, "poller");
    let at = vec![
        world.std("std::thread::spawn"),
        world.user("poll::run", "src/poll.rs", "step()"),
    ];
    let inner = world.thread(2, None, outer, at.clone());
    let sibling = world.thread(3, Some("sibling"), outer, at);
    let stack = stack(&mut world, &["std::thread::JoinHandle<T>::join"], "join()");
    let wait = leakcheck::report::wire::Wait {
        owner: Some(sibling),
        ..wait(WaitOn::Join)
    };
    let text = leaked(&mut world, waits(inner, wait, stack));
    check("leak_join", &text);
}

#[test]
fn inside_of_a_dependency() {
    const CORE: &str = "/cargo/registry/src/index-1/parking_lot_core-0.9.12/src/linux.rs";
    let mut world = World::new();
    let thread = world.worker(1, "poller");
    let stack = vec![
        world.library("parking_lot_core::thread_parker::park", CORE, 27),
        world.library("parking_lot::RawMutex::lock_slow", CORE, 99),
        world.library("lock_api::mutex::Mutex<R,T>::lock", CORE, 101),
        world.user("poll::run", "src/poll.rs", "STATE.lock()"),
    ];
    let text = leaked(&mut world, waits(thread, wait(WaitOn::Futex), stack));
    check("leak_dependency", &text);
}

#[test]
fn inside_of_libraries_only() {
    let mut world = World::new();
    let thread = world.worker(1, "poller");
    let stack = vec![world.std("std::sys::pal::unix::futex::futex_wait")];
    let text = leaked(&mut world, waits(thread, wait(WaitOn::Futex), stack));
    check("leak_library", &text);
}

#[test]
fn of_an_idle_pool() {
    const RAYON: &str = "/cargo/registry/src/index-1/rayon-core-1.13.0/src/registry.rs";
    let mut world = World::new();
    for id in 1..=4 {
        // Whoever uses the pool first starts it.
        let first_use = if id == 1 { "two()" } else { "balance()" };
        let spawn = vec![
            world.std("std::thread::Builder::spawn"),
            world.library("rayon_core::registry::Registry::new", RAYON, 290),
            world.user("poll::drains", "src/poll.rs", first_use),
        ];
        let thread = world.thread(id, Some("worker"), ThreadId(0), spawn);
        let current = vec![
            world.std("std::sync::Condvar::wait"),
            world.library(
                "rayon_core::registry::WorkerThread::wait_until_cold",
                RAYON,
                810,
            ),
        ];
        let leg = waits(thread, wait(WaitOn::Condvar), current);
        world.found(finding(Kind::LeakedThread, Certainty::Observed, vec![leg]));
    }
    let report = world.collect();
    assert_eq!(report.findings.len(), 1);
    check(
        "leak_pool",
        &render(&report.findings[0], &HumanOptions::default()),
    );
}
