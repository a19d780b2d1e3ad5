//! Titles and help: the sentences of a finding, by kind and situation.

mod task;

use leakcheck::report::kind::Kind;
use leakcheck::report::wire::AccessOp;

use super::pools::PoolRule;
use crate::model::{Access, Leg, LockName, Memory, Role, Said, Shape, ThreadLabel, Wait, WaitFor};

/// What the sentences are about.
pub struct Subject<'a> {
    /// What was found.
    pub kind: Kind,
    /// Its legs.
    pub legs: &'a [Leg],
    /// The memory of a race.
    pub memory: Option<&'a Memory>,
    /// What tracked code says of it.
    pub said: Option<&'a Said>,
    /// How the threads of a deadlock wait.
    pub shape: Option<Shape>,
    /// The pool that a leaked thread idles in.
    pub pool: Option<&'static PoolRule>,
    /// A library documents the race.
    pub by_design: bool,
    /// False for a program that is run outside of a test.
    pub in_test: bool,
}

impl Subject<'_> {
    fn waits(&self) -> impl Iterator<Item = WaitFor> {
        self.legs
            .iter()
            .filter_map(|leg| leg.wait.as_ref())
            .map(|wait| wait.what)
    }

    /// Whether all threads wait for one and the same lock.
    fn one_lock(&self) -> bool {
        let mut locks = self.legs.iter().map(|leg| leg.wait.as_ref()?.lock.as_ref());
        let first = locks.next().flatten();
        first.is_some() && locks.all(|lock| lock == first)
    }

    fn accesses(&self) -> impl Iterator<Item = Access> {
        self.legs.iter().filter_map(|leg| match leg.role {
            Role::Access(access) => Some(access),
            Role::Leaked | Role::Stuck => None,
        })
    }
}

/// One sentence without its end.
pub fn title(subject: &Subject<'_>) -> String {
    let memory = subject
        .memory
        .map_or_else(|| "memory".to_owned(), Memory::text);
    let memory = match subject.said {
        Some(said) if subject.memory == Some(&Memory::Unknown) => said.text(),
        Some(said) => format!("{} ({memory})", said.text()),
        None => memory,
    };
    match subject.kind {
        Kind::DataRace if subject.said.is_none() && subject.memory == Some(&Memory::Unknown) => {
            "data race".to_owned()
        }
        Kind::DataRace => format!("data race on {memory}"),
        Kind::TaskRace => format!("race of two tasks on {memory}"),
        Kind::VolatileRace => format!("race by volatile or speculative access on {memory}"),
        Kind::RaceWithFree => format!("use of {memory} races with its free"),
        Kind::RaceWithReturn => match subject.memory {
            Some(Memory::Stack {
                function: Some(function),
                ..
            }) => {
                format!("use of a local variable of `{function}` races with its return")
            }
            _ => format!("use of {memory} races with the return of its function"),
        },
        Kind::LeakedThread => leaked_title(subject),
        Kind::LeakedTask | Kind::AbortedTask | Kind::DetachedTask | Kind::PanickedTask => {
            task::title(subject)
        }
        Kind::Deadlock => deadlock_title(subject),
        Kind::LockOrder => order_title(subject),
    }
}

fn leaked_title(subject: &Subject<'_>) -> String {
    let outlives = if subject.in_test {
        "outlives the test"
    } else {
        "is left behind at exit"
    };
    if let Some(pool) = subject.pool {
        return format!("idle worker of {} {outlives}", pool.name);
    }
    let Some(leg) = subject.legs.first() else {
        return format!("a thread {outlives}");
    };
    let thread = leg.thread.label.text();
    match &leg.wait {
        Some(wait) => match (&wait.owner, wait.what.is_lock()) {
            (Some(owner), true) => {
                format!(
                    "{thread} {outlives}: it {}, held by {}",
                    wait_phrase(wait),
                    owner.text()
                )
            }
            (None | Some(_), _) => format!("{thread} {outlives}: it {}", wait_phrase(wait)),
        },
        None => format!("{thread} {outlives}"),
    }
}

fn deadlock_title(subject: &Subject<'_>) -> String {
    let label = |leg: &Leg| leg.thread.label.text();
    match (subject.shape, subject.legs) {
        (Some(Shape::Own), [only]) => {
            let what = only.wait.as_ref().map_or(WaitFor::Futex, |wait| wait.what);
            let thread = label(only);
            match what {
                WaitFor::Join => format!("deadlock: {thread} waits for itself to end"),
                WaitFor::RwLockRead | WaitFor::RwLockWrite => {
                    format!("deadlock: {thread} locks an RwLock that it holds already")
                }
                WaitFor::Mutex => {
                    format!("deadlock: {thread} locks a mutex that it holds already")
                }
                WaitFor::Once => {
                    format!("deadlock: {thread} starts an initialisation that it is in already")
                }
                WaitFor::Condvar
                | WaitFor::Barrier
                | WaitFor::ChannelRecv
                | WaitFor::ChannelSend
                | WaitFor::ChannelSelect
                | WaitFor::Scope
                | WaitFor::Park
                | WaitFor::Child
                | WaitFor::Future
                | WaitFor::Sleep
                | WaitFor::Accept
                | WaitFor::Io
                | WaitFor::Futex
                | WaitFor::Running
                | WaitFor::Notify
                | WaitFor::Semaphore
                | WaitFor::ChannelClosed
                | WaitFor::Task
                | WaitFor::Signal
                | WaitFor::Turn
                | WaitFor::Nothing => {
                    format!("deadlock: {thread} waits for what only it can do")
                }
            }
        }
        (Some(Shape::Cycle), [first, second]) => {
            format!("deadlock: {} wait for each other", both(first, second))
        }
        (Some(Shape::Cycle), legs) if legs.iter().any(|leg| leg.task.is_some()) => {
            format!(
                "deadlock: {} wait for each other in a cycle",
                tasks_and_threads(legs)
            )
        }
        (Some(Shape::Cycle), legs) => {
            format!(
                "deadlock: {} threads wait for each other in a cycle",
                legs.len()
            )
        }
        (_, [only]) => {
            format!(
                "deadlock: {} waits, and nothing is left to wake it",
                label(only)
            )
        }
        (_, legs) if legs.iter().any(|leg| leg.task.is_some()) => {
            format!(
                "deadlock: {} wait, and nothing is left to wake them",
                tasks_and_threads(legs)
            )
        }
        (_, [first, second]) => {
            format!(
                "deadlock: {} wait, and nothing is left to wake them",
                both(first, second)
            )
        }
        (_, legs) => {
            format!(
                "deadlock: all {} threads wait, and nothing is left to wake them",
                legs.len()
            )
        }
    }
}

fn order_title(subject: &Subject<'_>) -> String {
    let locks = subject
        .legs
        .iter()
        .filter_map(|leg| leg.wait.as_ref()?.lock.as_ref());
    let names: Vec<String> = locks.map(LockName::text).collect();
    match (subject.legs, &names[..]) {
        ([first, second], [one, other]) => format!(
            "lock order: {} take {one} and {other} in both orders",
            both(first, second)
        ),
        (legs, names) => {
            let (last, others) = names.split_last().map_or(("", names), |(l, o)| (l, o));
            let of_task = |leg: &Leg| {
                matches!(
                    leg.thread.label,
                    ThreadLabel::Task(_) | ThreadLabel::TaskNamesake(..)
                )
            };
            let who = if legs.iter().all(of_task) {
                "tasks"
            } else {
                "threads"
            };
            format!(
                "lock order: {} {who} take {} and {last} in orders that form a circle",
                legs.len(),
                others.join(", ")
            )
        }
    }
}

/// ``threads `a` and `b` ``.
fn both(first: &Leg, second: &Leg) -> String {
    match (&first.thread.label, &second.thread.label) {
        (ThreadLabel::Named(first), ThreadLabel::Named(second)) => {
            format!("threads `{first}` and `{second}`")
        }
        (first, second) => format!("{} and {}", first.text(), second.text()),
    }
}

/// `2 tasks and 1 thread`.
fn tasks_and_threads(legs: &[Leg]) -> String {
    let tasks = legs.iter().filter(|leg| leg.task.is_some()).count();
    let number = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    match legs.len() - tasks {
        0 => format!("all {}", number(tasks, "task")),
        threads => format!(
            "{} and {}",
            number(tasks, "task"),
            number(threads, "thread")
        ),
    }
}

/// What a thread does, after its name, with the object where it has a name:
/// ``waits for lock A``.
pub fn wait_phrase(wait: &Wait) -> String {
    match (&wait.lock, wait.what, &wait.owner) {
        (Some(name), WaitFor::Mutex, _) => format!("waits for {}", name.text()),
        (Some(name), WaitFor::RwLockRead, _) => format!("waits to read {}", name.text()),
        (Some(name), WaitFor::RwLockWrite, _) => format!("waits to write {}", name.text()),
        (Some(name), WaitFor::Once, _) => format!("waits for {}", object(name, wait.what)),
        (_, WaitFor::Join | WaitFor::Task, Some(owner)) => {
            format!("waits for {} to end", owner.text())
        }
        (_, WaitFor::Future, Some(owner)) => {
            format!("waits for a future that needs {}", owner.text())
        }
        (_, WaitFor::Running, Some(owner)) => format!("is being polled by {}", owner.text()),
        (_, WaitFor::Turn, Some(owner)) => format!("waits to be polled by {}", owner.text()),
        (_, WaitFor::ChannelRecv, Some(owner)) => {
            format!("{} from {}", wait.what.phrase(), owner.text())
        }
        (_, WaitFor::ChannelSend, Some(owner)) => {
            format!("{} of {}", wait.what.phrase(), owner.text())
        }
        (_, WaitFor::Condvar | WaitFor::Notify, Some(owner)) => {
            format!("{} by {}", wait.what.phrase(), owner.text())
        }
        (_, WaitFor::Barrier, Some(owner)) => {
            format!("{}, {} among them", wait.what.phrase(), owner.text())
        }
        (_, WaitFor::Park, Some(owner)) => format!("is parked until {} unparks it", owner.text()),
        (_, what, _) => what.phrase().to_owned(),
    }
}

/// What is waited for, by name: ``lock A``, ``the initialisation of `CELL` ``.
pub fn object(name: &LockName, what: WaitFor) -> String {
    match (what, name) {
        (WaitFor::Once, LockName::Static(name)) => format!("the initialisation of `{name}`"),
        (WaitFor::Once, LockName::Letter(letter)) => format!("initialisation {letter}"),
        (_, name) => name.text(),
    }
}

/// The same at a place: ``waits here for lock A``.
pub fn wait_phrase_here(wait: &Wait) -> String {
    let phrase = wait_phrase(wait);
    match phrase.strip_prefix("waits ") {
        Some(rest) => format!("waits here {rest}"),
        None => format!("{phrase} here"),
    }
}

/// What to do next, most specific first.
pub fn help(subject: &Subject<'_>) -> Vec<String> {
    let help = match subject.kind {
        Kind::DataRace => race_help(subject),
        Kind::TaskRace => {
            return vec![
                race_help(subject),
                "if one thread must poll both, say so by `spawn_local`, and what they share \
                 need not be `Send`"
                    .to_owned(),
            ];
        }
        Kind::VolatileRace if subject.by_design => {
            "nothing to fix for you: look for a newer version of the library".to_owned()
        }
        Kind::VolatileRace => {
            "volatile does not order threads: use relaxed atomics, unless this race is by design"
                .to_owned()
        }
        Kind::RaceWithFree => "let the last user free it: share it by `Arc`, or join the thread \
                               before the owner drops it"
            .to_owned(),
        Kind::RaceWithReturn => "the borrow must end before the function does: use \
                                 `thread::scope`, or join the thread before returning"
            .to_owned(),
        Kind::LeakedThread | Kind::DetachedTask if subject.pool.is_some() => return Vec::new(),
        Kind::LeakedThread => leaked_help(subject),
        Kind::LeakedTask | Kind::AbortedTask | Kind::DetachedTask | Kind::PanickedTask => {
            task::help(subject)
        }
        Kind::Deadlock => deadlock_help(subject),
        Kind::LockOrder => {
            "take these locks in one order everywhere, for instance by an index or address, or \
             let go of the first before taking the second"
                .to_owned()
        }
    };
    vec![help]
}

fn race_help(subject: &Subject<'_>) -> String {
    if let Some(help) = lock_help(subject.legs) {
        return help;
    }
    let accesses: Vec<Access> = subject.accesses().collect();
    let atomic = accesses.iter().filter(|access| access.atomic).count();
    if atomic == 2 {
        return "access these bytes by atomics of one size only".to_owned();
    }
    if atomic == 1 {
        return "one side is atomic, the other is not: make both atomic, or order them by a lock, \
                a channel or a join"
            .to_owned();
    }
    match subject.memory {
        Some(Memory::Static { name, .. }) => {
            format!("make `{name}` an atomic, or put it into a `Mutex` or a `OnceLock`")
        }
        Some(Memory::ThreadLocal { .. }) => {
            "a pointer to a thread-local must not leave its thread".to_owned()
        }
        Some(Memory::Heap { ty: Some(ty), .. }) if ty.starts_with("Rc<") => {
            "an `Rc` must stay on its thread: use `Arc`".to_owned()
        }
        Some(Memory::Heap { .. } | Memory::Stack { .. } | Memory::Mapped | Memory::Unknown)
        | None => "guard it by a lock, make it atomic, or hand it over by a channel or a join; \
                   a wrong `unsafe impl Send` or `Sync` lets this compile"
            .to_owned(),
    }
}

/// What the locks held on the two sides tell. The history does not keep the
/// locks of an earlier access, so none there means nothing.
fn lock_help(legs: &[Leg]) -> Option<String> {
    let [later, earlier] = legs else { return None };
    let shared = |name: &LockName| {
        let locks = legs.iter().flat_map(|leg| &leg.locks);
        locks
            .filter(|lock| lock.name == *name)
            .any(|lock| lock.shared)
    };
    let at = |leg: &Leg| {
        leg.locks
            .iter()
            .map(|lock| lock.name.clone())
            .collect::<Vec<_>>()
    };
    let (at_later, at_earlier) = (at(later), at(earlier));
    let both = at_later.iter().find(|name| at_earlier.contains(name));
    match (both, at_later.first().or(at_earlier.first())) {
        (None, None) => None,
        (Some(both), _) => shared(both).then(|| {
            format!(
                "{} is held only for reading: write under its write lock",
                both.text()
            )
        }),
        (None, Some(_)) if !at_later.is_empty() && !at_earlier.is_empty() => Some(
            "each side holds a lock, but not the same one: guard the memory by one lock".to_owned(),
        ),
        (None, Some(one)) => Some(format!(
            "{} does not order the two: both sides must hold it{}",
            one.text(),
            if shared(one) {
                ", and who writes must hold it for writing"
            } else {
                ""
            }
        )),
    }
}

fn leaked_help(subject: &Subject<'_>) -> String {
    let Some(what) = subject.waits().next() else {
        return "keep its `JoinHandle`, tell it to stop, and join it".to_owned();
    };
    let help = match what {
        WaitFor::ChannelRecv | WaitFor::ChannelSelect => {
            "drop every sender, then join the thread: `recv` fails when no sender is left"
        }
        WaitFor::ChannelSend => {
            "drop the receiver or drain it, then join the thread: `send` fails when no receiver \
             is left"
        }
        WaitFor::Condvar | WaitFor::Park | WaitFor::Barrier => {
            "set a stop flag, wake the thread, and join it"
        }
        WaitFor::Mutex | WaitFor::RwLockRead | WaitFor::RwLockWrite => {
            "release the lock that it waits for, then join the thread"
        }
        WaitFor::Join | WaitFor::Scope => "end the threads that it waits for, then join it",
        WaitFor::Once => "let the initialisation end, then join the thread",
        WaitFor::Child => "end or kill the child process, then join the thread",
        WaitFor::Future => "complete or drop the future, then join the thread",
        WaitFor::Sleep => {
            "wait by `recv_timeout` or `wait_timeout` instead of `sleep`, so that it can be told \
             to stop; then join it"
        }
        WaitFor::Accept | WaitFor::Io => {
            "shut the socket or pipe down from the test, or set a timeout, then join the thread"
        }
        WaitFor::Futex
        | WaitFor::Notify
        | WaitFor::Semaphore
        | WaitFor::ChannelClosed
        | WaitFor::Task
        | WaitFor::Signal
        | WaitFor::Turn
        | WaitFor::Nothing => "tell it to stop, wake it, and join it",
        WaitFor::Running => "tell it to stop, by an `AtomicBool` or a closed channel, and join it",
    };
    help.to_owned()
}

fn deadlock_help(subject: &Subject<'_>) -> String {
    let waits: Vec<WaitFor> = subject.waits().collect();
    let joins = waits
        .iter()
        .any(|what| matches!(what, WaitFor::Join | WaitFor::Scope | WaitFor::Task));
    let receives = waits
        .iter()
        .any(|what| matches!(what, WaitFor::ChannelRecv | WaitFor::ChannelSelect));
    let locks = waits.iter().any(|what| what.is_lock());
    let once = waits.contains(&WaitFor::Once);
    let turn = waits.contains(&WaitFor::Turn);
    let help = match subject.shape {
        Some(Shape::Own) if once => "an initialisation must not ask for its own value",
        Some(Shape::Own) => match waits.first() {
            Some(WaitFor::RwLockWrite | WaitFor::RwLockRead) => {
                "drop the guard that it holds first: an RwLock guard cannot be upgraded or taken \
                 twice"
            }
            Some(WaitFor::Join) => "a thread cannot join itself: let another one do it",
            _ => "drop the first guard before locking again, or pass it down",
        },
        Some(Shape::Cycle) if once => "let one of the two initialisations do without the other",
        Some(Shape::Cycle) if subject.one_lock() => {
            "a waiting writer keeps new readers out: drop the first read guard before taking \
             another"
        }
        Some(Shape::Cycle) if waits.iter().all(|what| what.is_lock()) => {
            "take these locks in one order everywhere"
        }
        Some(Shape::Cycle) if joins && locks => {
            "drop the guard before joining the thread that needs it"
        }
        Some(Shape::Cycle) if locks && waits.contains(&WaitFor::Future) => {
            "drop the guard before waiting for the task that needs it"
        }
        Some(Shape::Cycle) if turn => {
            "a thread that polls tasks must not block on one: `.await` it, or block in \
             `spawn_blocking`"
        }
        Some(Shape::Cycle) if joins => "let one of them end without waiting for the other",
        Some(Shape::Cycle | Shape::Stuck) | None if receives => {
            "a receiver waits for ever while a sender is alive: drop the senders that nobody uses"
        }
        Some(Shape::Cycle | Shape::Stuck) | None => {
            "somebody must wake them: look for the `notify`, `unpark`, `send` or `drop` that is \
             missing"
        }
    };
    help.to_owned()
}

/// ``4-byte atomic write by thread `a` ``; the size is told if it differs
/// between the legs.
pub fn access_phrase(access: Access, thread: &ThreadLabel, with_size: bool) -> String {
    let thread = thread.text();
    let size = if with_size {
        format!("{}-byte ", access.size)
    } else {
        String::new()
    };
    let atomic = if access.atomic { "atomic " } else { "" };
    match access.op {
        AccessOp::Read => format!("{size}{atomic}read by {thread}"),
        AccessOp::Write => format!("{size}{atomic}write by {thread}"),
        AccessOp::Free => format!("freed by {thread}"),
        AccessOp::Return => format!("its function returns in {thread}"),
    }
}
