//! Which of the orders that the runtime tells of are orders of locks.
//!
//! The runtime sees words that change as a lock's does. Whose function changed
//! them the stack tells: what is no lock's is no order of locks, a lock that is
//! only tried makes nobody wait, and a reader does not wait for a reader.

use std::collections::BTreeSet;

use leakcheck::report::kind::Kind;
use leakcheck::report::wire::{self, STACK_FRAMES, WaitOn};

use super::resolve::Resolver;
use crate::model::{Frame, FrameClass, Stack};

/// How a lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Alone.
    Alone,
    /// With other readers.
    Shared,
    /// With readers, but alone among those that may become writers.
    Upgradable,
}

impl Mode {
    /// True if who has the lock so keeps out who wants it as `wanted`.
    fn keeps_out(self, wanted: Self) -> bool {
        match (self, wanted) {
            (Self::Alone, _) | (_, Self::Alone) | (Self::Upgradable, Self::Upgradable) => true,
            (Self::Shared, Self::Shared | Self::Upgradable) | (Self::Upgradable, Self::Shared) => {
                false
            }
        }
    }
}

/// A function that takes a lock.
struct Api {
    krate: &'static str,
    tail: &'static [&'static str],
    mode: Mode,
    /// It waits for the lock, for as long as it takes.
    waits: bool,
}

const fn takes(krate: &'static str, tail: &'static [&'static str], mode: Mode) -> Api {
    Api {
        krate,
        tail,
        mode,
        waits: true,
    }
}

const fn tries(krate: &'static str, tail: &'static [&'static str], mode: Mode) -> Api {
    Api {
        krate,
        tail,
        mode,
        waits: false,
    }
}

/// The functions of std, lock_api and tokio that take locks.
const APIS: &[Api] = &[
    takes("std", &["Mutex", "lock"], Mode::Alone),
    tries("std", &["Mutex", "try_lock"], Mode::Alone),
    takes("std", &["ReentrantLock", "lock"], Mode::Alone),
    tries("std", &["ReentrantLock", "try_lock"], Mode::Alone),
    takes("std", &["RwLock", "read"], Mode::Shared),
    tries("std", &["RwLock", "try_read"], Mode::Shared),
    takes("std", &["RwLock", "write"], Mode::Alone),
    tries("std", &["RwLock", "try_write"], Mode::Alone),
    // It takes its lock again.
    takes("std", &["Condvar", "wait"], Mode::Alone),
    takes("std", &["Condvar", "wait_while"], Mode::Alone),
    takes("std", &["Condvar", "wait_timeout"], Mode::Alone),
    takes("lock_api", &["Mutex", "lock"], Mode::Alone),
    takes("lock_api", &["Mutex", "lock_arc"], Mode::Alone),
    tries("lock_api", &["Mutex", "try_lock"], Mode::Alone),
    tries("lock_api", &["Mutex", "try_lock_arc"], Mode::Alone),
    tries("lock_api", &["Mutex", "try_lock_for"], Mode::Alone),
    tries("lock_api", &["Mutex", "try_lock_until"], Mode::Alone),
    takes("lock_api", &["ReentrantMutex", "lock"], Mode::Alone),
    tries("lock_api", &["ReentrantMutex", "try_lock"], Mode::Alone),
    takes("lock_api", &["RwLock", "read"], Mode::Shared),
    takes("lock_api", &["RwLock", "read_arc"], Mode::Shared),
    takes("lock_api", &["RwLock", "read_recursive"], Mode::Shared),
    tries("lock_api", &["RwLock", "try_read"], Mode::Shared),
    tries("lock_api", &["RwLock", "try_read_for"], Mode::Shared),
    takes("lock_api", &["RwLock", "write"], Mode::Alone),
    takes("lock_api", &["RwLock", "write_arc"], Mode::Alone),
    tries("lock_api", &["RwLock", "try_write"], Mode::Alone),
    tries("lock_api", &["RwLock", "try_write_for"], Mode::Alone),
    takes("lock_api", &["RwLock", "upgradable_read"], Mode::Upgradable),
    tries(
        "lock_api",
        &["RwLock", "try_upgradable_read"],
        Mode::Upgradable,
    ),
    takes("lock_api", &["Condvar", "wait"], Mode::Alone),
    takes("lock_api", &["Condvar", "wait_while"], Mode::Alone),
    takes("parking_lot", &["Condvar", "wait"], Mode::Alone),
    takes("parking_lot", &["Condvar", "wait_while"], Mode::Alone),
    takes("tokio", &["Mutex", "lock"], Mode::Alone),
    takes("tokio", &["Mutex", "lock_owned"], Mode::Alone),
    takes("tokio", &["RwLock", "read"], Mode::Shared),
    takes("tokio", &["RwLock", "read_owned"], Mode::Shared),
    takes("tokio", &["RwLock", "write"], Mode::Alone),
    takes("tokio", &["RwLock", "write_owned"], Mode::Alone),
    // Whether the number of permits makes it a lock, the runtime has seen.
    takes("tokio", &["Semaphore", "acquire"], Mode::Alone),
    takes("tokio", &["Semaphore", "acquire_many"], Mode::Alone),
    takes("tokio", &["Semaphore", "acquire_owned"], Mode::Alone),
    takes("tokio", &["Semaphore", "acquire_many_owned"], Mode::Alone),
];

/// How the lock is taken that is taken with this stack, if it is one; and
/// whether the thread would have waited for it.
fn taken(on: WaitOn, stack: &Stack) -> Option<(Mode, bool)> {
    match on {
        // The runtime is in the place of the C library's function.
        WaitOn::Mutex | WaitOn::RwLockWrite => return Some((Mode::Alone, true)),
        WaitOn::RwLockRead => return Some((Mode::Shared, true)),
        WaitOn::Condvar
        | WaitOn::Park
        | WaitOn::Join
        | WaitOn::Futex
        | WaitOn::Sleep
        | WaitOn::Io
        | WaitOn::Running
        | WaitOn::OtherEnd => {}
    }
    let frames = stack.frames();
    let libraries = frames
        .iter()
        .take_while(|frame| frame.class != FrameClass::User);
    let (at, api) = libraries.enumerate().find_map(|(at, frame)| {
        let api = APIS
            .iter()
            .find(|api| frame.function.is(api.krate, api.tail))?;
        Some((at, api))
    })?;
    // What std locks inside is its own affair.
    let caller = frames[at..].iter().find(|frame| {
        !APIS
            .iter()
            .any(|api| frame.function.is(api.krate, api.tail))
    })?;
    (caller.class != FrameClass::Std).then_some((api.mode, api.waits))
}

/// True if a lock that makes no thread wait is taken with this stack.
fn is_async(stack: &Stack) -> bool {
    let frames = stack.frames().iter();
    frames
        .take_while(|frame| frame.class != FrameClass::User)
        .any(|frame| frame.function.krate() == "tokio")
}

/// True unless what takes a lock with this stack of so many calls may be a branch of a
/// task, which waits beside others: a lock that one of these has is given back all the
/// same. Who blocks a thread on it lets nothing go on that is further out.
fn is_alone(stack: &Stack, calls: usize) -> bool {
    let blocks = |frame: &Frame| {
        let path = frame.function.path();
        frame.class == FrameClass::Dependency && path.split("::").any(|part| part == "block_on")
    };
    let polls = |frame: &Frame| {
        let path = frame.function.path();
        match frame.class {
            // All that drives a future does so by a function of this name, and one
            // future drives one other as a rule by `.await`.
            FrameClass::User | FrameClass::Dependency => {
                let name = path.rsplit("::").next();
                name.is_some_and(|name| name.starts_with("poll"))
            }
            FrameClass::Runtime => false,
            FrameClass::Std => path.contains("future::poll_fn::") || path.contains("future::join"),
        }
    };
    let frames = stack.frames();
    let blocked = frames.iter().position(blocks);
    let inside = &frames[..blocked.unwrap_or(frames.len())];
    (blocked.is_some() || calls < STACK_FRAMES) && !inside.iter().any(polls)
}

/// True if a finding is what it says it is, as far as orders of locks go.
pub fn holds(found: &wire::Finding, resolver: &mut Resolver<'_>) -> bool {
    if found.kind != Kind::LockOrder {
        return true;
    }
    found.legs.iter().all(|leg| {
        let Some(wait) = &leg.wait else { return false };
        let stack = resolver.stack(&leg.stack);
        let may_go_on = is_async(&stack) && !is_alone(&stack, leg.stack.len());
        let wanted = taken(wait.on, &stack).filter(|_| !may_go_on);
        let had = taken(wait.on, &resolver.stack(&wait.acquired_at));
        match (wanted, had) {
            (Some((wanted, true)), Some((had, _))) => had.keeps_out(wanted),
            (Some((_, false)) | None, _) | (_, None) => false,
        }
    })
}

/// The locks of a cycle, and of what kind it is.
fn locks(found: &wire::Finding) -> BTreeSet<Option<u64>> {
    let waits = found.legs.iter();
    waits
        .map(|leg| leg.wait.as_ref().and_then(|wait| wait.addr))
        .collect()
}

/// True if an order of locks has become a deadlock in the same process, which
/// tells it better.
pub fn is_told_by_a_deadlock(found: &wire::Finding, all: &[wire::Finding]) -> bool {
    let deadlock =
        |other: &&wire::Finding| other.kind == Kind::Deadlock && locks(other) == locks(found);
    found.kind == Kind::LockOrder && all.iter().any(|other| deadlock(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STD: (&str, FrameClass) = ("std::sync::poison::mutex::Mutex<T>::lock", FrameClass::Std);
    const USER: (&str, FrameClass) = ("bank::transfer", FrameClass::User);

    #[test]
    fn the_function_of_the_lock_decides() {
        let of = |frames: &[(&str, FrameClass)]| taken(WaitOn::Futex, &Stack::of_test(frames));
        assert_eq!(of(&[STD, USER]), Some((Mode::Alone, true)));
        assert_eq!(of(&[USER, STD]), None);
        let read = (
            "std::sync::poison::rwlock::RwLock<T>::try_read",
            FrameClass::Std,
        );
        assert_eq!(of(&[read, USER]), Some((Mode::Shared, false)));
        let own = ("std::io::stdio::Stdout::lock", FrameClass::Std);
        assert_eq!(of(&[STD, own, USER]), None);
        let again = ("std::sync::poison::condvar::Condvar::wait", FrameClass::Std);
        assert_eq!(of(&[STD, again, USER]), Some((Mode::Alone, true)));
    }

    #[test]
    fn what_drives_several_futures_may_give_a_lock_back() {
        const LOCK: (&str, FrameClass) = (
            "tokio::sync::mutex::Mutex::lock::{closure}",
            FrameClass::Dependency,
        );
        const BLOCKS: (&str, FrameClass) =
            ("tokio::future::block_on::block_on", FrameClass::Dependency);
        const POLLS: (&str, FrameClass) = (
            "tokio::runtime::blocking::task::BlockingTask::poll",
            FrameClass::Dependency,
        );
        const JOINS: (&str, FrameClass) = ("core::future::poll_fn::PollFn::poll", FrameClass::Std);
        let alone = |frames: &[(&str, FrameClass)]| is_alone(&Stack::of_test(frames), 9);
        assert!(alone(&[LOCK, USER]));
        assert!(!alone(&[LOCK, USER, JOINS, USER]));
        assert!(!alone(&[LOCK, USER, POLLS]));
        assert!(alone(&[LOCK, BLOCKS, USER, POLLS]));
        assert!(!alone(&[LOCK, USER, JOINS, BLOCKS, USER]));
        let long = |frames| is_alone(&Stack::of_test(frames), STACK_FRAMES);
        assert!(!long(&[LOCK, USER]));
        assert!(long(&[LOCK, BLOCKS, USER]));
    }

    #[test]
    fn readers_let_readers_in() {
        assert!(!Mode::Shared.keeps_out(Mode::Shared));
        assert!(!Mode::Upgradable.keeps_out(Mode::Shared));
        assert!(!Mode::Shared.keeps_out(Mode::Upgradable));
        assert!(Mode::Upgradable.keeps_out(Mode::Upgradable));
        assert!(Mode::Shared.keeps_out(Mode::Alone));
        assert!(Mode::Alone.keeps_out(Mode::Shared));
    }
}
