//! Tasks: the functions that the patched executors call.
//!
//! - [`record`]: what is kept of a task; [`registry`]: of all live ones;
//!   [`poll`]: the hooks that are called at each poll and each wake-up;
//! - [`ends`]: those that are dropped with their executor, or panic;
//! - [`look`]: which of them are leaks, when an executor is shut down and at
//!   the end of the process, by a search of the [`world`] as it is
//!   mapped ([`maps`]); [`root`]: what
//!   `block_on` has completed; [`waits`]: who waits for whom, by name;
//!   [`own`]: what memory is a thread's own; [`again`]: what a thread notes of
//!   tasks all the time; [`trail`]: since when a task awaits what it awaits;
//!   [`turn`]: which thread would poll a task that is ready; [`way`]: which
//!   tasks let others go first; [`keepers`]: who must act where a wait has no name; [`locks`]: what only a guard
//!   can give back;
//!   [`cycles`]: those that wait for each other while others go on.
//!
//! A task is known by the address of its record, of which the executor's copy
//! is one counted reference.

pub mod again;
pub mod cycles;
pub mod ends;
pub mod keepers;
mod locks;
pub mod look;
pub mod maps;
pub mod order;
pub mod own;
mod permits;
mod poll;
pub mod record;
pub mod registry;
pub mod root;
pub mod trail;
pub mod turn;
pub mod waits;
pub mod way;
pub mod world;

use std::arch::asm;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::poll::{actor, polled};
use self::record::{Origin, Record};
use self::waits::Object;
use self::world::Here;
use super::caller::{self, return_address};
use super::edge::tracked;
use super::kernel;
use super::request;
use super::said;
use crate::hooks::table::{self, Field, Hooks, TaskNew, Text};
use crate::registry as threads;
use crate::report::wire::{Executor, Moment};
use crate::rt::mode;
use crate::rt::registers::Registers;
use crate::rt::thread::Thread;
use crate::schedule;
use crate::schedule::replay;
use crate::stack::{self, StackId};

/// The table that executors and the library look up by this name.
#[unsafe(no_mangle)]
pub static __leakcheck_hooks_v1: Hooks = Hooks {
    size: size_of::<Hooks>(),
    task_new,
    task_enter: poll::enter,
    task_exit: poll::exit,
    task_drop,
    waker_clone: poll::waker_clone,
    waker_wake: poll::waker_wake,
    shutdown_begin,
    shutdown_end,
    root_begin,
    root_ready,
    waker_kept,
    named,
    tasks_on_their_way,
    snapshot,
    permits_wanted: permits::wanted,
    permits_waited: permits::waited,
    permits_back: permits::back,
    task_joined,
    variable_named,
    field_accessed,
    task_shut,
    task_shut_end,
    task_placed,
    runtime_driven,
    runtime_left,
    task_heard,
    task_gives_way: way::task_gives_way,
    thread_rests: poll::rests,
};

/// Tasks spawned so far.
static SPAWNED: AtomicU64 = AtomicU64::new(0);

/// Tasks spawned so far.
pub fn spawned() -> u64 {
    SPAWNED.load(Ordering::Relaxed)
}

/// In the child of a fork.
pub fn reset() {
    registry::reset();
    waits::reset();
    order::reset();
    locks::reset();
    turn::reset();
    cycles::reset();
    ends::reset();
}

/// The stack of the calling thread from `pc` on, in a function that has `frame`, as far
/// as the poll of the task at hand: what is outside of it is the executor's.
fn stack_here(thread: &Thread, frame: usize, pc: u64) -> StackId {
    if mode::leaks_alone() {
        return again::stack(thread, frame, pc, poll::outermost());
    }
    let frames = thread.frames();
    let outside = poll::depth().min(frames.len());
    stack::intern(pc, &frames[outside..])
}

extern "C" fn named(name: *const u8, len: usize) {
    let Some(thread) = tracked() else {
        return;
    };
    thread.busy += 1;
    // SAFETY: the caller passes a name of this length.
    let name = unsafe { std::slice::from_raw_parts(name, len) };
    let name = String::from_utf8_lossy(name).into_owned();
    match polled() {
        Some(task) => task.origin.call(name),
        None => {
            threads::with(thread.id, |entry| entry.name = Some(name));
        }
    }
    thread.busy -= 1;
}

extern "C" fn variable_named(addr: usize, size: usize, name: Text) {
    said::variable_named(addr, size, name);
}

extern "C" fn field_accessed(field: *const Field) {
    // SAFETY: the caller passes one of its own.
    said::field_accessed(unsafe { *field });
}

extern "C" fn task_joined(data: *const (), handle: *const ()) {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    let on = Object::Task {
        data: data as usize,
        handle: handle as usize,
    };
    waits::polled(actor(thread), poll::number(), on);
    cycles::waits_by_name();
    thread.busy -= 1;
}

extern "C" fn task_heard(data: *const ()) {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    ends::joined(data as usize);
    waits::joined(actor(thread), data as usize);
    thread.busy -= 1;
}

extern "C" fn task_shut(data: *const (), state: u64) -> u64 {
    let Some(thread) = tracked() else { return 0 };
    thread.busy += 1;
    let before = ends::shut_begins(data as usize, state);
    thread.busy -= 1;
    before
}

extern "C" fn task_shut_end(before: u64) {
    ends::shut_ends(before);
}

extern "C" fn task_placed(task: u64, data: *const (), scheduler: usize, alone: u32) {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    // SAFETY: the executor has just been given the number.
    let record = unsafe { another(record(task)) };
    record.scheduler.is(scheduler, alone != 0);
    registry::place(&record, data as usize);
    thread.busy -= 1;
}

extern "C" fn runtime_driven(handle: *const usize, words: usize) {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    // SAFETY: the executor passes a handle of that size.
    unsafe { turn::drives(thread.id, handle, words) };
    thread.busy -= 1;
}

extern "C" fn runtime_left() {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    turn::leaves(thread.id);
    thread.busy -= 1;
}

/// The calling thread begins to unwind its stack, from `pc` on, in a function that has
/// `frame`.
pub fn panics(pc: u64, frame: usize) {
    if polled().is_none() {
        return;
    }
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    ends::panics(stack_here(thread, frame, pc));
    thread.busy -= 1;
}

extern "C" fn snapshot() {
    request::now(return_address());
}

extern "C" fn tasks_on_their_way() -> usize {
    let Some(thread) = tracked() else {
        return 0;
    };
    thread.busy += 1;
    let count = registry::live()
        .iter()
        .filter_map(|record| record.look())
        .filter(|(facts, _)| facts.running || facts.scheduled)
        .count();
    thread.busy -= 1;
    count
}

/// The record behind a number that [`task_new`] returned.
///
/// # Safety
/// Its future has not been dropped.
unsafe fn record(task: u64) -> &'static Record {
    // SAFETY: as the caller says; the executor's reference keeps it.
    unsafe { &*(task as *const Record) }
}

/// One more reference to a record.
///
/// # Safety
/// The executor has one.
unsafe fn another(record: &Record) -> Arc<Record> {
    // SAFETY: the executor's reference is one; this makes another.
    unsafe {
        Arc::increment_strong_count(record);
        Arc::from_raw(record)
    }
}

extern "C" fn task_new(new: *const TaskNew) -> u64 {
    let frame = caller::frame();
    let pc = return_address();
    let Some(thread) = tracked() else {
        return 0;
    };
    // SAFETY: the executor passes a valid description, with text that is alive
    // for good.
    let (new, future) = unsafe {
        let new = &*new;
        let text = std::slice::from_raw_parts(new.type_name, new.type_name_len);
        (new, std::str::from_utf8_unchecked(text))
    };
    let (executor, stays) = match new.executor {
        table::TOKIO => (Executor::Tokio, false),
        table::TOKIO_LOCAL => (Executor::Tokio, true),
        table::ASYNC_TASK => (Executor::AsyncTask, false),
        table::ASYNC_TASK_LOCAL => (Executor::AsyncTask, true),
        _ => return 0,
    };
    thread.busy += 1;
    SPAWNED.fetch_add(1, Ordering::Relaxed);
    let origin = Origin::new(
        threads::next_id(),
        (future, new.poll as u64),
        executor,
        stack_here(thread, frame, pc),
        thread.id,
        polled().map(|task| Arc::clone(&task.origin)),
        stays,
    );
    schedule::releases(thread, replay::Object::turn_of(origin.id));
    let record = Record::new(Arc::new(origin), new.data_word, new.inspect, kernel::now());
    let record = Arc::new(record);
    registry::add(&record);
    thread.clear_leftovers();
    thread.busy -= 1;
    Arc::into_raw(record) as u64
}

extern "C" fn task_drop(task: u64) {
    let mut thread = tracked();
    // SAFETY: the reference that the executor had.
    let record = unsafe { Arc::from_raw(task as *const Record) };
    if let Some(thread) = &mut thread {
        // Until all locks are free again: a signal may ask for a snapshot.
        thread.busy += 1;
        ends::dropped(&record);
    }
    waits::ended(record.origin.id);
    order::ended(record.origin.id);
    let data = record.goes();
    if let Some(thread) = thread {
        schedule::drops(thread, record.origin.id);
        registry::remove(&record, data);
        drop(record);
        thread.busy -= 1;
    } else {
        registry::remove(&record, data);
    }
}

extern "C" fn waker_kept(data: *const (), count: i64) {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    registry::keep(data as usize, count);
    thread.busy -= 1;
}

extern "C" fn shutdown_begin() {
    let here = here();
    let pc = return_address();
    let Some(thread) = tracked() else { return };
    thread.load_calls(pc);
    thread.busy += 1;
    look::report(Moment::Shutdown, &here);
    ends::shutdown_begins();
    thread.busy -= 1;
}

extern "C" fn shutdown_end() {
    ends::shutdown_ends();
}

extern "C" fn root_begin() -> u64 {
    let pc = return_address();
    tracked().map_or(0, |thread| {
        thread.load_calls(pc);
        root::depth(thread) as u64
    })
}

extern "C" fn root_ready(depth: u64, future: *const [usize; 2]) {
    let pc = return_address();
    let Some(thread) = tracked() else { return };
    thread.load_calls(pc);
    thread.busy += 1;
    // SAFETY: the executor passes a pinned reference to a trait object.
    root::complete(thread, depth as usize, unsafe { future.read() });
    thread.busy -= 1;
}

/// What the caller of the function that this is inlined into has on its stack
/// and in registers.
#[inline(always)]
pub fn here() -> Here {
    /// What a function pushes first, below its frame pointer.
    const PUSHED: usize = 64;
    let registers = Registers::new();
    registers.save();
    let frame: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    Here {
        stack: frame.saturating_sub(PUSHED),
        registers: registers.get().to_vec(),
    }
}
