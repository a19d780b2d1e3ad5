//! The sentences of a task that leaks, or ends unseen.

use leakcheck::report::kind::Kind;
use leakcheck::report::wire::Moment;

use super::{Subject, wait_phrase};
use crate::model::{Leg, WaitFor};

/// The title of a task's finding.
pub fn title(subject: &Subject<'_>) -> String {
    let Some((leg, task)) = subject
        .legs
        .first()
        .and_then(|leg| Some((leg, leg.task.as_ref()?)))
    else {
        return "a task never ends".to_owned();
    };
    if let Some(pool) = subject.pool {
        return format!("task of {} is still there", pool.name);
    }
    let name = leg.thread.label.text();
    let what = leg
        .wait
        .as_ref()
        .map_or_else(|| "is not complete".to_owned(), wait_phrase);
    let ends = match (task.proof, task.moment) {
        _ if subject.kind == Kind::PanickedTask => {
            return format!("{name} panicked, and nobody joined it");
        }
        _ if subject.kind == Kind::AbortedTask => "was aborted at shutdown",
        _ if subject.kind == Kind::DetachedTask => "is detached and still there",
        (Some(_), _) => "never ends",
        (None, Moment::Shutdown) => "may never end",
        (None, Moment::Request) => "is there",
        (None, Moment::Exit) => "is left behind at exit",
    };
    format!("{name} {ends}: it {what}")
}

/// What to do about it.
pub fn help(subject: &Subject<'_>) -> String {
    let ended = match subject.kind {
        Kind::AbortedTask => Some(
            "to let it end by itself, tell it to stop and await its handle before the executor is \
             dropped",
        ),
        Kind::DetachedTask => {
            Some("keep its handle, tell it to stop, and await it; or abort it by the handle")
        }
        Kind::PanickedTask => {
            Some("await its handle: it gives the panic to who asks; a `JoinSet` asks for many")
        }
        Kind::LeakedTask
        | Kind::DataRace
        | Kind::RaceWithFree
        | Kind::RaceWithReturn
        | Kind::VolatileRace
        | Kind::LeakedThread
        | Kind::Deadlock
        | Kind::TaskRace
        | Kind::LockOrder => None,
    };
    ended.map_or_else(|| wait_help(subject), str::to_owned)
}

/// Who keeps the other end of what the task waits on.
fn keeper(leg: Option<&Leg>) -> String {
    let held = leg
        .and_then(|leg| leg.task.as_ref())
        .map(|task| &task.held_by);
    match held {
        Some(by) if by.itself => "this task itself".to_owned(),
        Some(by) if by.live && !by.others.is_empty() => {
            let names: Vec<String> = by.others.iter().map(|of| of.label.text()).collect();
            names.join(" and ")
        }
        Some(by) if by.live => "what can still run".to_owned(),
        Some(by) if !by.others.is_empty() => {
            let names: Vec<String> = by.others.iter().map(|of| of.label.text()).collect();
            match &names[..] {
                [one] => format!("{one}, which never runs again either"),
                several => format!("{}, which never run again either", several.join(" and ")),
            }
        }
        Some(by) if by.leaked => "memory that was leaked, as by a cycle of `Arc`s".to_owned(),
        Some(_) | None => {
            "what never runs again: the task itself, another stuck task, or leaked memory"
                .to_owned()
        }
    }
}

fn wait_help(subject: &Subject<'_>) -> String {
    let leg = subject.legs.first();
    let what = subject.waits().next().unwrap_or(WaitFor::Nothing);
    let help = match what {
        WaitFor::ChannelRecv | WaitFor::ChannelSelect => {
            return format!(
                "the last sender is kept alive by {}: drop it there, or hold a `WeakSender`, and \
                 the channel closes",
                keeper(leg)
            );
        }
        WaitFor::ChannelSend => {
            return format!(
                "the receiver is kept alive by {}: drop it there, and the channel closes",
                keeper(leg)
            );
        }
        WaitFor::ChannelClosed => {
            return format!(
                "the other end is kept alive by {}: drop it there",
                keeper(leg)
            );
        }
        WaitFor::Mutex | WaitFor::RwLockRead | WaitFor::RwLockWrite => {
            "a guard is kept by what never runs again: drop it before the next `.await`"
        }
        WaitFor::Semaphore => {
            "its permits are kept by what never runs again, or were forgotten: drop them, or \
             close the semaphore"
        }
        WaitFor::Notify | WaitFor::Condvar | WaitFor::Barrier | WaitFor::Once => {
            "nobody is left who would notify it: notify before the last handle is dropped, or \
             cancel the task"
        }
        WaitFor::Task | WaitFor::Join | WaitFor::Scope => {
            "the task that it waits for never ends: end or abort that one"
        }
        WaitFor::Sleep => {
            "nothing drives its timer any more: keep the runtime that it was made in, or end the \
             task before that"
        }
        WaitFor::Accept | WaitFor::Io => {
            "nothing waits for its socket or pipe any more: shut it down, or put a timeout around \
             it, and await the `JoinHandle`"
        }
        WaitFor::Nothing => {
            "a future that returned `Pending` must have left its waker somewhere; `pending()` \
             never completes: abort the task by its handle"
        }
        WaitFor::Park
        | WaitFor::Child
        | WaitFor::Future
        | WaitFor::Futex
        | WaitFor::Running
        | WaitFor::Signal
        | WaitFor::Turn => {
            "tell it to stop by a `CancellationToken` or a channel, or abort it, and await its \
             `JoinHandle`"
        }
    };
    help.to_owned()
}
