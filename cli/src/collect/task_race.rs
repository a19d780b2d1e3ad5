//! Which races of tasks that one thread polled are told.
//!
//! On another thread of the runtime the two might have met, if what they access is
//! the same wherever they are. A task that has asked which thread it is on, by a
//! thread-local variable, may have been told what to access.
//!
//! What it misses: a race after such a question that has nothing to do with it.

use leakcheck::report::kind::Kind;
use leakcheck::report::wire;

use super::resolve::Resolver;
use crate::model::{Finding, Frame, FrameClass, Leg, Stack};
use crate::overlay::executors::OVERLAYS;

/// True unless a finding is a race of tasks of which one may have asked for its thread.
pub fn holds(found: &wire::Finding, resolver: &mut Resolver<'_>) -> bool {
    let mut asked = found.asked.iter();
    !asked.any(|asked| asks(&resolver.stack(&asked.stack), asked.pointer))
}

/// True for a read of a thread-local variable by code of the program's, but for
/// what std and an executor need for themselves. Memory that is found by its
/// address is the thread's own as the runtime has seen it.
fn asks(read: &Stack, pointer: bool) -> bool {
    let frames = read.frames();
    let Some(innermost) = frames.first() else {
        return true;
    };
    // Whether the variable is made already.
    if innermost.function.is_within("std::sys::thread_local") {
        return false;
    }
    let at = frames
        .iter()
        .position(|frame| frame.class != FrameClass::Std)
        .unwrap_or(frames.len());
    let (std, callers) = frames.split_at(at);
    let within = |module| std.iter().any(|frame| frame.function.is_within(module));
    let for_itself = ["std::io", "std::sync", "std::panicking", "std::hash"];
    !for_itself.into_iter().any(within)
        && !callers.first().is_some_and(is_executor)
        && (!pointer || within("std::thread::current"))
}

/// True for a race of two tasks of which one side is no code of the user's:
/// what a library does for the task that its thread polls. A runtime or a
/// library may keep something for each thread, and find it by another way than
/// by thread-local variables.
pub fn made_by_library(finding: &Finding) -> bool {
    let own = |leg: &Leg| {
        let frames = leg.stack.frames().iter();
        let acting = frames.clone().find(|frame| frame.class != FrameClass::Std);
        acting.is_some_and(|frame| frame.class == FrameClass::User && !is_executor(frame))
    };
    finding.kind == Kind::TaskRace && !finding.legs.iter().all(own)
}

/// Code of a crate that polls tasks, in its own workspace.
fn is_executor(frame: &Frame) -> bool {
    let krate = frame.function.krate();
    OVERLAYS
        .iter()
        .any(|overlay| overlay.krate.replace('-', "_") == krate)
}
