//! Tasks: the functions that the patched executors call.
//!
//! - [`record`]: what is kept of a task; [`registry`]: of all live ones;
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
pub mod record;
pub mod registry;
pub mod root;
pub mod trail;
pub mod turn;
pub mod waits;
pub mod way;
pub mod world;

use std::arch::asm;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::record::{Origin, Record, Wake};
use self::waits::Object;
use self::world::Here;
use super::caller::{self, return_address};
use super::edge::tracked;
use super::kernel;
use super::request;
use super::said;
use crate::hooks::table::{self, Field, Hooks, TaskNew, Text};
use crate::registry as threads;
use crate::report::wire::{Executor, Moment, ThreadId};
use crate::rt::mode;
use crate::rt::registers::Registers;
use crate::rt::thread::{Thread, calls};
use crate::schedule;
use crate::schedule::replay;
use crate::stack::{self, StackId};

/// The table that executors and the library look up by this name.
#[unsafe(no_mangle)]
pub static __leakcheck_hooks_v1: Hooks = Hooks {
    size: size_of::<Hooks>(),
    task_new,
    task_enter,
    task_exit,
    task_drop,
    waker_clone,
    waker_wake,
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
};

/// What a thread is polling.
#[derive(Clone, Copy)]
struct Polling {
    /// The record of the task, or null.
    task: *const Record,
    /// Functions on the shadow stack around the poll.
    depth: usize,
    /// Where races are left out: the frame of the function that polls.
    frame: usize,
}

/// No task.
const NOTHING: Polling = Polling {
    task: std::ptr::null(),
    depth: 0,
    frame: usize::MAX,
};

thread_local! {
    static POLLING: Cell<Polling> = const { Cell::new(NOTHING) };
}

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
    turn::reset();
    cycles::reset();
    ends::reset();
}

/// The task that the calling thread is polling.
fn polled() -> Option<&'static Record> {
    // SAFETY: null, or a record that the executor's reference keeps as long as
    // its poll lasts.
    unsafe { POLLING.get().task.as_ref() }
}

/// The stack of the calling thread as far as the poll of the task at hand:
/// what is outside of it is the executor's.
fn stack_here(thread: &Thread, pc: u64) -> StackId {
    if mode::leaks_alone() {
        return calls_here(thread, pc);
    }
    let frames = thread.frames();
    let outside = POLLING.get().depth.min(frames.len());
    stack::intern(pc, &frames[outside..])
}

/// As [`stack_here`], by frame pointers.
fn calls_here(thread: &Thread, pc: u64) -> StackId {
    let outermost = POLLING.get().frame;
    let mut calls = [0; stack::FRAMES];
    let mut len = 0;
    thread.walk(calls::own_frame(), |frame, call| {
        if len == 0 && call != pc {
            return true;
        }
        if frame >= outermost && len > 0 {
            return false;
        }
        calls[len] = call;
        len += 1;
        len < calls.len()
    });
    if len == 0 {
        calls[0] = pc;
        len = 1;
    }
    stack::intern_frames(len, || calls[..len].iter().copied())
}

/// Who runs on the thread: the task that it polls, or itself.
fn actor(thread: &Thread) -> ThreadId {
    polled().map_or(thread.id, |task| task.origin.id)
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

/// Which poll of the task at hand this is; 0 outside of tasks.
fn poll_number() -> u64 {
    polled().map_or(0, |task| task.notes.count())
}

extern "C" fn task_joined(data: *const (), handle: *const ()) {
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    let on = Object::Task {
        data: data as usize,
        handle: handle as usize,
    };
    waits::polled(actor(thread), poll_number(), on);
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

/// The calling thread begins to unwind its stack, from `pc` on.
pub fn panics(pc: u64) {
    if polled().is_none() {
        return;
    }
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    ends::panics(stack_here(thread, pc));
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
        stack_here(thread, pc),
        thread.id,
        polled().map(|task| Arc::clone(&task.origin)),
        stays,
    );
    schedule::releases(thread, replay::Object::turn_of(origin.id));
    let record = Record::new(Arc::new(origin), new.data_word, new.inspect, kernel::now());
    let record = Arc::new(record);
    registry::add(&record);
    thread.busy -= 1;
    Arc::into_raw(record) as u64
}

extern "C" fn task_enter(task: u64, waker: *const [usize; 2]) {
    let frame = caller::frame();
    let Some(thread) = tracked() else {
        return;
    };
    thread.busy += 1;
    // SAFETY: the executor polls the future.
    let record = unsafe { record(task) };
    // SAFETY: a waker is two words.
    let words = unsafe { &*waker };
    record.notes.begins(thread.id);
    if !record.notes.is_at(words[record.data_word]) {
        // SAFETY: a record of the executor's.
        has_waker(&unsafe { another(record) }, *words);
    }
    let around = POLLING.get();
    if !around.task.is_null() {
        OUTER.with(|outer| outer.borrow_mut().push(around));
        NESTED.set(NESTED.get() + 1);
    }
    POLLING.set(Polling {
        task: record,
        depth: thread.frames().len(),
        frame,
    });
    if !mode::leaks_alone() {
        schedule::enter(thread, &record.origin, record.scheduler.is_pool());
    }
    thread.busy -= 1;
}

/// The task is polled with another waker than before.
#[cold]
#[inline(never)]
fn has_waker(record: &Arc<Record>, waker: [usize; 2]) {
    let data = waker[record.data_word];
    record.set_waker(waker);
    ends::replaced(data);
    registry::bind(record, data);
}

thread_local! {
    /// How many polls there are around the one at hand.
    static NESTED: Cell<usize> = const { Cell::new(0) };
    /// What the thread polled when it began to poll what it polls now: a task
    /// may drive an executor of its own.
    static OUTER: std::cell::RefCell<Vec<Polling>> = const {
        std::cell::RefCell::new(Vec::new())
    };
}

extern "C" fn task_exit(task: u64, outcome: u32) {
    let Some(thread) = tracked() else {
        return;
    };
    thread.busy += 1;
    // SAFETY: the executor has polled the future.
    let record = unsafe { record(task) };
    let around = match NESTED.get() {
        0 => None,
        nested => {
            NESTED.set(nested - 1);
            OUTER.with(|outer| outer.borrow_mut().pop())
        }
    };
    POLLING.set(around.unwrap_or(NOTHING));
    record.notes.ends(again::time());
    if !mode::leaks_alone() {
        schedule::exit(thread, record.origin.id, outcome != table::PENDING);
    }
    if outcome == table::PENDING {
        cycles::pending(record);
    } else {
        over(record, outcome);
    }
    thread.busy -= 1;
}

/// The task has ended.
#[cold]
#[inline(never)]
fn over(record: &Record, outcome: u32) {
    record.rest.lock().reported = true;
    if outcome == table::PANICKED {
        // SAFETY: a record of the executor's.
        ends::panicked(&unsafe { another(record) });
    }
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

extern "C" fn waker_clone(data: *const ()) {
    let here = calls::own_frame();
    let pc = return_address();
    let Some(record) = polled() else { return };
    let Some(thread) = tracked() else { return };
    if !record.notes.is_at(data as usize) {
        return;
    }
    thread.busy += 1;
    record.add_chain(stack_again(thread, here, pc));
    thread.busy -= 1;
}

extern "C" fn waker_wake(data: *const ()) {
    let here = calls::own_frame();
    let pc = return_address();
    let Some(thread) = tracked() else { return };
    thread.busy += 1;
    let by = actor(thread);
    again::with_task(data as usize, |record| {
        schedule::releases(thread, replay::Object::turn_of(record.origin.id));
        record.notes.woken(Wake {
            by,
            at: stack_again(thread, here, pc),
            time: again::time(),
        });
    });
    thread.busy -= 1;
}

/// As [`stack_here`], at a place where the thread was before as a rule; `frame` is
/// that of the function that was called.
#[inline]
fn stack_again(thread: &Thread, frame: usize, pc: u64) -> StackId {
    if mode::leaks_alone() {
        again::stack(thread, frame, pc, POLLING.get().frame)
    } else {
        stack_here(thread, pc)
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
