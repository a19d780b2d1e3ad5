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
use super::site::Site;
use super::strand;
use super::units::{self, Leaked, Unit};
use crate::sync::ReleaseClock;

/// What is kept of a task while it is there.
#[derive(Debug)]
pub struct Task {
    /// Its number, among all units.
    pub number: u64,
    site: &'static Site,
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
    clock: ReleaseClock,
    polls: u64,
    woken: bool,
    polling: bool,
    woken_by: Option<Arc<str>>,
}

impl Task {
    /// A task spawned here and now.
    pub fn spawn(site: &'static Site) -> Option<Arc<Self>> {
        strand::with(|local| {
            let mut state = State {
                // It will be polled without a waker's doing.
                woken: true,
                ..State::default()
            };
            let id = local.id();
            local.settle();
            let stamp = engine::with(|engine| engine.release_into(id, &mut state.clock));
            local.stamp.set(stamp.unwrap_or_default());
            let task = Arc::new(Self {
                number: units::next(),
                site,
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
        state.awaits.push(site);
        state.awaits.len() - 1
    }

    /// What it waited for at this depth has come.
    pub fn awaited(&self, depth: usize) {
        self.state().awaits.truncate(depth);
    }

    /// As a unit.
    pub fn unit(&self) -> Unit {
        Unit {
            number: self.number,
            site: self.site,
            context: self.context,
            parent: self.parent,
            name: self.site.item.name.map(str::to_owned),
            begun: true,
            waits: None,
        }
    }

    /// What can be said of it.
    pub fn describe(self: &Arc<Self>) -> Leaked {
        // One reference is the wrapper's, one the caller's: the others are
        // wakers.
        let wakers = Arc::strong_count(self).saturating_sub(2);
        let state = self.state();
        Leaked {
            unit: self.unit(),
            is_task: true,
            parent: None,
            stuck: wakers == 0 && !state.woken && !state.polling,
            polls: state.polls,
            awaits: state.awaits.clone(),
            woken_by: state.woken_by.as_deref().map(str::to_owned),
        }
    }

    /// Ends: complete, or dropped.
    fn end(&self) {
        strand::with(|local| {
            let id = local.id();
            let stamp = engine::with(|engine| engine.release(id, engine::Key::Ended));
            local.stamp.set(stamp.unwrap_or_default());
        });
        units::remove_task(self.number);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let by = std::thread::current()
            .name()
            .map(|name| format!("thread `{name}`"));
        let by = strand::with(|local| match &*local.task.borrow() {
            Some(task) => Some(match task.site.item.name {
                Some(name) => format!("task `{name}`"),
                None => format!("task {}", task.number),
            }),
            None => by,
        })
        .flatten();
        let waker = {
            let mut state = self.state();
            state.woken = true;
            state.woken_by = by.map(Arc::from);
            strand::with(|local| {
                let id = local.id();
                let stamp = engine::with(|engine| engine.release_into(id, &mut state.clock));
                local.stamp.set(stamp.unwrap_or_default());
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
            if let Some(site) = this.name.take() {
                hooks::tell_name(site);
            }
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
        let around = strand::with(|local| {
            let id = local.id();
            let mut state = task.state();
            match &mut state.waker {
                Some(own) => own.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            state.polls += 1;
            state.woken = false;
            state.polling = true;
            engine::with(|engine| engine.acquire_from(id, &state.clock));
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
        strand::with(|local| {
            let id = local.id();
            let mut state = self.task.state();
            state.polling = false;
            let stamp = engine::with(|engine| engine.release_into(id, &mut state.clock));
            local.stamp.set(stamp.unwrap_or_default());
            if let Some((task, context, unit)) = around {
                drop(state);
                local.task.replace(task);
                local.context.set(context);
                local.unit.set(unit);
            }
            local.opaque();
        });
    }
}
