//! Data races: what the memory is, what the accesses are.

use leakcheck::report::kind::{Certainty, Kind};
use leakcheck::report::wire::{
    AccessOp, Executor, Finding, Leg, Memory, Said, Stack, TaskType, ThreadId,
};
use leakcheck_cli::render::human::{HumanOptions, render};

use crate::redaction::check;
use crate::world::{MAIN, World, access, lock, race};

/// Renders the one finding of a world.
fn only(world: &World) -> String {
    let report = world.collect();
    assert_eq!(report.findings.len(), 1);
    render(&report.findings[0], &HumanOptions::default())
}

fn deposit(world: &mut World) -> Stack {
    let mut stack = vec![world.user("bank::deposit", "src/bank.rs", "TOTAL += amount")];
    stack.push(world.user("poll::run", "src/poll.rs", "step()"));
    stack.extend(world.thread_start());
    stack
}

fn balance(world: &mut World) -> Stack {
    let mut stack = vec![world.user("bank::balance", "src/bank.rs", "TOTAL }")];
    stack.push(world.user("poll::drains", "src/poll.rs", "balance()"));
    stack.push(world.std("test::run_test"));
    stack
}

/// A race on `TOTAL` between the main thread and a worker.
pub fn static_race(world: &mut World) -> Finding {
    let worker = world.worker(1, "teller");
    let later = access(MAIN, AccessOp::Read, false, 8, balance(world));
    let earlier = access(worker, AccessOp::Write, false, 8, deposit(world));
    let addr = world.variable("bank::TOTAL", Some("u64"), 8);
    race(Kind::DataRace, later, earlier, Memory::Static { addr })
}

#[test]
fn on_a_static() {
    let mut world = World::new();
    let found = static_race(&mut world);
    world.found(found);
    check("race_static", &only(&world));
}

/// What tracked code says of a variable and of a field is in the title.
#[test]
fn on_what_tracked_code_has_a_name_for() {
    let mut world = World::new();
    let name = "running total".to_owned();
    let found = Finding {
        said: Some(Said::Variable { name }),
        ..static_race(&mut world)
    };
    world.found(found);
    check("race_named_variable", &only(&world));

    for name in [None, Some("slot table".to_owned())] {
        let mut world = World::new();
        let worker = world.worker(1, "teller");
        let (later, earlier) = slot_legs(&mut world, worker);
        let memory = heap(&mut world, worker);
        let file = if name.is_some() { "set" } else { "unnamed" };
        let said = Said::Field {
            owner: "bank::Slot<u8>".to_owned(),
            name,
            field: "used".to_owned(),
            file: "src/bank.rs".to_owned(),
            line: 28,
        };
        world.found(Finding {
            said: Some(said),
            ..race(Kind::DataRace, later, earlier, memory)
        });
        check(&format!("race_field_{file}"), &only(&world));
    }
}

/// The memory may be another's by now.
#[test]
fn a_field_that_was_told_elsewhere_is_not_it() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let (later, earlier) = slot_legs(&mut world, worker);
    let memory = heap(&mut world, worker);
    let said = Said::Field {
        owner: "bank::Slot<u8>".to_owned(),
        name: None,
        field: "used".to_owned(),
        file: "src/bank.rs".to_owned(),
        line: 24,
    };
    world.found(Finding {
        said: Some(said),
        ..race(Kind::DataRace, later, earlier, memory)
    });
    assert_eq!(world.collect().findings[0].said, None);
}

#[test]
fn where_only_the_later_access_knows_its_locks() {
    let mut world = World::new();
    let mut found = static_race(&mut world);
    let state = world.variable("poll::STATE", None, 16);
    let acquired = vec![world.user("poll::run", "src/poll.rs", "TABLE.read()")];
    found.legs[0].locks.push(lock(state, acquired, true));
    world.found(found);
    check("race_one_lock", &only(&world));
}

fn heap(world: &mut World, thread: ThreadId) -> Memory {
    let stack = vec![
        world.std("alloc::alloc::exchange_malloc"),
        world.generic("alloc::sync::Arc<T>::new", "new<bank::Slot>"),
        world.user("bank::Slot::shared", "src/bank.rs", "Arc::new"),
        world.user("poll::drains", "src/poll.rs", "two()"),
    ];
    Memory::Heap {
        addr: 0x7f00_0010,
        start: 0x7f00_0000,
        size: 24,
        thread,
        stack,
    }
}

fn slot_legs(world: &mut World, worker: ThreadId) -> (Leg, Leg) {
    let set = vec![
        world.user(
            "bank::Slot::set",
            "src/bank.rs",
            "*self.value.get() = value",
        ),
        world.user("poll::run", "src/poll.rs", "step()"),
    ];
    let get = vec![
        world.user(
            "<bank::Slot as bank::Read>::get",
            "src/bank.rs",
            "*self.value.get() }",
        ),
        world.user("poll::drains::{{closure}}", "src/poll.rs", "balance()"),
    ];
    (
        access(MAIN, AccessOp::Read, false, 4, get),
        access(worker, AccessOp::Write, false, 4, set),
    )
}

#[test]
fn on_the_heap_under_different_locks() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let (mut later, mut earlier) = slot_legs(&mut world, worker);
    let one = vec![world.user("poll::run", "src/poll.rs", "STATE.lock()")];
    let other = vec![world.user("bank::transfer", "src/bank.rs", "from.balance.lock()")];
    let state = world.variable("poll::STATE", Some("Mutex<State>"), 16);
    earlier.locks.push(lock(state, one, false));
    later.locks.push(lock(0x7f00_5000, other, true));
    // A lock inside of std guards nothing of the program, and is not told.
    let inside = vec![world.std("std::io::Stdout::lock")];
    later.locks.push(lock(0x7f00_6000, inside, false));
    let memory = heap(&mut world, MAIN);
    world.found(race(Kind::DataRace, later, earlier, memory));
    check("race_heap", &only(&world));
}

#[test]
fn on_a_stack() {
    let mut world = World::new();
    let worker = world.thread(3, None, MAIN, Vec::new());
    let (later, earlier) = slot_legs(&mut world, worker);
    world.found(race(
        Kind::DataRace,
        later,
        earlier,
        Memory::Stack {
            addr: 1,
            thread: MAIN,
        },
    ));
    check("race_stack", &only(&world));
}

#[test]
fn on_a_thread_local() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let (later, earlier) = slot_legs(&mut world, worker);
    let memory = Memory::ThreadLocal {
        addr: 1,
        thread: worker,
        initial: None,
    };
    world.found(race(Kind::DataRace, later, earlier, memory));
    check("race_thread_local", &only(&world));
}

#[test]
fn on_a_thread_local_with_a_name() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let memory = Memory::ThreadLocal {
        addr: 1,
        thread: worker,
        initial: Some(world.variable("bank::LAST", None, 8)),
    };
    let (later, earlier) = slot_legs(&mut world, worker);
    world.found(race(Kind::DataRace, later, earlier, memory));
    let title = "data race on thread-local `bank::LAST` of thread `teller`";
    assert!(only(&world).contains(title));
}

#[test]
fn of_an_atomic_and_a_plain_access() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let peek = vec![world.user("bank::peek", "src/bank.rs", "*READY.as_ptr()")];
    let publish = vec![
        world.std("core::sync::atomic::AtomicBool::store"),
        world.user("bank::publish", "src/bank.rs", "store(true, Relaxed)"),
    ];
    let addr = world.variable("bank::READY", Some("AtomicBool"), 1);
    world.found(race(
        Kind::DataRace,
        access(MAIN, AccessOp::Read, false, 1, peek),
        access(worker, AccessOp::Write, true, 1, publish),
        Memory::Static { addr },
    ));
    check("race_atomic_plain", &only(&world));
}

#[test]
fn of_atomics_of_two_sizes_in_part_of_a_static() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let peek = vec![world.user("bank::peek", "src/bank.rs", "*READY.as_ptr()")];
    let publish = vec![world.user("bank::publish", "src/bank.rs", "store(true, Relaxed)")];
    let addr = world.variable("bank::TABLE", None, 64) + 8;
    world.found(race(
        Kind::DataRace,
        access(MAIN, AccessOp::Read, true, 1, peek),
        access(worker, AccessOp::Write, true, 8, publish),
        Memory::Static { addr },
    ));
    check("race_mixed_size", &only(&world));
}

#[test]
fn with_a_free() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let (_, earlier) = slot_legs(&mut world, worker);
    let free = vec![
        world.std("alloc::alloc::dealloc"),
        world.std("core::ptr::drop_in_place<alloc::boxed::Box<bank::Slot>>"),
        world.user("bank::forget", "src/bank.rs", "drop(slot)"),
        world.user("poll::drains", "src/poll.rs", "balance()"),
    ];
    let later = access(MAIN, AccessOp::Free, false, 24, free);
    let memory = heap(&mut world, MAIN);
    world.found(race(Kind::RaceWithFree, later, earlier, memory));
    check("race_with_free", &only(&world));
}

#[test]
fn with_a_return() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let counted = vec![
        world.user(
            "bank::counted",
            "src/bank.rs",
            "thread::spawn(move || unsafe",
        ),
        world.user("poll::drains", "src/poll.rs", "two()"),
    ];
    let closure = world.user(
        "bank::counted::{closure#0}",
        "src/bank.rs",
        "*{ shared }.0 += 1",
    );
    let mut stack = vec![closure];
    stack.extend(world.thread_start());
    world.found(race(
        Kind::RaceWithReturn,
        access(worker, AccessOp::Write, false, 8, stack),
        access(MAIN, AccessOp::Return, false, 8, counted),
        Memory::Stack {
            addr: 1,
            thread: MAIN,
        },
    ));
    check("race_with_return", &only(&world));
}

#[test]
fn by_volatile() {
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let watch = vec![
        world.std("core::ptr::read_volatile"),
        world.user("bank::watch", "src/bank.rs", "ptr::read_volatile"),
    ];
    let publish = vec![world.user("bank::publish", "src/bank.rs", "store(true, Relaxed)")];
    let addr = world.variable("bank::READY", Some("AtomicBool"), 1);
    world.found(race(
        Kind::VolatileRace,
        access(MAIN, AccessOp::Read, false, 1, watch),
        access(worker, AccessOp::Write, true, 1, publish),
        Memory::Static { addr },
    ));
    check("race_volatile", &only(&world));
}

#[test]
fn by_the_design_of_a_library() {
    const DEQUE: &str = "/cargo/registry/src/index-1/crossbeam-deque-0.8.6/src/deque.rs";
    let mut world = World::new();
    let worker = world.worker(1, "teller");
    let push = vec![
        world.std("core::ptr::write_volatile"),
        world.library("crossbeam_deque::deque::Buffer<T>::write", DEQUE, 70),
        world.library("crossbeam_deque::deque::Worker<T>::push", DEQUE, 412),
        world.user("bank::push", "src/bank.rs", "push(7)"),
    ];
    let steal = vec![
        world.std("core::ptr::read_volatile"),
        world.library("crossbeam_deque::deque::Buffer<T>::read", DEQUE, 84),
        world.library("crossbeam_deque::deque::Stealer<T>::steal", DEQUE, 663),
        world.user("bank::steal", "src/bank.rs", "steal()"),
    ];
    world.found(race(
        Kind::DataRace,
        access(worker, AccessOp::Read, false, 8, steal),
        access(MAIN, AccessOp::Write, false, 8, push),
        Memory::Mapped { addr: 1 },
    ));
    check("race_by_design", &only(&world));
}

#[test]
fn of_two_tasks_that_one_thread_polled() {
    let mut world = World::new();
    let mut found = static_race(&mut world);
    let spawned = |world: &mut World| vec![world.user("poll::start", "src/poll.rs", "spawn(run)")];
    for (leg, id) in found.legs.iter_mut().zip([8, 7]) {
        let of = TaskType {
            future: "poll::run::{{closure}}".to_owned(),
            poll: None,
            executor: Executor::Tokio,
        };
        let at = spawned(&mut world);
        leg.thread = world.task(id, of, MAIN, at);
    }
    found.kind = Kind::TaskRace;
    found.certainty = Certainty::Potential;
    world.found(found);
    check("race_of_tasks", &only(&world));
}

#[test]
fn of_two_tasks_within_a_library_is_the_librarys_own() {
    let mut world = World::new();
    let mut found = static_race(&mut world);
    found.kind = Kind::TaskRace;
    let queue = world.library(
        "tokio::runtime::scheduler::defer::Defer::defer",
        "/registry/src/index/tokio-1.54.1/src/runtime/scheduler/defer.rs",
        20,
    );
    found.legs[1].stack.insert(0, queue);
    world.found(found);
    assert_eq!(world.collect().findings, []);
}
