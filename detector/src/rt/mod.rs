//! The runtime's own ground, below the engine: memory, system calls, the
//! thread at hand.
//!
//! - [`mode`]: what is looked for.
//! - [`alloc`]: the runtime's heap; [`pool`]: numbered objects; [`lock`]: a
//!   spin lock.
//! - [`replaceable`]: values that a forked child makes anew.
//! - [`hot`]: what the hottest hooks read of the calling thread.
//! - [`registers`]: what is nowhere in memory while a thread is blocked.
//! - [`sys`]: system calls without the C library; [`time`]: clocks.
//! - [`thread`]: what the runtime keeps for a running thread; [`waiting`]: what
//!   it is blocked on.

pub mod alloc;
pub mod hot;
pub mod lock;
pub mod mode;
pub mod pool;
pub mod registers;
pub mod replaceable;
pub mod sys;
pub mod thread;
pub mod time;
pub mod waiting;
