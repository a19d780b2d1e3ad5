//! Tasks: a future that is spawned, wrapped so that its polls, its wakers and
//! its end are seen.
//!
//! The wrapper hands a waker of its own down. A pending task whose waker has
//! no copy left can never run again, which needs no search for references.
//! The copies are the strong references to the task's own record.
//!
//! What it misses: an executor that polls without having been woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use pin_project_lite::pin_project;

use super::context::ContextId;
use super::engine;
use super::hooks;
use super::local::{self, Local};
use super::site::Site;
use super::snapshot::Snapshot;
use super::strand::Who;
use super::units::{self, Leaked, Unit};

/// What a task runs.
#[derive(Debug, Clone, Copy)]
struct Body {
    /// Where it was spawned.
    site: &'static Site,
    /// The type of its future.
    type_name: fn() -> &'static str,
}

impl Body {
    /// What a report calls a task that waits there, the outermost first: by the
    /// name of the function that it runs, or else of the one that spawned it, or
    /// else by its type.
    fn name(&self, awaits: &[&'static Site]) -> String {
        let own = awaits.first().and_then(|site| site.item.name);
        match own.or(self.site.item.name) {
            Some(name) => name.to_owned(),
            None => {
                let future = (self.type_name)();
                // An async function's future is a closure in it.
                let function = future.strip_suffix("::{{closure}}").unwrap_or(future);
                function.replace("{{closure}}", "{closure}")
            }
        }
    }
}

/// What is kept of a task while it is there.
#[derive(Debug)]
pub struct Task {
    /// Its number, among all units.
    pub number: u64,
    body: Body,
    context: ContextId,
    parent: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The executor's, of the last poll.
    waker: Option<Waker>,
    /// Where it waits, the outermost first.
    awaits: Vec<&'static Site>,
    /// What its next poll knows.
    clock: Snapshot,
    polls: u64,
    woken: bool,
    polling: bool,
    woken_by: Option<Waked>,
}

/// Who woke a task.
#[derive(Debug, Clone)]
enum Waked {
    /// A task.
    Task(Body),
    /// What ran on a thread.
    Thread(Arc<Who>),
}

impl Waked {
    /// Who runs here.
    fn here(local: &Local) -> Option<Self> {
        match &*local.task.borrow() {
            Some(task) => Some(Self::Task(task.body)),
            None => local.strand().who().map(Self::Thread),
        }
    }

    fn describe(&self) -> Option<String> {
        match self {
            Self::Task(body) => Some(format!("task `{}`", body.name(&[]))),
            Self::Thread(who) => who.name.as_ref().map(|name| format!("thread `{name}`")),
        }
    }
}

impl Task {
    /// A task spawned here and now, whose future is of type `F`.
    pub fn spawn<F>(site: &'static Site) -> Option<Arc<Self>> {
        let body = Body {
            site,
            type_name: std::any::type_name::<F>,
        };
        local::inside(|local| {
            let mut state = State {
                // It will be polled without a waker's doing.
                woken: true,
                ..State::default()
            };
            let strand = local.strand();
            local.settle();
            engine::release_into(strand, &mut state.clock);
            let task = Arc::new(Self {
                number: units::next(),
                body,
                context: local.context.get(),
                parent: local.unit.get(),
                state: Mutex::new(state),
            });
            units::add_task(&task);
            task
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It begins to wait here. How deep in other waits that is.
    pub fn awaits(&self, site: &'static Site) -> usize {
        let mut state = self.state();
        if state.awaits.capacity() == 0 {
            // Most tasks wait in one place, and there may be many tasks.
            state.awaits.reserve_exact(1);
        }
        state.awaits.push(site);
        state.awaits.len() - 1
    }

    /// What it waited for at this depth has come.
    pub fn awaited(&self, depth: usize) {
        self.state().awaits.truncate(depth);
    }

    /// As a unit, without its name.
    pub fn unit(&self) -> Unit {
        Unit {
            number: self.number,
            site: self.body.site,
            context: self.context,
            parent: self.parent,
            name: None,
            begun: true,
            waits: None,
        }
    }

    /// What can be said of it.
    pub fn describe(self: &Arc<Self>) -> Leaked {
        let state = self.state();
        // One reference is the wrapper's, one the caller's: the others are
        // wakers. A poll that hands one out is told of under the lock.
        let wakers = Arc::strong_count(self).saturating_sub(2);
        Leaked {
            unit: Unit {
                name: Some(self.body.name(&state.awaits)),
                ..self.unit()
            },
            is_task: true,
            parent: None,
            stuck: wakers == 0 && !state.woken && !state.polling,
            polls: state.polls,
            awaits: state.awaits.clone(),
            woken_by: state.woken_by.as_ref().and_then(Waked::describe),
        }
    }

    /// Ends: complete, or dropped.
    fn end(&self) {
        local::inside(|local| engine::release(local.strand(), engine::Key::Ended));
        units::remove_task(self.number);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waker = {
            let mut state = self.state();
            state.woken = true;
            local::inside(|local| {
                state.woken_by = Waked::here(local);
                engine::release_into(local.strand(), &mut state.clock);
            });
            state.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        units::changed();
    }
}

pin_project! {
    /// A spawned future.
    pub struct Tracked<F> {
        #[pin]
        future: F,
        task: Option<Arc<Task>>,
        // Told to the runtime at the first poll.
        name: Option<&'static Site>,
    }

    impl<F> PinnedDrop for Tracked<F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(task) = this.project().task.take() {
                task.end();
            }
        }
    }
}

impl<F> Tracked<F> {
    /// The future of `task`; without one, a future like any other, spawned at
    /// `site`.
    pub fn new(future: F, task: Option<Arc<Task>>, site: &'static Site) -> Self {
        let name = task.is_none().then_some(site);
        Self { future, task, name }
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(task) = this.task else {
            let _begins = this.name.take().map(hooks::Begins::task);
            return this.future.poll(cx);
        };
        let polling = Polling::begin(task, cx.waker());
        let waker = Waker::from(Arc::clone(task));
        let result = this.future.poll(&mut Context::from_waker(&waker));
        drop(waker);
        drop(polling);
        if result.is_ready()
            && let Some(task) = this.task.take()
        {
            task.end();
        }
        result
    }
}

/// A poll of a task: what it does belongs to the task.
struct Polling {
    task: Arc<Task>,
    /// What was polled around it, and what that belongs to.
    around: Option<(Option<Arc<Task>>, ContextId, Option<u64>)>,
}

impl Polling {
    fn begin(task: &Arc<Task>, waker: &Waker) -> Self {
        let mut state = task.state();
        let own = state.waker.as_ref();
        if own.is_none_or(|own| !own.will_wake(waker)) {
            drop(state);
            // The executor's code, which may be tracked.
            let waker = waker.clone();
            state = task.state();
            let old = state.waker.replace(waker);
            drop(state);
            drop(old);
            state = task.state();
        }
        let around = local::inside(|local| {
            let strand = local.strand();
            state.polls += 1;
            state.woken = false;
            state.polling = true;
            engine::acquire_from(strand, &state.clock);
            drop(state);
            local.opaque();
            (
                local.task.replace(Some(Arc::clone(task))),
                local.context.replace(task.context),
                local.unit.replace(Some(task.number)),
            )
        });
        Self {
            task: Arc::clone(task),
            around,
        }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        let around = self.around.take();
        let task = local::inside(|local| {
            let strand = local.strand();
            let mut state = self.task.state();
            state.polling = false;
            engine::release_into(strand, &mut state.clock);
            drop(state);
            let task = around.and_then(|(task, context, unit)| {
                local.context.set(context);
                local.unit.set(unit);
                local.task.replace(task)
            });
            local.opaque();
            task
        });
        // With its last owner go wakers, whose code may be tracked.
        drop(task);
    }
}
