//! What is spawned, and where it waits.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Begins, acquire, called, elsewhere, here, release, tell_name};
use crate::track::context::ContextId;
use crate::track::engine::{self, Key, Spawned};
use crate::track::site::Site;
use crate::track::task::{Task, Tracked};
use crate::track::units::{self, Unit};

/// A future that is spawned here.
pub fn task<F: Future>(site: &'static Site, future: F) -> Tracked<F> {
    let task = if elsewhere() {
        None
    } else {
        Task::spawn::<F>(site)
    };
    Tracked::new(future, task, site)
}

/// A function that is spawned here: from the spawner to the thread.
#[derive(Debug, Clone, Copy)]
pub struct Spawn {
    site: &'static Site,
    number: u64,
    parent: Option<u64>,
    context: ContextId,
}

impl Spawn {
    /// Spawns at `site`.
    #[must_use]
    pub fn new(site: &'static Site) -> Self {
        let mut spawn = Self {
            site,
            number: 0,
            parent: None,
            context: ContextId::ROOT,
        };
        here(|local| {
            local.strand();
            local.settle();
            spawn.number = units::next();
            spawn.parent = local.unit.get();
            spawn.context = local.context.get();
            engine::spawn(local.strand(), spawn.number);
            units::add_thread(spawn.unit(false));
        });
        spawn
    }

    fn unit(&self, begun: bool) -> Unit {
        let own = || std::thread::current().name().map(str::to_owned);
        let name = match self.site.item.name {
            Some(name) => Some(name.to_owned()),
            None if begun => own(),
            None => None,
        };
        Unit {
            number: self.number,
            site: self.site,
            context: self.context,
            parent: self.parent,
            name,
            begun,
            waits: None,
        }
    }

    /// The function begins.
    #[must_use]
    pub fn enter(&self) -> Running {
        Running::new(*self, Spawned::By(self.number), true)
    }
}

/// The spawns of one place whose functions cannot carry theirs.
#[derive(Debug)]
pub struct Handoff {
    site: &'static Site,
    key: AtomicU64,
    waiting: Mutex<Vec<Spawn>>,
}

impl Handoff {
    /// Of `site`.
    #[must_use]
    pub const fn new(site: &'static Site) -> Self {
        Self {
            site,
            key: AtomicU64::new(0),
            waiting: Mutex::new(Vec::new()),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Spawn>> {
        let waiting = self.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }

    /// Spawns here.
    pub fn spawn(&self) {
        if elsewhere() {
            return;
        }
        let mut waiting = self.waiting();
        if self.key.load(Ordering::Relaxed) == 0 {
            self.key.store(units::next(), Ordering::Relaxed);
        }
        let spawn = Spawn::new(self.site);
        // Who comes out first is not known: each knows what all before it do.
        here(|local| {
            release(local, Key::Handoff(self.key.load(Ordering::Relaxed)));
        });
        waiting.push(spawn);
    }

    /// A function begins that was spawned here.
    #[must_use]
    pub fn enter(&self) -> Running {
        let mut waiting = self.waiting();
        let spawn = if waiting.is_empty() {
            None
        } else {
            Some(waiting.remove(0))
        };
        drop(waiting);
        let seen = spawn.is_some();
        let spawn = spawn.unwrap_or_else(|| Spawn::new(self.site));
        let spawned = Spawned::OneOf {
            handoff: self.key.load(Ordering::Relaxed),
            number: spawn.number,
        };
        Running::new(spawn, spawned, seen)
    }
}

/// A spawned function runs; dropped when it ends.
#[derive(Debug)]
pub struct Running {
    spawn: Spawn,
    around: Option<(ContextId, Option<u64>)>,
}

impl Running {
    fn new(spawn: Spawn, spawned: Spawned, seen: bool) -> Self {
        tell_name(spawn.site);
        let around = here(|local| {
            let strand = local.spawned(spawned);
            engine::runs(strand, spawn.site);
            let known = engine::begin_spawned(strand, spawned);
            if !(known && seen) {
                local.opaque();
            }
            units::add_thread(spawn.unit(true));
            (
                local.context.replace(spawn.context),
                local.unit.replace(Some(spawn.number)),
            )
        });
        Self { spawn, around }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some((context, unit)) = self.around.take() else {
            return;
        };
        here(|local| {
            local.settle();
            local.opaque();
            release(local, Key::Ended);
            // The last: who joins the thread knows all of it then, so that its
            // slot can be reused.
            release(local, Key::Thread(std::thread::current().id()));
            local.context.set(context);
            local.unit.set(unit);
        });
        units::remove_thread(self.spawn.number);
    }
}

/// In the body of a future that is spawned: dropped when the body is left,
/// before what it has captured.
#[derive(Debug)]
pub struct Leaving(());

impl Leaving {
    /// The body begins.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "an expansion calls it")]
    pub const fn new() -> Self {
        Self(())
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        here(|local| {
            local.strand();
            local.settle();
            release(local, Key::Ended);
        });
    }
}

/// A function that is spawned here.
pub fn function<T, F: FnOnce() -> T>(
    site: &'static Site,
    function: F,
) -> impl FnOnce() -> T + use<T, F> {
    let spawn = Spawn::new(site);
    move || {
        let _running = spawn.enter();
        called(0, function)()
    }
}

/// Before an `.await`.
pub fn awaits(site: &'static Site) -> usize {
    if elsewhere() {
        Begins::waits(site);
        return usize::MAX;
    }
    here(|local| {
        local.settle();
        local.opaque();
        local.task.borrow().as_ref().map(|task| task.awaits(site))
    })
    .flatten()
    .unwrap_or(usize::MAX)
}

/// After it.
pub fn awaited<T>(depth: usize, value: T) -> T {
    here(|local| {
        acquire(local, Key::Ended);
        local.opaque();
        let task: Option<Arc<Task>> = local.task.borrow().clone();
        if let Some(task) = task {
            task.awaited(depth);
        }
    });
    value
}
