//! Deadlocks: cycles of two and three, a thread with itself, joins, all stuck.

use leakcheck::report::kind::{Certainty, Kind};
use leakcheck::report::wire::{Finding, Leg, Stack, ThreadId, Wait, WaitOn};
use leakcheck_cli::render::human::{HumanOptions, render};

use crate::redaction::check;
use crate::world::{MAIN, World, finding, lock, lock_wait, wait, waits};

const LOCK_A: u64 = 0x7f00_1000;
const LOCK_B: u64 = 0x7f00_2000;
const LOCK_C: u64 = 0x7f00_3000;

fn stuck(world: &mut World, legs: Vec<Leg>, fatal: bool) -> String {
    let found = finding(Kind::Deadlock, Certainty::Proved, legs);
    world.found(Finding { fatal, ..found });
    let report = world.collect();
    assert_eq!(report.stuck, fatal);
    render(&report.findings[0], &HumanOptions::default())
}

/// The stack of `transfer` at its first or second lock.
fn transfer(world: &mut World, needle: &str) -> Stack {
    let mut stack = vec![world.std("std::sync::poison::mutex::Mutex<T>::lock")];
    stack.push(world.user("bank::transfer", "src/bank.rs", needle));
    stack.extend(world.thread_start());
    stack
}

#[test]
fn two_locks_in_both_orders() {
    let mut world = World::new();
    let (left, right) = (world.worker(1, "left"), world.worker(2, "right"));
    let first = transfer(&mut world, "from.balance.lock()");
    let second = transfer(&mut world, "to.balance.lock()");
    let legs = vec![
        waits(
            left,
            lock_wait(WaitOn::Mutex, LOCK_B, right, first.clone()),
            second.clone(),
        ),
        Leg {
            // One lock of the cycle, which is told there, and one besides.
            locks: vec![
                lock(LOCK_A, first.clone(), false),
                lock(LOCK_C, first.clone(), false),
                // What is told twice, and what it waits for.
                lock(LOCK_C, first.clone(), false),
                lock(0x7f00_4000, second.clone(), false),
            ],
            ..waits(right, lock_wait(WaitOn::Mutex, LOCK_A, left, first), second)
        },
    ];
    check("deadlock_two", &stuck(&mut world, legs, false));
}

/// A leg of an order: what is had, then what is taken.
fn takes(
    world: &mut World,
    thread: ThreadId,
    had: (u64, bool),
    taken: (u64, ThreadId, Stack),
    function: &str,
) -> Leg {
    let mut stack = |needle: &str| {
        let mut stack = vec![world.std(function)];
        stack.push(world.user("bank::transfer", "src/bank.rs", needle));
        stack
    };
    let (first, second) = (stack("from.balance.lock()"), stack("to.balance.lock()"));
    let (lock_taken, owner, acquired) = taken;
    Leg {
        locks: vec![lock(had.0, first, had.1)],
        ..waits(
            thread,
            lock_wait(WaitOn::Futex, lock_taken, owner, acquired),
            second,
        )
    }
}

/// Two threads take two locks in both orders, by this function of std's.
fn orders(world: &mut World, function: &str) {
    let (left, right) = (world.worker(1, "left"), world.worker(2, "right"));
    let acquired = vec![
        world.std(function),
        world.user("bank::transfer", "src/bank.rs", "from.balance.lock()"),
    ];
    let legs = vec![
        takes(
            world,
            left,
            (LOCK_A, false),
            (LOCK_B, right, acquired.clone()),
            function,
        ),
        takes(
            world,
            right,
            (LOCK_B, false),
            (LOCK_A, left, acquired),
            function,
        ),
    ];
    world.found(finding(Kind::LockOrder, Certainty::Potential, legs));
}

#[test]
fn two_locks_in_both_orders_without_a_deadlock() {
    let mut world = World::new();
    orders(&mut world, "std::sync::poison::mutex::Mutex<T>::lock");
    let report = world.collect();
    let text = render(&report.findings[0], &HumanOptions::default());
    check("lock_order", &text);
}

#[test]
fn what_only_looks_like_an_order_of_locks_is_not_told() {
    let functions = [
        "std::sync::poison::mutex::Mutex<T>::try_lock",
        "std::sync::poison::rwlock::RwLock<T>::read",
        "core::sync::atomic::AtomicU32::compare_exchange",
    ];
    for function in functions {
        let mut world = World::new();
        orders(&mut world, function);
        assert!(world.collect().findings.is_empty(), "{function}");
    }
}

#[test]
fn an_order_that_became_a_deadlock_is_told_as_that() {
    let mut world = World::new();
    orders(&mut world, "std::sync::poison::mutex::Mutex<T>::lock");
    let second = transfer(&mut world, "to.balance.lock()");
    let legs = [(1, LOCK_B, 2), (2, LOCK_A, 1)].map(|(thread, lock, owner)| {
        let wait = lock_wait(WaitOn::Mutex, lock, ThreadId(owner), second.clone());
        waits(ThreadId(thread), wait, second.clone())
    });
    world.found(finding(Kind::Deadlock, Certainty::Proved, legs.into()));
    let kinds: Vec<Kind> = world.collect().findings.iter().map(|f| f.kind).collect();
    assert_eq!(kinds, [Kind::Deadlock]);
}

#[test]
fn three_threads_in_a_cycle() {
    let mut world = World::new();
    let threads: Vec<ThreadId> = (1..=3)
        .map(|id| world.worker(id, &format!("fork-{id}")))
        .collect();
    let first = transfer(&mut world, "from.balance.lock()");
    let second = transfer(&mut world, "to.balance.lock()");
    let legs = [LOCK_B, LOCK_C, LOCK_A]
        .iter()
        .enumerate()
        .map(|(at, lock)| {
            let owner = threads[(at + 1) % 3];
            let wait = lock_wait(WaitOn::Mutex, *lock, owner, first.clone());
            waits(threads[at], wait, second.clone())
        })
        .collect();
    check("deadlock_three", &stuck(&mut world, legs, false));
}

#[test]
fn a_thread_with_itself() {
    let mut world = World::new();
    let acquired = vec![
        world.std("std::sync::poison::mutex::Mutex<T>::lock"),
        world.user(
            "bank::twice",
            "src/bank.rs",
            "account.balance.lock().unwrap();",
        ),
    ];
    let stack = vec![
        world.std("std::sync::poison::mutex::Mutex<T>::lock"),
        world.user("bank::twice", "src/bank.rs", "second = account"),
    ];
    let legs = vec![waits(
        MAIN,
        lock_wait(WaitOn::Mutex, LOCK_A, MAIN, acquired),
        stack,
    )];
    check("deadlock_self", &stuck(&mut world, legs, true));
}

#[test]
fn a_join_under_a_lock() {
    let mut world = World::new();
    let worker = world.worker(1, "poller");
    let state = world.variable("poll::STATE", None, 16);
    let join = vec![
        world.std("std::thread::JoinHandle<T>::join"),
        world.user("poll::closing", "src/poll.rs", "join();"),
    ];
    let acquired = vec![world.user("poll::closing", "src/poll.rs", "STATE.lock()")];
    let wanted = vec![
        world.std("std::sync::poison::mutex::Mutex<T>::lock"),
        world.user("poll::run", "src/poll.rs", "STATE.lock()"),
    ];
    let joins = Wait {
        owner: Some(worker),
        ..wait(WaitOn::Join)
    };
    let legs = vec![
        waits(MAIN, joins, join),
        waits(
            worker,
            lock_wait(WaitOn::Mutex, state, MAIN, acquired),
            wanted,
        ),
    ];
    check("deadlock_join_lock", &stuck(&mut world, legs, true));
}

#[test]
fn two_initialisations() {
    let mut world = World::new();
    let (left, right) = (world.worker(1, "left"), world.worker(2, "right"));
    let (one, other) = (
        world.variable("bank::LEFT", None, 16),
        world.variable("bank::RIGHT", None, 16),
    );
    let stack = |world: &mut World, needle: &str| {
        vec![
            world.std("std::sync::once_lock::OnceLock<T>::get_or_init"),
            world.user("poll::run", "src/poll.rs", needle),
        ]
    };
    let (first, second) = (stack(&mut world, "recv()"), stack(&mut world, "step()"));
    let legs = vec![
        waits(
            left,
            lock_wait(WaitOn::Futex, other, right, first.clone()),
            second.clone(),
        ),
        waits(right, lock_wait(WaitOn::Futex, one, left, second), first),
    ];
    check("deadlock_once", &stuck(&mut world, legs, false));
}

#[test]
fn a_reader_behind_a_waiting_writer() {
    let mut world = World::new();
    let writer = world.worker(1, "writer");
    let table = world.variable("poll::TABLE", None, 16);
    let first = vec![world.user("poll::run", "src/poll.rs", "STATE.lock()")];
    let again = vec![
        world.std("std::sync::RwLock<T>::read"),
        world.user("poll::run", "src/poll.rs", "TABLE.read()"),
    ];
    let write = vec![
        world.std("std::sync::RwLock<T>::write"),
        world.user("poll::run", "src/poll.rs", "TABLE.write()"),
    ];
    let legs = vec![
        waits(
            MAIN,
            lock_wait(WaitOn::RwLockRead, table, writer, Vec::new()),
            again,
        ),
        waits(
            writer,
            lock_wait(WaitOn::RwLockWrite, table, MAIN, first),
            write,
        ),
    ];
    check("deadlock_reader_again", &stuck(&mut world, legs, true));
}

#[test]
fn two_joins() {
    let mut world = World::new();
    let (left, right) = (world.worker(1, "left"), world.worker(2, "right"));
    let of_left = vec![
        world.std("std::thread::JoinHandle<T>::join"),
        world.user("poll::drains", "src/poll.rs", "left.join()"),
    ];
    let of_right = vec![
        world.std("std::thread::JoinHandle<T>::join"),
        world.user("poll::drains", "src/poll.rs", "right.join()"),
    ];
    let joins = |owner| Wait {
        owner: Some(owner),
        ..wait(WaitOn::Join)
    };
    let legs = vec![
        waits(left, joins(right), of_right),
        waits(right, joins(left), of_left),
    ];
    check("deadlock_joins", &stuck(&mut world, legs, false));
}

#[test]
fn all_threads_stuck() {
    let mut world = World::new();
    let worker = world.worker(1, "poller");
    let recv = vec![
        world.std("std::thread::park"),
        world.std("std::sync::mpsc::Receiver<T>::recv"),
        world.user("poll::run", "src/poll.rs", "recv()"),
    ];
    let condvar = vec![
        world.std("std::sync::Condvar::wait"),
        world.user("poll::run", "src/poll.rs", "wait(guard)"),
    ];
    let legs = vec![
        waits(MAIN, wait(WaitOn::Park), recv),
        waits(worker, wait(WaitOn::Condvar), condvar),
    ];
    check("deadlock_stuck", &stuck(&mut world, legs, true));
}

#[test]
fn the_only_thread_stuck() {
    let mut world = World::new();
    let recv = vec![
        world.std("std::sync::mpsc::Receiver<T>::recv"),
        world.user("poll::run", "src/poll.rs", "recv()"),
    ];
    let legs = vec![waits(MAIN, wait(WaitOn::Park), recv)];
    check("deadlock_alone", &stuck(&mut world, legs, true));
}
