//! The polls of tasks, and what happens in them all the time: wakers are cloned, and
//! tasks woken.
//!
//! Without races these four hooks are most of what leakcheck costs a program. So each
//! of them does first what nearly every call of it needs, as long as that is a few words
//! of the thread's and of the task's: what the thread noted in the same place before
//! ([`again`]) is noted again. All else is left to a function of its own, which begins
//! anew. A store costs more here than a comparison, since each of an executor's exchanges
//! waits for all stores before it: what holds already is not written.

use std::arch::naked_asm;
use std::cell::{Cell, RefCell};
use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use super::super::edge::tracked;
use super::record::{Record, Wake};
use super::{again, another, cycles, ends, record, registry, stack_here};
use crate::hooks::table;
use crate::report::wire::ThreadId;
use crate::rt::mode;
use crate::rt::thread::Thread;
use crate::schedule;
use crate::schedule::replay;

/// What a thread polled when it began to poll something else.
struct Around {
    task: *const Record,
    depth: usize,
    frame: usize,
}

thread_local! {
    /// The record of the task that the thread is polling, or null.
    static TASK: Cell<*const Record> = const { Cell::new(null()) };
    /// Functions on the shadow stack around the poll.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The frame of the function that polls, of the latest poll.
    static FRAME: Cell<usize> = const { Cell::new(0) };
    /// How many polls there are around the one at hand.
    static NESTED: Cell<usize> = const { Cell::new(0) };
    /// The poll is the first of its task, or waits where the thread did not see one wait.
    static ANEW: Cell<bool> = const { Cell::new(false) };
    /// Those around it: a task may drive an executor of its own.
    static OUTER: RefCell<Vec<Around>> = const { RefCell::new(Vec::new()) };
}

/// The task that the calling thread is polling.
#[inline]
pub fn polled() -> Option<&'static Record> {
    // SAFETY: null, or a record that the executor's reference keeps as long as
    // its poll lasts.
    unsafe { TASK.get().as_ref() }
}

/// Which poll of the task at hand this is; 0 outside of tasks.
pub fn number() -> u64 {
    polled().map_or(0, |task| task.notes.count())
}

/// Who runs on the thread: the task that it polls, or itself.
#[inline]
pub fn actor(thread: &Thread) -> ThreadId {
    polled().map_or(thread.id, |task| task.origin.id)
}

/// Functions on the shadow stack around the poll at hand; none outside of tasks.
pub fn depth() -> usize {
    polled().map_or(0, |_| DEPTH.get())
}

/// The frame of the function that polls the task at hand; outside of tasks, more than
/// any.
#[inline]
pub fn outermost() -> usize {
    polled().map_or(usize::MAX, |_| FRAME.get())
}

/// Does something while what a signal handler does here is left out.
#[inline(always)]
fn busy<R>(thread: &mut Thread, with: impl FnOnce(&Thread) -> R) -> R {
    thread.busy += 1;
    compiler_fence(Ordering::SeqCst);
    let result = with(thread);
    compiler_fence(Ordering::SeqCst);
    thread.busy -= 1;
    result
}

/// See [`crate::hooks::table::Hooks::task_enter`]. Passes on the caller's frame.
#[unsafe(naked)]
pub extern "C" fn enter(_task: u64, _waker: *const [usize; 2]) {
    naked_asm!("mov rdx, rbp", "jmp {}", sym enter_from)
}

extern "C" fn enter_from(task: u64, waker: *const [usize; 2], frame: usize) {
    let Some(thread) = tracked() else {
        return;
    };
    // SAFETY: the executor polls the future, with a waker of two words.
    let (record, waker) = unsafe { (record(task), &*waker) };
    let known = record.notes.is_at(waker[record.data_word]);
    if known && TASK.get().is_null() && mode::leaks_alone() {
        record.notes.begins(thread.id);
        TASK.set(record);
        FRAME.set(frame);
    } else {
        enters(thread, record, waker, frame);
    }
}

#[inline(never)]
fn enters(thread: &mut Thread, record: &'static Record, waker: &[usize; 2], frame: usize) {
    thread.busy += 1;
    record.notes.begins(thread.id);
    if !record.notes.is_at(waker[record.data_word]) {
        // SAFETY: a record of the executor's.
        has_waker(&unsafe { another(record) }, *waker);
        // What the task is made of is laid out in its first poll, as a rule.
        thread.clear_leftovers();
        ANEW.set(true);
    }
    if polled().is_some() {
        let around = Around {
            task: TASK.get(),
            depth: DEPTH.get(),
            frame: FRAME.get(),
        };
        OUTER.with(|outer| outer.borrow_mut().push(around));
        NESTED.set(NESTED.get() + 1);
    }
    TASK.set(record);
    DEPTH.set(thread.frames().len());
    FRAME.set(frame);
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

/// See [`crate::hooks::table::Hooks::task_exit`].
pub extern "C" fn exit(task: u64, outcome: u32) {
    let Some(thread) = tracked() else {
        return;
    };
    // SAFETY: the executor has polled the future.
    let record = unsafe { record(task) };
    if outcome == table::PENDING
        && NESTED.get() == 0
        && !cycles::waited_by_name()
        && !ANEW.get()
        && mode::leaks_alone()
        && let Some(now) = again::known_time_at_end()
    {
        TASK.set(null());
        record.notes.ends(now);
    } else {
        exits(thread, record, outcome);
    }
}

#[inline(never)]
fn exits(thread: &mut Thread, record: &'static Record, outcome: u32) {
    thread.busy += 1;
    TASK.set(null());
    if NESTED.get() > 0 {
        NESTED.set(NESTED.get() - 1);
        if let Some(around) = OUTER.with(|outer| outer.borrow_mut().pop()) {
            TASK.set(around.task);
            DEPTH.set(around.depth);
            FRAME.set(around.frame);
        }
    }
    record.notes.ends(again::time());
    if !mode::leaks_alone() {
        schedule::exit(thread, record.origin.id, outcome != table::PENDING);
    }
    if outcome == table::PENDING {
        cycles::pending(record);
        // It may be the last poll before the thread sleeps, on what this one has left.
        if ANEW.replace(false) || !mode::leaks_alone() {
            thread.clear_leftovers();
        }
    } else {
        over(record, outcome);
    }
    thread.busy -= 1;
}

/// See [`crate::hooks::table::Hooks::thread_rests`]. The functions around its last polls
/// have returned, so that what they have left is cleared as well.
pub extern "C" fn rests() {
    if let Some(thread) = tracked() {
        busy(thread, Thread::clear_leftovers);
    }
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

/// See [`crate::hooks::table::Hooks::waker_clone`]. Passes on the caller's frame, and
/// where it called.
#[unsafe(naked)]
pub extern "C" fn waker_clone(_data: *const ()) {
    naked_asm!("mov rsi, rbp", "mov rdx, [rsp]", "jmp {}", sym clone_at)
}

extern "C" fn clone_at(data: *const (), frame: usize, pc: u64) {
    let Some(record) = polled() else { return };
    let Some(thread) = tracked() else { return };
    if !record.notes.is_at(data as usize) {
        return;
    }
    let again = busy(thread, |_| {
        let chain = again::latest_stack(frame, pc, outermost())?;
        record.notes.awaits_again(chain).then_some(())
    });
    if again.is_none() {
        clones(thread, record, frame, pc);
    }
}

#[inline(never)]
fn clones(thread: &mut Thread, record: &Record, frame: usize, pc: u64) {
    thread.busy += 1;
    ANEW.set(true);
    record.add_chain(stack_here(thread, frame, pc));
    thread.busy -= 1;
}

/// See [`crate::hooks::table::Hooks::waker_wake`]. As [`waker_clone`].
#[unsafe(naked)]
pub extern "C" fn waker_wake(_data: *const ()) {
    naked_asm!("mov rsi, rbp", "mov rdx, [rsp]", "jmp {}", sym wake_at)
}

extern "C" fn wake_at(data: *const (), frame: usize, pc: u64) {
    let Some(thread) = tracked() else { return };
    let again = busy(thread, |thread| {
        let record = again::known_task(data as usize)?;
        let wake = Wake {
            by: actor(thread),
            at: again::latest_stack(frame, pc, outermost())?,
            // Outside of tasks nothing else counts.
            time: again::known_time().filter(|_| polled().is_some())?,
        };
        record.notes.woken(wake);
        Some(())
    });
    if again.is_none() {
        wakes(thread, data as usize, frame, pc);
    }
}

#[inline(never)]
fn wakes(thread: &mut Thread, data: usize, frame: usize, pc: u64) {
    thread.busy += 1;
    let by = actor(thread);
    again::with_task(data, |record| {
        schedule::releases(thread, replay::Object::turn_of(record.origin.id));
        record.notes.woken(Wake {
            by,
            at: stack_here(thread, frame, pc),
            time: again::time(),
        });
    });
    thread.busy -= 1;
}
