//! What a program calls itself: scopes, checks, and the check at the end of a
//! tracked test.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::context::{self, ContextId};
use super::coverage;
use super::found;
use super::hooks::elsewhere;
use super::local;
use super::units::{self, Leaked};
use crate::hooks::lookup;
use crate::leak::{self, Alive, Next};
use crate::report::kind::Level;
use crate::report::source::{Finding, Place};
use crate::report::wire::GRACE_ENV;

fn current() -> ContextId {
    local::with(|local| local.context.get()).unwrap_or(ContextId::ROOT)
}

fn enter(context: ContextId) -> ContextId {
    local::with(|local| local.context.replace(context)).unwrap_or(ContextId::ROOT)
}

fn grace() -> Duration {
    leak::grace(std::env::var(GRACE_ENV).ok().as_deref())
}

/// What is alive, counted for the policy of [`crate::leak`]: of a task that nothing
/// can wake it is not known whether it was aborted, and is about to be dropped.
fn count(alive: &[Leaked]) -> Alive {
    Alive {
        threads: alive.len(),
        stuck: 0,
    }
}

/// Waits until no unit of the context is left, or the grace period is over.
fn settle(within: ContextId) {
    units::wait(Instant::now() + grace(), |late| {
        leak::next(count(&units::alive(within)), late) != Next::Wait
    });
}

/// The findings of a context as it is now; races are told once.
fn find(within: ContextId) -> Vec<Finding> {
    let mut findings = found::take_races(|inner| context::within(inner, within));
    let mut leaks = units::alive(within);
    // What has not begun by now was never run: its pool is gone.
    leaks.retain(|leaked| leaked.unit.begun);
    let leaks = leaks.iter().map(found::leak_unless_allowed);
    findings.extend(leaks.flatten());
    findings
}

/// What tracked code did wrong in the current test or scope: races found so
/// far, each told once, and the tasks and threads that are there now.
///
/// Tasks and threads get no time to end; [`verify_none`] gives it.
///
/// Under `leakcheck test` it is empty: the command reports.
///
/// ```
/// let findings = leakcheck::check();
/// assert!(findings.is_empty());
/// ```
#[must_use]
pub fn check() -> Vec<Finding> {
    if elsewhere() {
        return Vec::new();
    }
    find(current())
}

/// Fails if tracked code did something wrong in the current test or scope.
/// Tasks and threads that are still there get the grace period (one second,
/// or `LEAKCHECK_GRACE_MS`) to end.
///
/// # Panics
/// With the report, if something of level error was found.
///
/// ```
/// leakcheck::verify_none();
/// ```
pub fn verify_none() {
    if elsewhere() {
        return;
    }
    let context = current();
    settle(context);
    judge(&find(context));
}

/// Prints warnings, panics with errors.
fn judge(findings: &[Finding]) {
    let text = |level: Level| -> Vec<String> {
        let of = findings.iter().filter(|finding| finding.level() == level);
        of.map(Finding::to_string).collect()
    };
    for warning in text(Level::Warning) {
        eprintln!("{warning}\n");
    }
    let errors = text(Level::Error);
    if errors.is_empty() {
        return;
    }
    let report = errors.join("\n\n");
    if std::thread::panicking() {
        eprintln!("{report}");
        return;
    }
    let noun = if errors.len() == 1 {
        "finding"
    } else {
        "findings"
    };
    let left = match coverage::coverage().left_alone.len() {
        0 => String::new(),
        1 => "\n1 place in tracked code was left alone: `leakcheck::coverage()` tells it\n"
            .to_owned(),
        count => format!(
            "\n{count} places in tracked code were left alone: `leakcheck::coverage()` tells them\n"
        ),
    };
    panic!("leakcheck: {} {noun}\n\n{report}\n{left}", errors.len());
}

/// Runs `f` in a scope of its own: [`check`] and [`verify_none`] in it look at
/// what it spawned and nothing else. Fails as [`verify_none`] if something
/// that it spawned is left at its end.
///
/// ```
/// let sum = leakcheck::scope(|| 1 + 1);
/// assert_eq!(sum, 2);
/// ```
///
/// # Panics
/// As [`verify_none`], and if `f` panics.
pub fn scope<T>(f: impl FnOnce() -> T) -> T {
    let inner = Test::begin();
    let value = f();
    drop(inner);
    value
}

/// A tracked test, from its first statement until after its last.
#[derive(Debug)]
pub struct Test {
    context: ContextId,
    around: ContextId,
}

impl Test {
    /// True where no test or scope is around, and this front end judges.
    pub fn may_begin() -> bool {
        !elsewhere() && current() == ContextId::ROOT
    }

    /// Begins a test, or a scope.
    #[must_use]
    pub fn begin() -> Self {
        let around = current();
        let context = context::create(around);
        enter(context);
        Self { context, around }
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        if elsewhere() {
            return;
        }
        settle(self.context);
        let findings = find(self.context);
        enter(self.around);
        judge(&findings);
    }
}

pin_project! {
    /// The body of an async test: belongs to a context of its own, and lets
    /// the other tasks of its executor end before it is over.
    #[derive(Debug)]
    pub struct TestBody<F: Future> {
        #[pin]
        body: F,
        value: Option<F::Output>,
        context: ContextId,
        until: Option<Instant>,
        turns: u32,
    }
}

/// The body of an async test.
pub fn test_body<F: Future>(body: F) -> TestBody<F> {
    TestBody {
        body,
        value: None,
        context: context::create(current()),
        until: None,
        turns: 0,
    }
}

/// Turns that the executor gets before time passes between them.
const QUICK_TURNS: u32 = 64;

impl<F: Future> Future for TestBody<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if this.value.is_none() {
            let around = Within::enter(*this.context);
            let polled = this.body.poll(cx);
            drop(around);
            match polled {
                Poll::Ready(value) => *this.value = Some(value),
                Poll::Pending => return Poll::Pending,
            }
        }
        let until = *this.until.get_or_insert_with(|| Instant::now() + grace());
        let late = Instant::now() >= until;
        let waits = match lookup::hooks() {
            // What has not got as far as it can would be dropped where it is.
            Some(hooks) => !late && (hooks.tasks_on_their_way)() > 0,
            None => {
                let alive = units::alive(*this.context);
                let first = *this.turns == 0 && !alive.is_empty();
                first || leak::next(count(&alive), late) == Next::Wait
            }
        };
        if waits {
            *this.turns += 1;
            if *this.turns > QUICK_TURNS {
                // The others may be waiting for time to pass.
                std::thread::sleep(Duration::from_micros(200));
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !elsewhere() {
            judge(&find(*this.context));
        }
        match this.value.take() {
            Some(value) => Poll::Ready(value),
            None => Poll::Pending,
        }
    }
}

/// Restores the context around when it is dropped.
struct Within(ContextId);

impl Within {
    fn enter(context: ContextId) -> Self {
        Self(enter(context))
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        enter(self.0);
    }
}

/// A tracked task or thread, in a [`Snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, never used again in this process.
    pub number: u64,
    /// A task, or else a thread.
    pub is_task: bool,
    /// Its name.
    pub name: Option<String>,
    /// Where it was spawned.
    pub spawned: Place,
    /// Where it waits, the outermost first, as far as that is tracked.
    pub awaits: Vec<Place>,
    /// How often it was polled.
    pub polls: u64,
    /// It can never run again.
    pub stuck: bool,
}

/// All tracked tasks and threads that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// In the order of their spawns.
    pub entries: Vec<Entry>,
}

/// All tracked tasks and threads that are there now, of the whole process.
///
/// Under `leakcheck run` and `leakcheck test` it is empty: the command shows
/// all tasks and threads, tracked or not, with their stacks.
///
/// ```
/// println!("{}", leakcheck::snapshot());
/// ```
#[must_use]
pub fn snapshot() -> Snapshot {
    if let Some(hooks) = lookup::hooks() {
        (hooks.snapshot)();
        return Snapshot {
            entries: Vec::new(),
        };
    }
    let entry = |leaked: Leaked| Entry {
        number: leaked.unit.number,
        is_task: leaked.is_task,
        name: leaked.unit.name,
        spawned: found::place(leaked.unit.site),
        awaits: leaked
            .awaits
            .iter()
            .map(|site| found::place(site))
            .collect(),
        polls: leaked.polls,
        stuck: leaked.stuck,
    };
    Snapshot {
        entries: units::all(|_| true).into_iter().map(entry).collect(),
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            let noun = if entry.is_task { "task" } else { "thread" };
            match &entry.name {
                Some(name) => write!(f, "{noun} `{name}`")?,
                None => write!(f, "{noun} {}", entry.number)?,
            }
            write!(f, " spawned at {}", entry.spawned)?;
            for at in &entry.awaits {
                write!(f, "\n    awaits `{}` at {at}", at.text)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
