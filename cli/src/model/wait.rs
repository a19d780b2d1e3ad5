//! What a thread or task waits for, in the words of a report.

use super::finding::{LockName, ThreadLabel};
use super::frame::Stack;

/// What a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// For what.
    pub what: WaitFor,
    /// Since how long, in milliseconds.
    pub for_ms: u64,
    /// True if it ends by itself.
    pub timed: bool,
    /// The lock, if it is one and a cycle names it.
    pub lock: Option<LockName>,
    /// Who must act for it to end.
    pub owner: Option<ThreadLabel>,
    /// Where that one acquired it.
    pub acquired: Stack,
}

/// What a thread can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitFor {
    /// A mutex.
    Mutex,
    /// A reader-writer lock, to read.
    RwLockRead,
    /// A reader-writer lock, to write.
    RwLockWrite,
    /// A notification on a condition variable.
    Condvar,
    /// Other threads at a barrier.
    Barrier,
    /// The initialisation in a `Once`, `OnceLock`, `LazyLock`.
    Once,
    /// A message on a channel.
    ChannelRecv,
    /// Room in a full channel.
    ChannelSend,
    /// One of several channels.
    ChannelSelect,
    /// The end of a thread.
    Join,
    /// The end of the threads of a scope.
    Scope,
    /// `unpark`.
    Park,
    /// A child process.
    Child,
    /// A future that an executor drives.
    Future,
    /// A sleep.
    Sleep,
    /// A connection.
    Accept,
    /// Data from a file descriptor.
    Io,
    /// A lock word of unknown use.
    Futex,
    /// Nothing: it runs.
    Running,
    /// A notification of a `Notify` or event.
    Notify,
    /// A permit of a semaphore.
    Semaphore,
    /// The other end of a channel to close.
    ChannelClosed,
    /// The end of a task.
    Task,
    /// A signal.
    Signal,
    /// To be polled.
    Turn,
    /// Nothing that could ever come: it left no waker anywhere.
    Nothing,
}

impl WaitFor {
    /// After a subject: `waits for a message on a channel`.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Mutex => "waits to lock a mutex",
            Self::RwLockRead => "waits to read-lock an RwLock",
            Self::RwLockWrite => "waits to write-lock an RwLock",
            Self::Condvar => "waits for a notification on a condition variable",
            Self::Barrier => "waits for other threads at a barrier",
            Self::Once => "waits for a one-time initialisation",
            Self::ChannelRecv => "waits for a message on a channel",
            Self::ChannelSend => "waits for room in a full channel",
            Self::ChannelSelect => "waits for one of several channels",
            Self::Join => "waits for a thread to end",
            Self::Scope => "waits for the threads of a scope to end",
            Self::Park => "is parked",
            Self::Child => "waits for a child process",
            Self::Future => "waits for a future to complete",
            Self::Sleep => "sleeps",
            Self::Accept => "waits for a connection",
            Self::Io => "waits for I/O",
            Self::Futex => "waits on a futex",
            Self::Running => "is still running",
            Self::Notify => "waits for a notification",
            Self::Semaphore => "waits for a permit of a semaphore",
            Self::ChannelClosed => "waits for the other end of a channel to close",
            Self::Task => "waits for a task to end",
            Self::Signal => "waits for a signal",
            Self::Turn => "waits for its turn",
            Self::Nothing => "waits for what never comes",
        }
    }

    /// The `wait` of the JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mutex => "mutex",
            Self::RwLockRead => "rwlock-read",
            Self::RwLockWrite => "rwlock-write",
            Self::Condvar => "condvar",
            Self::Barrier => "barrier",
            Self::Once => "once",
            Self::ChannelRecv => "channel-recv",
            Self::ChannelSend => "channel-send",
            Self::ChannelSelect => "channel-select",
            Self::Join => "join",
            Self::Scope => "scope",
            Self::Park => "park",
            Self::Child => "child-process",
            Self::Future => "future",
            Self::Sleep => "sleep",
            Self::Accept => "accept",
            Self::Io => "io",
            Self::Futex => "futex",
            Self::Running => "running",
            Self::Notify => "notify",
            Self::Semaphore => "semaphore",
            Self::ChannelClosed => "channel-closed",
            Self::Task => "task",
            Self::Signal => "signal",
            Self::Turn => "turn",
            Self::Nothing => "nothing",
        }
    }

    /// True for what one thread holds and another wants.
    pub const fn is_lock(self) -> bool {
        match self {
            Self::Mutex | Self::RwLockRead | Self::RwLockWrite | Self::Once => true,
            Self::Condvar
            | Self::Barrier
            | Self::ChannelRecv
            | Self::ChannelSend
            | Self::ChannelSelect
            | Self::Join
            | Self::Scope
            | Self::Park
            | Self::Child
            | Self::Future
            | Self::Sleep
            | Self::Accept
            | Self::Io
            | Self::Futex
            | Self::Running
            | Self::Notify
            | Self::Semaphore
            | Self::ChannelClosed
            | Self::Task
            | Self::Signal
            | Self::Turn
            | Self::Nothing => false,
        }
    }
}
