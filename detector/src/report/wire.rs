//! The wire file: what a process under leakcheck saw, for the command to read.
//!
//! The runtime appends one JSON object a line to
//! `$LEAKCHECK_WIRE_DIR/<pid>-<nonce>.ndjson`, each with a single `write`, so
//! that a crash loses nothing that was found before it. A line without its
//! newline is the truncated last record of a killed process.
//!
//! Addresses are looked up by the reader. A [`Pc`] is already inside the call
//! instruction (return address − 1), so it is looked up as it is. The
//! [`Module`] records tell which file is mapped where; they precede the
//! first record that has a pc inside them.
//!
//! What it misses: the process knows addresses only; names of functions,
//! files, variables and types come from the DWARF and symbol tables of the
//! modules, read by the command.

use serde::{Deserialize, Serialize};

use super::kind::{Certainty, Kind};

/// Version of this format; the reader refuses another.
pub const WIRE_SCHEMA: u32 = 1;

/// Environment variable that names the directory of the wire files.
pub const WIRE_DIR_ENV: &str = "LEAKCHECK_WIRE_DIR";

/// Environment variable: milliseconds that a thread may take to end after the
/// test is over, where no event tells sooner. Default 1000.
pub const GRACE_ENV: &str = "LEAKCHECK_GRACE_MS";
/// Environment variable: set if tasks that one thread polls are not to be looked at
/// as threads of their own.
pub const NO_TASK_RACES_ENV: &str = "LEAKCHECK_NO_TASK_RACES";
/// Environment variable: the seed of the pauses of `--explore`.
pub const EXPLORE_ENV: &str = "LEAKCHECK_EXPLORE_SEED";

/// The process that starts a test, as a number: nobody else knows the test's
/// process, to send it signals.
pub const SUPERVISOR_ENV: &str = "LEAKCHECK_SUPERVISOR";

/// Set if no guard of parking_lot's can go to another thread: the crate was
/// built without its feature `send_guard`.
pub const GUARDS_STAY_ENV: &str = "LEAKCHECK_GUARDS_STAY";

/// Environment variable: the number of the signal that asks for a snapshot.
pub const SNAPSHOT_ENV: &str = "LEAKCHECK_SNAPSHOT_SIGNAL";

/// Extension of the file of a snapshot, beside the wire file; it is there once
/// it is whole. Its records are those of a wire file.
pub const SNAPSHOT_EXTENSION: &str = "snapshot";

/// In the runtime's object: what it looks for, as the last byte says. The
/// command changes that byte to [`NO_RACES`] in the object for programs that are
/// not instrumented.
pub const RACES_MARK: [u8; 24] = *b"leakcheck, races looked+";

/// The last byte of [`RACES_MARK`] where races are left out.
pub const NO_RACES: u8 = b'-';

/// An address inside the instruction that was executing.
pub type Pc = u64;

/// A call stack, innermost frame first.
pub type Stack = Vec<Pc>;

/// Frames kept of a stack: one with as many may go on.
pub const STACK_FRAMES: usize = 30;

/// Number of a thread or task, unique in its process: 0 is the main thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ThreadId(pub u32);

/// One line of a wire file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// First line.
    Start(Start),
    /// A mapped file with code or static data.
    Module(Module),
    /// A thread, written before the first record that mentions it, and again
    /// when it is mentioned under a new name.
    Thread(Thread),
    /// When the records after this one were written.
    Time(Time),
    /// When a thread or task lived: written for those of a finding, as it was
    /// then, and at the end of such a process for all.
    Lane(Lane),
    /// Something found.
    Finding(Finding),
    /// A thread or task that is there: in the file of a snapshot alone.
    Present(Leg),
    /// The process dies of a signal (SIGSEGV, SIGBUS, SIGABRT …).
    Crash(Crash),
    /// Something that was not seen.
    Gap(Gap),
    /// Last line of a process that ended in good order.
    End(End),
}

/// Which process this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// [`WIRE_SCHEMA`].
    pub schema: u32,
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub ppid: u32,
    /// Path of the executable.
    pub exe: String,
    /// True in the child of a `fork` without exec.
    pub forked: bool,
}

/// A mapped file. `pc - start + offset` is the file offset; `pc - bias` is the
/// address that DWARF and the symbol table use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Path of the file.
    pub path: String,
    /// Load bias: run-time address − address in the file.
    pub bias: u64,
    /// Lowest address of its loaded segments.
    pub start: u64,
    /// One past the highest address of its loaded segments.
    pub end: u64,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its number.
    pub id: ThreadId,
    /// Its name, if it has one (the kernel keeps 15 bytes of it).
    pub name: Option<String>,
    /// Who spawned it; none for the main thread.
    pub parent: Option<ThreadId>,
    /// Where it was spawned: the stack of the spawner.
    pub spawned_at: Stack,
    /// True once it has ended.
    pub finished: bool,
    /// What it is, if it is no thread of the system but a task that an
    /// executor polls. Tasks and threads share their numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskType>,
}

/// What a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskType {
    /// Type of its future.
    pub future: String,
    /// Where that is a box of any type: the function that polls what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Pc>,
    /// Whose it is.
    pub executor: Executor,
}

/// Libraries whose tasks are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// tokio.
    Tokio,
    /// The crate async-task: smol, async-executor, async-std.
    AsyncTask,
}

/// A moment, in microseconds of the monotonic clock, which all processes of a
/// machine share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    /// The moment.
    pub us: u64,
}

/// The life of a thread or task, in microseconds of the monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The thread.
    pub thread: ThreadId,
    /// Its name.
    pub name: Option<String>,
    /// Who spawned it; none for the main thread.
    pub parent: Option<ThreadId>,
    /// Where.
    pub spawned_at: Stack,
    /// What it is, if it is a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskType>,
    /// When it was created.
    pub started_us: u64,
    /// When it ended, if it has.
    pub ended_us: Option<u64>,
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub kind: Kind,
    /// How sure.
    pub certainty: Certainty,
    /// The two accesses of a race (the later first), the leaked thread, or
    /// the threads of a cycle in the order owner ← waiter (leg n waits for
    /// what leg n+1 owns, the last for what the first owns).
    pub legs: Vec<Leg>,
    /// What the memory of a race is.
    pub memory: Option<Memory>,
    /// What tracked code says of that memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
    /// True when all threads of the process are stuck, and it was ended.
    pub fatal: bool,
    /// For two tasks that one thread polled: what the later one has read of that
    /// thread's own variables in the same poll, before the access or in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
}

/// A read of a thread-local variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Where it was read; empty if the history no longer has it.
    pub stack: Stack,
    /// What was read is the address of a heap block.
    pub pointer: bool,
}

/// One side of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// The thread.
    pub thread: ThreadId,
    /// Its stack at that point; empty if the history no longer has it.
    pub stack: Stack,
    /// The access, for a leg of a race.
    pub access: Option<Access>,
    /// The locks that the thread held there.
    pub locks: Vec<Lock>,
    /// What the thread waits for, for a leaked or stuck one.
    pub wait: Option<Wait>,
    /// How a task is, for a leaked or stuck one. The stack is then what it
    /// awaited when it last left its waker somewhere, as far as its own poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskStatus>,
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// What it does.
    pub state: TaskState,
    /// Why it can never run again, where that is proved.
    pub proof: Option<Proof>,
    /// When it was looked at.
    pub moment: Moment,
    /// How often it was polled.
    pub polls: u64,
    /// Polls since it last left its waker somewhere: it may wait for
    /// something else by now.
    pub polls_since: u64,
    /// Milliseconds since it was spawned.
    pub age_ms: u64,
    /// Milliseconds since its last poll ended.
    pub idle_ms: u64,
    /// Its join handle is alive.
    pub handle: bool,
    /// Wakers of it, and handles that could abort it.
    pub references: u64,
    /// Tasks and threads that keep what it waits on. Of one that never runs again
    /// they are tasks that nothing wakes either: itself, if nobody else does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<ThreadId>,
    /// They can still run.
    #[serde(default)]
    pub held_live: bool,
    /// Where a static variable keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_at: Option<u64>,
    /// Memory that nobody has keeps it.
    #[serde(default)]
    pub held_by_leak: bool,
    /// Milliseconds for which it has been in each call of what it awaits, innermost
    /// first as in its stack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaits_ms: Vec<u64>,
    /// What else it awaited then: the branches of a `select!` or `join!`.
    pub branches: Vec<Stack>,
    /// As `awaits_ms`, of each branch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches_ms: Vec<Vec<u64>>,
    /// Who woke it last.
    pub woken: Option<Woken>,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// It was never polled.
    New,
    /// It is to be polled.
    Scheduled,
    /// It is being polled.
    Running,
    /// It waits to be woken.
    Waiting,
    /// Its last poll panicked.
    Panicked,
}

/// Why a task can never run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Nobody has a waker of it.
    NoWaker,
    /// Nothing that can still run reaches one of its wakers.
    Unreachable,
}

/// When a task was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Its executor was about to drop it.
    Shutdown,
    /// The process ended.
    Exit,
    /// Somebody asked.
    Request,
}

/// Who woke a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Woken {
    /// Who.
    pub by: ThreadId,
    /// Where.
    pub stack: Stack,
    /// Milliseconds ago.
    pub ago_ms: u64,
}

/// How memory was accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Read, write …
    pub op: AccessOp,
    /// True for an atomic access.
    pub atomic: bool,
    /// Address of the first byte.
    pub addr: u64,
    /// Bytes.
    pub size: u64,
    /// When it was, for the earlier access of a race.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<Period>,
}

/// When something was, as far as it is known: microseconds of the monotonic
/// clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Not before this.
    pub from_us: u64,
    /// Not after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_us: Option<u64>,
}

/// What an access does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessOp {
    /// Reads.
    Read,
    /// Writes, or reads and writes.
    Write,
    /// Gives a heap block back.
    Free,
    /// Returns from the function whose stack slot it is.
    Return,
}

/// What tracked code says of memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Said {
    /// The static variable has this name.
    Variable {
        /// The name.
        name: String,
    },
    /// The thread of the first leg was about to access a field.
    Field {
        /// The type that has it.
        owner: String,
        /// What that type is called, by the attribute.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The field.
        field: String,
        /// File of the access, as the compiler was given it.
        file: String,
        /// Its line.
        line: u32,
    },
}

/// What a piece of memory is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Memory {
    /// A static variable; named by the reader from the symbol table.
    Static {
        /// The address.
        addr: u64,
    },
    /// A heap block.
    Heap {
        /// The address inside it.
        addr: u64,
        /// Start of the block.
        start: u64,
        /// Requested size in bytes.
        size: u64,
        /// Who allocated it.
        thread: ThreadId,
        /// Where.
        stack: Stack,
    },
    /// The stack of a thread.
    Stack {
        /// The address.
        addr: u64,
        /// Whose.
        thread: ThreadId,
    },
    /// A thread-local variable.
    ThreadLocal {
        /// The address.
        addr: u64,
        /// Whose.
        thread: ThreadId,
        /// Where the module has the first value of these bytes, as loaded; the
        /// variable is named by the reader from the symbol table.
        initial: Option<u64>,
    },
    /// Mapped by `mmap`.
    Mapped {
        /// The address.
        addr: u64,
    },
    /// Not known.
    Unknown {
        /// The address.
        addr: u64,
    },
}

/// A lock that a thread holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Address of the lock word; equal addresses are one lock.
    pub addr: u64,
    /// Where it was acquired.
    pub stack: Stack,
    /// Held for reading only (RwLock).
    pub shared: bool,
}

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// On what.
    pub on: WaitOn,
    /// Since how long, in milliseconds.
    pub for_ms: u64,
    /// True if it ends by itself (a timeout).
    pub timed: bool,
    /// The address waited on, if any: lock word, futex.
    pub addr: Option<u64>,
    /// The thread that must act for it to end, where known.
    pub owner: Option<ThreadId>,
    /// Where that thread acquired what is waited for.
    pub acquired_at: Stack,
}

/// What kind of object a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitOn {
    /// A mutex (std, parking_lot, pthread).
    Mutex,
    /// A reader-writer lock, for reading.
    RwLockRead,
    /// A reader-writer lock, for writing.
    RwLockWrite,
    /// A condition variable.
    Condvar,
    /// `park`, or a channel that parks: told apart by the stack.
    Park,
    /// The end of another thread.
    Join,
    /// A futex of unknown use: told apart by the stack.
    Futex,
    /// A sleep.
    Sleep,
    /// A file descriptor: read, accept, poll, epoll_wait …
    Io,
    /// Nothing: it runs.
    Running,
    /// What the owner has the other end of, or would notify, as memory tells.
    OtherEnd,
}

/// A process that dies of a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// Signal number.
    pub signal: i32,
    /// Fault address of SIGSEGV and SIGBUS.
    pub addr: Option<u64>,
    /// The thread, and its stack.
    pub thread: ThreadId,
    /// Its stack.
    pub stack: Stack,
    /// True if the fault is in the guard page of the thread's stack.
    pub stack_overflow: bool,
}

/// Something that was not seen, so that "clean" can say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Which.
    pub gap: GapKind,
    /// How many.
    pub count: u64,
    /// A path or name, where there is one.
    pub detail: Option<String>,
}

/// What can go unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// A shared library whose code is not instrumented.
    UninstrumentedLibrary,
    /// A race was found but its earlier stack had left the history.
    HistoryLost,
    /// Threads that ended long ago and were forgotten to reuse their slot.
    ForgottenThreads,
    /// Memory outside the shadow: accesses there are not checked.
    UnshadowedMemory,
    /// Findings beyond the limit of one process, not written.
    FindingsDropped,
    /// A wire write that failed.
    WireWriteFailed,
    /// Data races, in a process that was not instrumented.
    RacesLeftOut,
}

/// A process that ended in good order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Exit status.
    pub status: i32,
    /// By `_exit` or `quick_exit`, without the check for leaked threads.
    pub abrupt: bool,
    /// Threads created in all.
    pub threads: u64,
}
