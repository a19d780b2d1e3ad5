//! A future that tells the runtime when it is polled and when it is dropped.

use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use super::lookup::hooks;
use super::table::{Hooks, TaskNew, GIVES_WAY, PANICKED, PENDING, POLL, READY, UNEXPLORED};

/// The future of a task.
pub(crate) struct Tracked<T> {
    /// Its number in the runtime; 0 if there is no runtime.
    task: u64,
    future: T,
}

impl<T> Tracked<T> {
    pub(super) fn with(future: T, executor: u32, inspect: extern "C" fn(*const ()) -> u64) -> Self {
        let task = match hooks() {
            None => 0,
            Some(hooks) => {
                let name = core::any::type_name::<T>();
                let new = TaskNew {
                    type_name: name.as_ptr(),
                    type_name_len: name.len(),
                    size: core::mem::size_of::<T>(),
                    executor,
                    data_word: data_word(),
                    inspect,
                    poll: boxed_poll(&future),
                };
                (hooks.task_new)(&new)
            }
        };
        Self { task, future }
    }

    /// Its number in the runtime, or 0.
    pub(crate) fn number(&self) -> u64 {
        self.task
    }
}

impl<T: Future> Future for Tracked<T> {
    type Output = T::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T::Output> {
        // SAFETY: the future is not moved: it is pinned as a part of what is.
        let (task, future) = unsafe {
            let this = self.get_unchecked_mut();
            (this.task, Pin::new_unchecked(&mut this.future))
        };
        let hooks = match hooks() {
            Some(hooks) if task != 0 => hooks,
            _ => return future.poll(context),
        };
        let waker: *const Waker = context.waker();
        (hooks.task_enter)(task, waker as *const [usize; 2]);
        let mut exit = Exit {
            hooks,
            task,
            outcome: PANICKED,
        };
        let polled = if gives_way(context, POLL) {
            Poll::Pending
        } else {
            future.poll(context)
        };
        exit.outcome = if polled.is_ready() { READY } else { PENDING };
        polled
    }
}

impl<T> Drop for Tracked<T> {
    fn drop(&mut self) {
        if self.task != 0 {
            if let Some(hooks) = hooks() {
                (hooks.task_drop)(self.task);
            }
        }
    }
}

/// Tells the end of a poll, also when it panics.
struct Exit {
    hooks: &'static Hooks,
    task: u64,
    outcome: u32,
}

impl Drop for Exit {
    #[inline]
    fn drop(&mut self) {
        (self.hooks.task_exit)(self.task, self.outcome);
    }
}

/// No other schedules are to be seen.
static UNEXPLORED_HERE: AtomicBool = AtomicBool::new(false);

/// True if the task that is being polled is to let others go before it, and is
/// woken for that.
#[inline]
pub(super) fn gives_way(context: &Context<'_>, point: u32) -> bool {
    !UNEXPLORED_HERE.load(Ordering::Relaxed) && asks_to_give_way(context, point)
}

#[cold]
fn asks_to_give_way(context: &Context<'_>, point: u32) -> bool {
    let waker: *const Waker = context.waker();
    // SAFETY: a waker is two words.
    let words = unsafe { *(waker as *const [*const (); 2]) };
    let answer = match hooks() {
        Some(hooks) => (hooks.task_gives_way)(words[data_word() as usize], point),
        None => UNEXPLORED,
    };
    if answer == UNEXPLORED {
        UNEXPLORED_HERE.store(true, Ordering::Relaxed);
    }
    if answer == GIVES_WAY {
        context.waker().wake_by_ref();
    }
    answer == GIVES_WAY
}

/// The future that an executor blocks on.
pub(crate) struct Root<T> {
    root: u64,
    future: T,
}

/// The executor is about to block on the future.
#[inline(never)]
pub(crate) fn root<T>(future: T) -> Root<T> {
    // The runtime counts the functions on the stack: no closure here.
    let root = match hooks() {
        Some(hooks) => (hooks.root_begin)(),
        None => 0,
    };
    Root { root, future }
}

impl<T: Future> Future for Root<T> {
    type Output = T::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T::Output> {
        // SAFETY: the future is not moved: it is pinned as a part of what is.
        let (root, mut future) = unsafe {
            let this = self.get_unchecked_mut();
            (this.root, Pin::new_unchecked(&mut this.future))
        };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() && is_object::<T>() {
            if let Some(hooks) = hooks() {
                // SAFETY: the future is only looked at.
                let words: *const T = unsafe { future.get_unchecked_mut() };
                (hooks.root_ready)(root, words.cast());
            }
        }
        polled
    }
}

/// True for a pinned reference to a trait object.
fn is_object<T>() -> bool {
    core::mem::size_of::<T>() == 2 * core::mem::size_of::<usize>()
        && core::any::type_name::<T>().starts_with("core::pin::Pin<&mut dyn ")
}

/// Where a future is boxed as a trait object: the function that polls what is in the
/// box, by which the type has a name. Else 0.
fn boxed_poll<T>(future: &T) -> usize {
    const WORD: usize = core::mem::size_of::<usize>();
    let is_boxed = core::mem::size_of::<T>() == 2 * WORD
        && core::any::type_name::<T>().starts_with("core::pin::Pin<alloc::boxed::Box<dyn ");
    if !is_boxed {
        return 0;
    }
    // SAFETY: a box of a trait object is two words, the second of which points to
    // the table of its functions: how to drop it, its size and alignment, then
    // those of the trait, which for a future is one.
    let [_, _, align, poll] = unsafe {
        let [_, table] = core::mem::transmute_copy::<T, [usize; 2]>(future);
        *(table as *const [usize; 4])
    };
    if align.is_power_of_two() {
        poll
    } else {
        0
    }
}

/// Which of the two words of a waker is its data pointer: by looking at one
/// that is known.
pub(super) fn data_word() -> u32 {
    static MARK: u8 = 0;
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| RawWaker::new(data, &TABLE),
        |_| (),
        |_| (),
        |_| (),
    );
    let mark: *const u8 = &MARK;
    // SAFETY: the functions of the table do nothing.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(mark.cast(), &TABLE)) });
    // SAFETY: a waker is two pointers.
    let words: [usize; 2] = unsafe { core::mem::transmute_copy::<Waker, [usize; 2]>(&waker) };
    (words[0] != mark as usize) as u32
}

/// What the executor calls the address of a task.
pub(crate) trait TaskPointer {
    fn data(self) -> *const ();
}

impl TaskPointer for *const () {
    fn data(self) -> *const () {
        self
    }
}

impl<T> TaskPointer for NonNull<T> {
    fn data(self) -> *const () {
        self.as_ptr() as *const ()
    }
}

/// A waker of a task is being cloned.
#[inline]
pub(crate) fn waker_clone(task: impl TaskPointer) {
    if let Some(hooks) = hooks() {
        (hooks.waker_clone)(task.data());
    }
}

/// A task is being woken.
#[inline]
pub(crate) fn waker_wake(task: impl TaskPointer) {
    if let Some(hooks) = hooks() {
        (hooks.waker_wake)(task.data());
    }
}

/// The executor drops the tasks that are left, as long as this lives.
pub(crate) struct Shutdown(());

impl Shutdown {
    pub(crate) fn begin() -> Self {
        if let Some(hooks) = hooks() {
            (hooks.shutdown_begin)();
        }
        Self(())
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        if let Some(hooks) = hooks() {
            (hooks.shutdown_end)();
        }
    }
}
