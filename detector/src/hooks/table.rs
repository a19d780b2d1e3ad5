//! The table of functions that the runtime offers to code that knows of it:
//! the patched executors (`cli/src/overlay`), which contain this very text,
//! and the library that users depend on.
//!
//! A caller finds the table by the name of its symbol when it runs
//! ([`super::lookup`]): what was built for leakcheck but runs without it finds
//! none and does nothing.
//!
//! The table only grows at its end: a caller checks [`Hooks::size`] before it
//! calls a function that a first runtime may lack. A change of anything else
//! changes the symbol's name.
//!
//! Functions take and return plain numbers and pointers, keep no pointer
//! beyond their return unless they say so, do not unwind, and may be called on
//! any thread at any time, a thread that the runtime does not know included.

/// Name of the symbol, with its null.
pub const SYMBOL: &[u8] = b"__leakcheck_hooks_v1\0";

/// The functions. All of them are there, none is null.
#[repr(C)]
pub struct Hooks {
    /// Bytes of the table that the runtime fills.
    pub size: usize,

    /// A task is spawned. Returns its number in the runtime, which is passed
    /// to the others, or 0 if the runtime does not follow it.
    pub task_new: extern "C" fn(new: *const TaskNew) -> u64,
    /// The task is about to be polled, with the waker whose two words are at
    /// `waker`.
    pub task_enter: extern "C" fn(task: u64, waker: *const [usize; 2]),
    /// The poll is over: [`PENDING`], [`READY`] or [`PANICKED`].
    pub task_exit: extern "C" fn(task: u64, outcome: u32),
    /// The future of the task is about to be dropped. The number is not used
    /// again.
    pub task_drop: extern "C" fn(task: u64),
    /// A waker of the task whose wakers have `data` is being cloned.
    pub waker_clone: extern "C" fn(data: *const ()),
    /// A task is being woken through a waker with `data`.
    pub waker_wake: extern "C" fn(data: *const ()),
    /// An executor is about to drop the tasks that are left in it.
    pub shutdown_begin: extern "C" fn(),
    /// It has dropped them.
    pub shutdown_end: extern "C" fn(),
    /// An executor begins to block on a future, in a function that calls the
    /// function that calls this. Returns what [`Hooks::root_ready`] is told.
    pub root_begin: extern "C" fn() -> u64,
    /// The future is complete. It is given as it was by the program: where
    /// that is a pinned reference to a trait object, its two words.
    pub root_ready: extern "C" fn(root: u64, future: *const [usize; 2]),
    /// An executor keeps a waker for itself, or drops one, only to drop the
    /// task by it: `count` more of them. It keeps it so that the two words
    /// are nowhere in memory.
    pub waker_kept: extern "C" fn(data: *const (), count: i64),
    /// What runs on the thread, the task that is being polled or else the
    /// thread itself, is called by this name: UTF-8, so many bytes.
    pub named: extern "C" fn(name: *const u8, len: usize),
    /// How many tasks are being polled, or wait in a queue to be polled.
    pub tasks_on_their_way: extern "C" fn() -> usize,
    /// The program asks for a snapshot of all threads and tasks, which the
    /// command shows.
    pub snapshot: extern "C" fn(),
    /// What runs on the thread polls a wait for permits of the semaphore at
    /// this address.
    pub permits_wanted: extern "C" fn(semaphore: *const ()),
    /// Such a wait is over: with no permits if the second is 0, or else with
    /// [`SOME_PERMITS`], [`ALL_PERMITS`] or [`UNCOUNTED_PERMITS`].
    pub permits_waited: extern "C" fn(semaphore: *const (), taken: u32),
    /// Permits of the semaphore are being given back.
    pub permits_back: extern "C" fn(semaphore: *const ()),
    /// What runs on the thread polls the join handle at this address, of the task
    /// whose wakers have `data`.
    pub task_joined: extern "C" fn(data: *const (), handle: *const ()),
    /// A static variable has this name, as long as the process lasts.
    pub variable_named: extern "C" fn(addr: usize, size: usize, name: Text),
    /// The calling thread is about to access a field. The texts are kept by
    /// their addresses: they are part of the program.
    pub field_accessed: extern "C" fn(field: *const Field),
    /// The executor is about to drop the task whose wakers have `data` and whose
    /// state is as [`TaskNew::inspect`] says, since it is shut down. Returns what
    /// [`Hooks::task_shut_end`] is told.
    pub task_shut: extern "C" fn(data: *const (), state: u64) -> u64,
    /// It has dropped it, or left that to who polls it.
    pub task_shut_end: extern "C" fn(before: u64),
    /// The task with this number, which was not polled yet, will have wakers with
    /// `data`, and is polled by who has the scheduler at this address, or 0: the
    /// threads of a pool, or if `alone` is not 0 who drives it.
    pub task_placed: extern "C" fn(task: u64, data: *const (), scheduler: usize, alone: u32),
    /// The calling thread begins to block on a runtime, whose handle is these words.
    pub runtime_driven: extern "C" fn(handle: *const usize, words: usize),
    /// It is back from the last one that it has begun.
    pub runtime_left: extern "C" fn(),
    /// Who polls a join handle is given what the task has ended with whose wakers
    /// have `data`.
    pub task_heard: extern "C" fn(data: *const ()),
    /// The task whose wakers have `data` is at [`POLL`] or at [`WAIT`]. Returns
    /// [`GOES_ON`], [`GIVES_WAY`], if it is to be polled again after others, or
    /// [`UNEXPLORED`], if nobody need ask again in this process.
    pub task_gives_way: extern "C" fn(data: *const (), point: u32) -> u32,
    /// The calling thread has nothing to poll, and is about to wait in a function that
    /// the caller of this one calls next.
    pub thread_rests: extern "C" fn(),
}

/// UTF-8 of the program's.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text {
    /// The first byte.
    pub start: *const u8,
    /// How many.
    pub len: usize,
}

/// A field that is about to be accessed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Field {
    /// Where it is.
    pub addr: usize,
    /// Bytes that are accessed.
    pub size: usize,
    /// The type that has it.
    pub owner: Text,
    /// What that type is called; empty if its own name is all.
    pub name: Text,
    /// The field.
    pub field: Text,
    /// The file of the access.
    pub file: Text,
    /// Its line.
    pub line: u32,
}

/// Others may have permits at the same time.
pub const SOME_PERMITS: u32 = 1;
/// They are all that there are: nobody else has any meanwhile.
pub const ALL_PERMITS: u32 = 2;
/// How many there are has changed: the semaphore is no lock.
pub const UNCOUNTED_PERMITS: u32 = 3;

/// The task is polled.
pub const POLL: u32 = 0;
/// It is about to take what it waits for, if that is there.
pub const WAIT: u32 = 1;

/// The task goes on.
pub const GOES_ON: u32 = 0;
/// It lets others go before it.
pub const GIVES_WAY: u32 = 1;
/// No other schedules are to be seen.
pub const UNEXPLORED: u32 = 2;

/// The poll returned, and the task is to be polled again.
pub const PENDING: u32 = 0;
/// The task is complete.
pub const READY: u32 = 1;
/// The poll panicked.
pub const PANICKED: u32 = 2;

/// What is known of a task when it is spawned.
#[repr(C)]
pub struct TaskNew {
    /// Type of its future: UTF-8, alive for good.
    pub type_name: *const u8,
    /// Bytes of it.
    pub type_name_len: usize,
    /// Bytes of the future.
    pub size: usize,
    /// Which executor it is of: [`TOKIO`], [`TOKIO_LOCAL`], [`ASYNC_TASK`],
    /// [`ASYNC_TASK_LOCAL`].
    pub executor: u32,
    /// Which of the two words of a waker is its data pointer.
    pub data_word: u32,
    /// Reads the state of a task that has not been dropped, given the data
    /// pointer of its wakers.
    pub inspect: extern "C" fn(data: *const ()) -> u64,
    /// If the future is a box of any type: the function that polls what is in it;
    /// else 0.
    pub poll: usize,
}

/// A task of tokio's.
pub const TOKIO: u32 = 0;
/// A task of the crate async-task, which smol and async-std are built on.
pub const ASYNC_TASK: u32 = 1;
/// One of tokio's that a `LocalSet` polls, on one thread.
pub const TOKIO_LOCAL: u32 = 2;
/// One of async-task's that may have to stay on one thread.
pub const ASYNC_TASK_LOCAL: u32 = 3;

/// In the result of [`TaskNew::inspect`]: the task is waiting in a queue to be
/// polled.
pub const IS_SCHEDULED: u64 = 1;
/// It is being polled.
pub const IS_RUNNING: u64 = 1 << 1;
/// Its future has completed, or was dropped.
pub const IS_COMPLETE: u64 = 1 << 2;
/// It was cancelled.
pub const IS_CANCELLED: u64 = 1 << 3;
/// Its join handle is alive.
pub const HAS_HANDLE: u64 = 1 << 4;
/// Who polls its handle is given its panic.
pub const KEEPS_PANIC: u64 = 1 << 5;
/// How many references there are to the task by which it can be woken, or may
/// be: wakers, and handles that can abort it. The executor's own and the join
/// handle's do not count.
pub const REFERENCES_SHIFT: u32 = 8;
