//! A finding as the renderers read it: names, places and sentences, nothing
//! to look up any more.
//!
//! - [`awaits`]: what a task awaits, as a tree;
//! - [`frame`]: a frame of a stack, and what is folded;
//! - [`finding`]: legs, memory, locks;
//! - [`wait`]: what a thread waits for;
//! - [`task`]: tasks of executors;
//! - [`run`]: tests, crashes, what was not seen;
//! - [`snapshot`]: what is there in a process that goes on.

pub mod awaits;
pub mod finding;
pub mod frame;
pub mod run;
pub mod snapshot;
pub mod task;
pub mod wait;

pub use awaits::Await;
pub use finding::{
    Access, Excuse, Finding, Fingerprint, HeldLock, Lane, LaneId, LaneKind, Leg, LockName, Memory,
    Role, Said, Seen, Shape, SpawnStep, Standing, Thread, ThreadLabel,
};
pub use frame::{Frame, FrameClass, Place, Stack};
pub use run::{Crash, Explored, Gap, GapReason, RunReport, TestId, TestReport};
pub use snapshot::Snapshot;
pub use task::{HeldBy, Task, Woken, executor_name};
pub use wait::{Wait, WaitFor};
