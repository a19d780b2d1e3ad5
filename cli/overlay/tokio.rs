//! What is particular to tokio: how its tasks keep their state.

use core::cell::Cell;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize as Plain, Ordering};
use core::task::{Context, Poll};

use crate::loom::sync::atomic::AtomicUsize;

use super::super::{Header, RawTask};
use super::table;
use super::lookup::hooks;
use super::tracked::Tracked;

/// A task of tokio's, followed, that `S` schedules.
pub(crate) fn track<T: Future, S>(future: T) -> Tracked<T> {
    Tracked::with(future, executor::<S>(), inspect)
}

fn executor<S>() -> u32 {
    if core::any::type_name::<S>().contains("::task::local::") || has_to_stay() {
        table::TOKIO_LOCAL
    } else {
        table::TOKIO
    }
}

std::thread_local! {
    /// The task that is spawned next is one of a `LocalRuntime`.
    static STAYS: Cell<bool> = const { Cell::new(false) };
}

/// A future that becomes a task next, and is polled by this thread alone.
pub(crate) fn stays<F>(future: F) -> F {
    STAYS.with(|stays| stays.set(true));
    future
}

fn has_to_stay() -> bool {
    STAYS.with(|stays| stays.get() && stays.replace(false))
}

/// A task that has no place yet.
pub(crate) struct Unplaced {
    task: u64,
    scheduler: usize,
    alone: bool,
}

impl Unplaced {
    pub(crate) fn of<T, S>(task: &Tracked<T>, scheduler: &S) -> Self {
        let name = core::any::type_name::<S>();
        let scheduler = if core::mem::size_of::<S>() == core::mem::size_of::<usize>() {
            // SAFETY: a counted pointer, of which nothing but the address is looked at.
            unsafe { core::mem::transmute_copy::<S, usize>(scheduler) }
        } else {
            0
        };
        Self {
            task: task.number(),
            scheduler,
            alone: !name.contains("multi_thread") && !name.contains("thread_pool"),
        }
    }

    /// Here it is.
    pub(crate) fn at<J: Joined>(self, task: &J) {
        if let (Some(hooks), Some(header), true) = (hooks(), task.header(), self.task != 0) {
            (hooks.task_placed)(self.task, header, self.scheduler, u32::from(self.alone));
        }
    }
}

/// The thread blocks on a runtime, as long as this lives.
pub(crate) struct Drives(());

impl Drives {
    pub(crate) fn begin<H>(handle: &H) -> Self {
        let words = core::mem::size_of::<H>() / core::mem::size_of::<usize>();
        if let Some(hooks) = hooks() {
            (hooks.runtime_driven)((handle as *const H).cast(), words);
        }
        Self(())
    }
}

impl Drop for Drives {
    fn drop(&mut self) {
        if let Some(hooks) = hooks() {
            (hooks.runtime_left)();
        }
    }
}

extern "C" fn inspect(data: *const ()) -> u64 {
    // SAFETY: tokio's wakers point to the header, which lives as long as the
    // future of the task.
    let state = unsafe { &*data.cast::<Header>() }.state.load();
    let is = |yes: bool, flag: u64| if yes { flag } else { 0 };
    // One reference is the executor's own, one its queue's, one that of the
    // join handle.
    let own = 1 + u64::from(state.is_notified()) + u64::from(state.is_join_interested());
    table::KEEPS_PANIC
        | is(state.is_notified(), table::IS_SCHEDULED)
        | is(state.is_running(), table::IS_RUNNING)
        | is(state.is_complete(), table::IS_COMPLETE)
        | is(state.is_cancelled(), table::IS_CANCELLED)
        | is(state.is_join_interested(), table::HAS_HANDLE)
        | (state.ref_count() as u64).saturating_sub(own) << table::REFERENCES_SHIFT
}

/// What a join handle has of its task.
pub(crate) trait Joined {
    fn header(&self) -> Option<*const ()>;
}

impl Joined for RawTask {
    fn header(&self) -> Option<*const ()> {
        Some(RawTask::header(self) as *const Header as *const ())
    }
}

impl Joined for Option<RawTask> {
    fn header(&self) -> Option<*const ()> {
        self.as_ref().and_then(Joined::header)
    }
}

/// The thread is about to wait, with this, until there is something to poll.
#[inline]
pub(crate) fn rests<T>(with: T) -> T {
    if let Some(hooks) = hooks() {
        (hooks.thread_rests)();
    }
    with
}

/// A future of tokio's is about to take what it waits for. True if it is to be
/// polled again, after other tasks, as where the budget of its task is used up.
#[inline]
pub(crate) fn waits(context: &Context<'_>) -> bool {
    super::tracked::gives_way(context, table::WAIT)
}

/// A join handle is polled.
pub(crate) fn joins<J: Joined>(handle: &J) {
    if let (Some(hooks), Some(header)) = (hooks(), handle.header()) {
        (hooks.task_joined)(header, handle as *const J as *const ());
    }
}

/// A join handle is ready.
pub(crate) fn joined<J: Joined>(handle: &J) {
    if let (Some(hooks), Some(header)) = (hooks(), handle.header()) {
        (hooks.task_heard)(header);
    }
}

std::thread_local! {
    /// A wait for permits is polled or dropped that nobody has afterwards.
    static UNOWNED: Cell<bool> = const { Cell::new(false) };
}

/// A wait for permits that are no lock: those of a channel, which are given back
/// by who receives.
pub(crate) struct Unowned<F>(ManuallyDrop<F>);

pub(crate) fn unowned<F>(wait: F) -> Unowned<F> {
    Unowned(ManuallyDrop::new(wait))
}

impl<F: Future> Future for Unowned<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the wait is not moved: it is pinned as a part of what is.
        let wait = unsafe { self.map_unchecked_mut(|this| &mut *this.0) };
        let before = UNOWNED.with(|unowned| unowned.replace(true));
        let polled = wait.poll(context);
        UNOWNED.with(|unowned| unowned.set(before));
        polled
    }
}

impl<F> Drop for Unowned<F> {
    fn drop(&mut self) {
        // The variable may be gone, at the end of a thread.
        let set = |to| UNOWNED.try_with(|unowned| unowned.replace(to)).unwrap_or(false);
        let before = set(true);
        // SAFETY: it is not used again.
        unsafe { ManuallyDrop::drop(&mut self.0) };
        set(before);
    }
}

fn is_owned() -> bool {
    !UNOWNED.try_with(Cell::get).unwrap_or(false)
}

/// A wait for permits is polled.
pub(crate) fn wants<S>(semaphore: &S) {
    if let (Some(hooks), true) = (hooks(), is_owned()) {
        (hooks.permits_wanted)(semaphore as *const S as *const ());
    }
}

/// A wait for permits is over.
pub(crate) fn waited<S>(semaphore: &S, taken: u32) {
    if let (Some(hooks), true) = (hooks(), is_owned()) {
        (hooks.permits_waited)(semaphore as *const S as *const (), taken);
    }
}

/// How many permits there are left of a semaphore, and of how many.
pub(crate) struct Counted {
    left: AtomicUsize,
    /// 0 once it has changed.
    all: Plain,
}

impl Counted {
    pub(crate) const fn new(all: usize) -> Self {
        Self {
            left: AtomicUsize::new(all),
            all: Plain::new(all),
        }
    }

    /// There are more of them from now on.
    pub(crate) fn grows(&self) {
        self.all.store(0, Ordering::Relaxed);
    }

    /// How many of them so many are, if they were taken.
    pub(crate) fn taken(&self, permits: usize, taken: bool) -> u32 {
        match self.all.load(Ordering::Relaxed) {
            _ if !taken || permits == 0 => 0,
            0 => table::UNCOUNTED_PERMITS,
            all if all == permits => table::ALL_PERMITS,
            _ => table::SOME_PERMITS,
        }
    }
}

impl Deref for Counted {
    type Target = AtomicUsize;

    fn deref(&self) -> &AtomicUsize {
        &self.left
    }
}

/// Permits are given back.
pub(crate) fn gives_back<S>(semaphore: &S) {
    if let Some(hooks) = hooks() {
        (hooks.permits_back)(semaphore as *const S as *const ());
    }
}

/// A task is shut down by its executor, as long as this lives.
pub(crate) struct Shut(u64);

impl Shut {
    pub(crate) fn begin(task: &RawTask) -> Self {
        let header = RawTask::header(task) as *const Header as *const ();
        Self(hooks().map_or(0, |hooks| (hooks.task_shut)(header, inspect(header))))
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        if let Some(hooks) = hooks() {
            (hooks.task_shut_end)(self.0);
        }
    }
}
