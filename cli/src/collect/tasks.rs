//! What a task is called, and what it waits for.
//!
//! A task has the type of its future for a name: the async function that was
//! spawned, or the function around the async block. What it waits for, the
//! frames between its own code and the place where it left its waker tell.

use leakcheck::report::wire::{self, TaskState};

use super::resolve::Resolver;
use crate::model::{FrameClass, HeldBy, Stack, Task, Wait, WaitFor, Woken, awaits};
use crate::symbolize::function::FunctionName;

/// Types around the future that a program spawned, and which of their type
/// arguments it is.
const WRAPPERS: &[(&str, usize)] = &[
    ("tokio::runtime::blocking::task::BlockingTask<", 0),
    ("tokio::task::task_local::TaskLocalFuture<", 1),
    ("tokio::time::timeout::Timeout<", 0),
    ("tracing::instrument::Instrumented<", 0),
    ("core::pin::Pin<alloc::boxed::Box<", 0),
    ("async_executor::AsyncCallOnDrop<", 0),
    ("async_std::task::builder::SupportTaskLocals<", 0),
    ("leakcheck::track::task::Tracked<", 0),
];

/// The name of a task, from the type of its future.
pub fn name(future: &str) -> String {
    let mut future = future;
    while let Some(inner) = WRAPPERS.iter().find_map(|&(wrapper, index)| {
        let arguments = future.strip_prefix(wrapper)?;
        argument(arguments, index)
    }) {
        future = inner;
    }
    let future = future.strip_suffix("::{{closure}}").unwrap_or(future);
    FunctionName::from_demangled(future).path().to_owned()
}

/// One of the type arguments that begin here, from 0.
fn argument(arguments: &str, index: usize) -> Option<&str> {
    let mut left = index;
    let mut begin = 0;
    let mut depth = 0usize;
    let mut last = ' ';
    for (at, c) in arguments.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if last == '-' => {}
            '>' | ',' if depth == 0 && left == 0 => return Some(arguments[begin..at].trim()),
            ',' if depth == 0 => {
                left -= 1;
                begin = at + 1;
            }
            '>' if depth == 0 => return None,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        last = c;
    }
    None
}

/// A function that waits: module or crate, last segments of its path, for
/// what.
struct Api(&'static str, &'static [&'static str], WaitFor);

/// The functions and futures of known crates.
const APIS: &[Api] = &[
    Api("tokio::sync::mpsc", &["recv"], WaitFor::ChannelRecv),
    Api("tokio::sync::mpsc", &["recv_many"], WaitFor::ChannelRecv),
    Api("tokio::sync::mpsc", &["poll_recv"], WaitFor::ChannelRecv),
    Api("tokio::sync::mpsc", &["send"], WaitFor::ChannelSend),
    Api("tokio::sync::mpsc", &["reserve"], WaitFor::ChannelSend),
    Api("tokio::sync::mpsc", &["reserve_many"], WaitFor::ChannelSend),
    Api(
        "tokio::sync::mpsc",
        &["reserve_owned"],
        WaitFor::ChannelSend,
    ),
    Api("tokio::sync::mpsc", &["closed"], WaitFor::ChannelClosed),
    Api(
        "tokio::sync::oneshot",
        &["Receiver", "poll"],
        WaitFor::ChannelRecv,
    ),
    Api("tokio::sync::oneshot", &["closed"], WaitFor::ChannelClosed),
    Api("tokio::sync::broadcast", &["recv"], WaitFor::ChannelRecv),
    Api("tokio::sync::watch", &["changed"], WaitFor::ChannelRecv),
    Api("tokio::sync::watch", &["wait_for"], WaitFor::ChannelRecv),
    Api("tokio::sync::watch", &["closed"], WaitFor::ChannelClosed),
    Api("tokio::sync::mutex", &["lock"], WaitFor::Mutex),
    Api("tokio::sync::mutex", &["lock_owned"], WaitFor::Mutex),
    Api("tokio::sync::rwlock", &["read"], WaitFor::RwLockRead),
    Api("tokio::sync::rwlock", &["read_owned"], WaitFor::RwLockRead),
    Api("tokio::sync::rwlock", &["write"], WaitFor::RwLockWrite),
    Api(
        "tokio::sync::rwlock",
        &["write_owned"],
        WaitFor::RwLockWrite,
    ),
    Api("tokio::sync::semaphore", &["acquire"], WaitFor::Semaphore),
    Api(
        "tokio::sync::semaphore",
        &["acquire_many"],
        WaitFor::Semaphore,
    ),
    Api(
        "tokio::sync::semaphore",
        &["acquire_owned"],
        WaitFor::Semaphore,
    ),
    Api(
        "tokio::sync::semaphore",
        &["acquire_many_owned"],
        WaitFor::Semaphore,
    ),
    Api(
        "tokio::sync::notify",
        &["Notified", "poll"],
        WaitFor::Notify,
    ),
    Api("tokio::sync::barrier", &["wait"], WaitFor::Barrier),
    Api("tokio::sync::once_cell", &["get_or_init"], WaitFor::Once),
    Api(
        "tokio::sync::once_cell",
        &["get_or_try_init"],
        WaitFor::Once,
    ),
    Api(
        "tokio::runtime::task::join",
        &["JoinHandle", "poll"],
        WaitFor::Task,
    ),
    Api("tokio::task::join_set", &["join_next"], WaitFor::Task),
    Api("tokio::task::join_set", &["poll_join_next"], WaitFor::Task),
    Api("tokio::time", &["Sleep", "poll"], WaitFor::Sleep),
    Api("tokio::time", &["Interval", "poll_tick"], WaitFor::Sleep),
    Api("tokio::time", &["tick"], WaitFor::Sleep),
    Api("tokio::net", &["accept"], WaitFor::Accept),
    Api("tokio::net", &["poll_accept"], WaitFor::Accept),
    Api("tokio::runtime::io", &["poll_readiness"], WaitFor::Io),
    Api("tokio::runtime::io", &["Readiness", "poll"], WaitFor::Io),
    Api("tokio::process", &["wait"], WaitFor::Child),
    Api("tokio::signal", &["recv"], WaitFor::Signal),
    Api("tokio::signal", &["ctrl_c"], WaitFor::Signal),
    Api(
        "tokio_util::sync::cancellation_token",
        &["poll"],
        WaitFor::Notify,
    ),
    Api("async_channel", &["Recv", "poll"], WaitFor::ChannelRecv),
    Api(
        "async_channel",
        &["RecvInner", "poll_with_strategy"],
        WaitFor::ChannelRecv,
    ),
    Api(
        "async_channel",
        &["Receiver", "poll_next"],
        WaitFor::ChannelRecv,
    ),
    Api("async_channel", &["Send", "poll"], WaitFor::ChannelSend),
    Api(
        "async_channel",
        &["SendInner", "poll_with_strategy"],
        WaitFor::ChannelSend,
    ),
    Api("async_lock::mutex", &["Lock", "poll"], WaitFor::Mutex),
    Api("async_lock::mutex", &["poll_with_strategy"], WaitFor::Mutex),
    Api(
        "async_lock::semaphore",
        &["poll_with_strategy"],
        WaitFor::Semaphore,
    ),
    Api(
        "async_lock::barrier",
        &["poll_with_strategy"],
        WaitFor::Barrier,
    ),
    Api("async_io", &["Timer", "poll"], WaitFor::Sleep),
    Api("async_io", &["Timer", "poll_next"], WaitFor::Sleep),
    Api("async_io", &["accept"], WaitFor::Accept),
    Api("async_io::reactor", &["poll"], WaitFor::Io),
    Api("async_task", &["Task", "poll"], WaitFor::Task),
    Api(
        "event_listener",
        &["EventListener", "poll"],
        WaitFor::Notify,
    ),
    Api(
        "futures_channel::mpsc",
        &["poll_next"],
        WaitFor::ChannelRecv,
    ),
    Api(
        "futures_channel::mpsc",
        &["poll_ready"],
        WaitFor::ChannelSend,
    ),
    Api("futures_channel::oneshot", &["poll"], WaitFor::ChannelRecv),
    Api("flume::async", &["RecvFut", "poll"], WaitFor::ChannelRecv),
    Api("flume::async", &["SendFut", "poll"], WaitFor::ChannelSend),
];

/// What a task that left its waker there waits for: what its own code called
/// decides.
pub fn awaited(stack: &Stack) -> Option<WaitFor> {
    stack
        .frames()
        .iter()
        .take_while(|frame| frame.class != FrameClass::User)
        .filter_map(|frame| {
            let function = &frame.function;
            APIS.iter()
                .find(|Api(module, tail, _)| {
                    function.is_within(module) && function.is(function.krate(), tail)
                })
                .map(|Api(_, _, what)| *what)
        })
        .last()
}

/// The wait of a task.
pub fn wait(status: &wire::TaskStatus, stack: &Stack) -> Wait {
    let what = match status.state {
        TaskState::Running | TaskState::Panicked => WaitFor::Running,
        TaskState::New | TaskState::Scheduled => WaitFor::Turn,
        TaskState::Waiting if stack.is_empty() => WaitFor::Nothing,
        TaskState::Waiting => awaited(stack).unwrap_or(WaitFor::Future),
    };
    Wait {
        what,
        for_ms: status.idle_ms,
        timed: false,
        lock: None,
        owner: None,
        acquired: Stack::default(),
    }
}

/// How the task is.
pub fn task(
    status: &wire::TaskStatus,
    (leg, of): (&wire::Leg, &wire::TaskType),
    resolver: &mut Resolver<'_>,
) -> Task {
    let mut stacks = Vec::new();
    if status.state == TaskState::Waiting {
        let branches = status.branches.iter().enumerate();
        let branches = branches.map(|(at, stack)| (stack, status.branches_ms.get(at)));
        for (stack, times) in std::iter::once((&leg.stack, Some(&status.awaits_ms))).chain(branches)
        {
            stacks.push(resolver.timed_stack(stack, times.map_or(&[], Vec::as_slice)));
        }
    }
    Task {
        awaits: awaits::tree(&stacks),
        future: of.future.clone(),
        executor: of.executor,
        state: status.state,
        proof: status.proof,
        moment: status.moment,
        polls: status.polls,
        polls_since: status.polls_since,
        age_ms: status.age_ms,
        idle_ms: status.idle_ms,
        handle: status.handle,
        references: status.references,
        held_by: HeldBy {
            itself: status.held_by == [leg.thread],
            others: status
                .held_by
                .iter()
                .filter(|holder| **holder != leg.thread)
                .map(|holder| resolver.thread(*holder))
                .collect(),
            variable: status
                .held_at
                .and_then(|address| resolver.variable(address))
                .map(|(variable, _)| variable.name),
            leaked: status.held_by_leak,
            live: status.held_live,
            owner: leg
                .wait
                .as_ref()
                .and_then(|wait| wait.owner)
                .filter(|_| status.state == TaskState::Waiting)
                .map(|owner| resolver.thread(owner)),
        },
        branches: status
            .branches
            .iter()
            .map(|stack| resolver.stack(stack))
            .collect(),
        woken: status.woken.as_ref().map(|woken| Woken {
            by: resolver.label(woken.by),
            at: resolver.stack(&woken.stack),
            ago_ms: woken.ago_ms,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_called_by_its_function() {
        assert_eq!(name("ledger::serve::{{closure}}"), "ledger::serve");
        assert_eq!(
            name("ledger::start::{{closure}}::{{closure}}"),
            "ledger::start::{closure}"
        );
        assert_eq!(
            name("core::pin::Pin<alloc::boxed::Box<ledger::Journal>>"),
            "ledger::Journal"
        );
        assert_eq!(
            name("leakcheck::track::task::Tracked<ledger::read::{{closure}}>"),
            "ledger::read"
        );
        assert_eq!(
            name("async_std::task::builder::SupportTaskLocals<ledger::read::{{closure}}>"),
            "ledger::read"
        );
        assert_eq!(
            name("tokio::runtime::blocking::task::BlockingTask<ledger::write::{{closure}}>"),
            "ledger::write"
        );
        assert_eq!(
            name(
                "async_executor::AsyncCallOnDrop<ledger::Map<u8, u8>, async_executor::{{closure}}>"
            ),
            "ledger::Map"
        );
        assert_eq!(
            name(
                "tokio::task::task_local::TaskLocalFuture<(u8, fn() -> u8), ledger::read::{{closure}}>"
            ),
            "ledger::read"
        );
        assert_eq!(
            name("tokio::task::task_local::TaskLocalFuture<u8>"),
            "tokio::task::task_local::TaskLocalFuture"
        );
    }

    #[test]
    fn what_the_tasks_own_code_called_decides() {
        use FrameClass::{Dependency, User};
        let channel = Stack::of_test(&[
            ("tokio::sync::batch_semaphore::Acquire::poll", Dependency),
            (
                "tokio::sync::mpsc::bounded::Sender<T>::reserve_inner::{closure}",
                Dependency,
            ),
            (
                "tokio::sync::mpsc::bounded::Sender<T>::send::{closure}",
                Dependency,
            ),
            ("ledger::serve::{closure}", User),
        ]);
        assert_eq!(awaited(&channel), Some(WaitFor::ChannelSend));
        let own = Stack::of_test(&[("ledger::Gate::poll", User)]);
        assert_eq!(awaited(&own), None);
    }
}
