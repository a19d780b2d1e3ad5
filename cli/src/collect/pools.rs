//! Idle pools: threads and tasks that libraries keep for the life of the process.
//!
//! Each rule is a function with its reason. What a rule names is still told, as
//! a note; while it runs code of the user it is not idle, and the rule does not
//! apply.

use crate::model::{Frame, FrameClass, Stack};

/// A rule that names a pool.
#[derive(Debug)]
pub struct PoolRule {
    /// The pool, after "worker of".
    pub name: &'static str,
    /// Why such a thread may stay.
    pub reason: &'static str,
    applies: fn(&Stack) -> bool,
}

/// All rules.
const RULES: &[PoolRule] = &[
    PoolRule {
        name: "rayon's thread pool",
        reason: "rayon keeps its global pool until the process ends",
        applies: rayon,
    },
    PoolRule {
        name: "tokio's runtime",
        reason: "a runtime in a static, or one shut down in the background, keeps its workers",
        applies: tokio,
    },
    PoolRule {
        name: "async-io's reactor",
        reason: "async-io runs one reactor thread until the process ends",
        applies: async_io,
    },
    PoolRule {
        name: "the blocking crate's pool",
        reason: "blocking keeps idle threads for a while, to use them again",
        applies: blocking,
    },
    PoolRule {
        name: "smol's global executor",
        reason: "smol and async-global-executor run their executor until the process ends",
        applies: smol,
    },
    PoolRule {
        name: "async-std's runtime",
        reason: "async-std runs its executor until the process ends",
        applies: async_std,
    },
    PoolRule {
        name: "the futures thread pool",
        reason: "a ThreadPool in a static keeps its workers",
        applies: futures_pool,
    },
    PoolRule {
        name: "the threadpool crate's pool",
        reason: "a ThreadPool lets its workers end by themselves when it is dropped",
        applies: threadpool,
    },
    PoolRule {
        name: "crossbeam's timer or collector",
        reason: "crossbeam keeps helper threads until the process ends",
        applies: crossbeam,
    },
    PoolRule {
        name: "reqwest's blocking client",
        reason: "reqwest drives each blocking client by a thread of its own",
        applies: reqwest,
    },
    PoolRule {
        name: "the signal handler",
        reason: "ctrlc and signal-hook wait for signals until the process ends",
        applies: signals,
    },
    PoolRule {
        name: "a log writer",
        reason: "tracing-appender and slog-async write logs until their guard is dropped",
        applies: log_writer,
    },
    PoolRule {
        name: "futures-timer",
        reason: "futures-timer keeps one thread for all timers until the process ends",
        applies: futures_timer,
    },
    PoolRule {
        name: "a library's static variable",
        reason: "what the initializer of a library's static variable starts is there until the \
                 process ends",
        applies: static_of_library,
    },
];

/// The rules for tasks, by what they await.
const OF_TASKS: &[PoolRule] = &[PoolRule {
    name: "async-process's reaper",
    reason: "smol waits for the ends of child processes, by a task that never ends",
    applies: async_process,
}];

/// The rule for a task that is there at the end, if it is idle in a library.
pub fn idle_task(current: &Stack) -> Option<&'static PoolRule> {
    let is_idle = !current.has_user_frame();
    OF_TASKS
        .iter()
        .find(|rule| is_idle && (rule.applies)(current))
}

/// The rule for a leaked thread, if it is idle in a pool.
pub fn idle_pool(current: &Stack, spawned: &Stack) -> Option<&'static PoolRule> {
    if current.has_user_frame() {
        return None;
    }
    RULES
        .iter()
        .find(|rule| (rule.applies)(current) || (rule.applies)(spawned))
}

/// True if a frame is in one of these modules, inside of the user's innermost
/// frame: what the user calls decides, not what calls the user.
fn inside(stack: &Stack, modules: &[&str]) -> bool {
    stack
        .frames()
        .iter()
        .take_while(|frame| frame.class != FrameClass::User)
        .any(|frame| {
            modules
                .iter()
                .any(|module| frame.function.is_within(module))
        })
}

/// rayon starts a registry of workers at the first use.
fn rayon(stack: &Stack) -> bool {
    inside(stack, &["rayon_core::registry"])
}

/// tokio's workers and its blocking pool, both started by the pool's spawner.
fn tokio(stack: &Stack) -> bool {
    inside(
        stack,
        &[
            "tokio::runtime::blocking::pool",
            "tokio::runtime::scheduler::multi_thread",
        ],
    )
}

/// async-io's `main_loop`.
fn async_io(stack: &Stack) -> bool {
    inside(stack, &["async_io::driver"])
}

/// What `smol::spawn` starts beside its executor's first thread.
fn async_process(stack: &Stack) -> bool {
    inside(stack, &["async_process::driver"])
}

/// The pool behind `blocking::unblock`.
fn blocking(stack: &Stack) -> bool {
    inside(stack, &["blocking::Executor"])
}

/// Threads of the executor behind `smol::spawn`.
fn smol(stack: &Stack) -> bool {
    inside(stack, &["smol::spawn", "async_global_executor"])
}

/// Threads of the executor behind `async_std::task::spawn`.
fn async_std(stack: &Stack) -> bool {
    inside(stack, &["async_std::rt"])
}

/// `futures::executor::ThreadPool`.
fn futures_pool(stack: &Stack) -> bool {
    inside(stack, &["futures_executor::thread_pool"])
}

/// `threadpool::ThreadPool`.
fn threadpool(stack: &Stack) -> bool {
    inside(stack, &["threadpool::spawn_in_pool"])
}

/// Helpers that crossbeam starts itself.
fn crossbeam(stack: &Stack) -> bool {
    inside(
        stack,
        &[
            "crossbeam_channel::flavors::tick",
            "crossbeam_epoch::collector",
        ],
    )
}

/// `reqwest::blocking::Client`.
fn reqwest(stack: &Stack) -> bool {
    inside(stack, &["reqwest::blocking::client"])
}

/// Threads that wait for a signal.
fn signals(stack: &Stack) -> bool {
    inside(stack, &["ctrlc", "signal_hook::iterator"])
}

/// Threads that write logs.
fn log_writer(stack: &Stack) -> bool {
    inside(
        stack,
        &[
            "tracing_appender::worker",
            "tracing_appender::non_blocking",
            "slog_async",
        ],
    )
}

/// The thread that the first timer starts.
fn futures_timer(stack: &Stack) -> bool {
    inside(stack, &["futures_timer::native"])
}

/// What initializes a value once.
const ONCE: &[&str] = &[
    "lazy_static",
    "once_cell",
    "spin::once",
    "std::sync::once",
    "std::sync::poison::once",
    "std::sys::sync::once",
];

/// A library's initializer of what is made once for the process. One of the user's
/// is code of the user's, who can stop what it starts.
fn static_of_library(stack: &Stack) -> bool {
    let is_of_once = |frame: &Frame| ONCE.iter().any(|module| frame.function.is_within(module));
    let mut inner = stack
        .frames()
        .iter()
        .take_while(|frame| frame.class != FrameClass::User);
    inner.any(|frame| frame.class == FrameClass::Dependency && !is_of_once(frame))
        && inner.any(is_of_once)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_worker_is_named_by_either_stack() {
        use FrameClass::{Dependency, Std, User};
        let idle = Stack::of_test(&[
            ("std::sync::Condvar::wait", Std),
            ("rayon_core::sleep::Sleep::sleep", Dependency),
            (
                "rayon_core::registry::WorkerThread::wait_until_cold",
                Dependency,
            ),
        ]);
        assert!(
            idle_pool(&idle, &Stack::default()).is_some_and(|rule| rule.name.contains("rayon"))
        );
        let spawned = Stack::of_test(&[
            ("std::thread::Builder::spawn", Std),
            ("rayon_core::registry::Registry::new", Dependency),
            ("bank::sum", User),
        ]);
        assert!(idle_pool(&Stack::default(), &spawned).is_some());
    }

    #[test]
    fn a_task_of_a_library_is_idle_by_what_it_awaits() {
        use FrameClass::{Dependency, User};
        let receives = ("async_channel::Recv<T>::poll", Dependency);
        let driver = ("async_process::driver::{closure}", Dependency);
        assert!(idle_task(&Stack::of_test(&[receives, driver])).is_some());
        assert!(idle_task(&Stack::of_test(&[receives])).is_none());
        let users = ("bank::reads::{closure}", User);
        assert!(idle_task(&Stack::of_test(&[receives, users, driver])).is_none());
    }

    #[test]
    fn a_worker_in_user_code_is_not_idle() {
        use FrameClass::{Dependency, User};
        let busy = Stack::of_test(&[
            ("bank::job", User),
            ("rayon_core::registry::WorkerThread::execute", Dependency),
        ]);
        assert!(idle_pool(&busy, &Stack::default()).is_none());
    }

    #[test]
    fn a_thread_that_the_users_job_spawned_is_no_worker() {
        use FrameClass::{Dependency, Std, User};
        let spawned = Stack::of_test(&[
            ("std::thread::spawn", Std),
            ("bank::job", User),
            ("rayon_core::registry::WorkerThread::execute", Dependency),
        ]);
        let current = Stack::of_test(&[("std::sync::mpsc::Receiver::recv", Std)]);
        assert!(idle_pool(&current, &spawned).is_none());
    }

    #[test]
    fn a_thread_of_a_librarys_static_is_its_own() {
        use FrameClass::{Dependency, Std, User};
        let initializer = ("async_compat::TOKIO1::{closure}", Dependency);
        let once = ("std::sys::sync::once::futex::Once::call", Std);
        let user = ("bank::tests::reads", User);
        let spawn = ("std::thread::Builder::spawn", Std);
        let is_idle = |spawned: &[_]| {
            let rule = idle_pool(&Stack::default(), &Stack::of_test(spawned));
            rule.is_some_and(|rule| rule.name.contains("static"))
        };
        assert!(is_idle(&[spawn, initializer, once, user]));
        // The user's own, and a library's that the user's calls.
        assert!(!is_idle(&[spawn, ("bank::POOL::{closure}", User), once]));
        let cell = ("once_cell::imp::OnceCell::initialize", Dependency);
        assert!(!is_idle(&[spawn, cell, user]));
        assert!(!is_idle(&[spawn, initializer, user, once]));
        assert!(!is_idle(&[spawn, once, initializer]));
    }

    #[test]
    fn every_rule_tells_its_name_and_reason_once() {
        for (at, rule) in RULES.iter().enumerate() {
            assert!(!rule.reason.is_empty());
            assert!(
                RULES[at + 1..].iter().all(|other| other.name != rule.name),
                "{}",
                rule.name
            );
        }
    }
}
