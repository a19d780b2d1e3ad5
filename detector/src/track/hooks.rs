//! What an expansion calls. Every function takes and returns values as they
//! are, so that the tracked program stays what it was.
//!
//! Where the runtime of `leakcheck test` is in the process, all of this does
//! nothing: it sees the same accesses, locks, threads and tasks itself, and a
//! defect is told once.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::ThreadId;

use super::context::ContextId;
use super::engine::{self, Key};
use super::object::{Class, Object, name_hash};
use super::shadow::Access;
use super::site::Site;
use super::strand::{self, Local};
use super::task::{Task, Tracked};
use super::units::{self, Unit};
use crate::hooks::lookup;
use crate::shadow::word;
use crate::sync::Order;

/// True where another front end feeds the engine of this process.
#[inline]
pub fn elsewhere() -> bool {
    lookup::hooks().is_some()
}

/// Calls `f` with the cells of this thread, where this front end judges.
#[inline]
fn here<R>(f: impl FnOnce(&Local) -> R) -> Option<R> {
    if elsewhere() {
        return None;
    }
    strand::with(f)
}

/// The first of two values, after the second.
#[inline]
pub fn first<T>(value: T, (): ()) -> T {
    value
}

/// The second of two values, after the first.
#[inline]
pub fn second<T>((): (), value: T) -> T {
    value
}

/// A value as it is, once it was looked at.
#[inline]
pub fn pass<T>(value: T, look: impl FnOnce(&T)) -> T {
    look(&value);
    value
}

/// Never called: tells the compiler what an async block returns.
pub fn returned<T>() -> T {
    unreachable!("an expansion names this in code that is not run")
}

/// Hash of a function's name.
#[must_use]
pub const fn hash(name: &str) -> u64 {
    // Zero stands for no name.
    name_hash(name) | 1
}

/// A tracked function is entered.
#[inline]
pub fn entered(name: u64) {
    here(|local| local.entered(name));
}

/// A function is about to be called that may be tracked.
#[inline]
pub fn calls(name: u64) {
    here(|local| local.calls(name));
}

/// Code that is not tracked runs here.
#[inline]
pub fn opaque() {
    here(|local| {
        local.settle();
        local.opaque();
    });
}

/// Code that is not tracked runs until this is dropped.
#[derive(Debug)]
pub struct Opaque(());

impl Opaque {
    /// From now on.
    #[must_use]
    #[inline]
    pub fn begin() -> Self {
        opaque();
        Self(())
    }
}

impl Drop for Opaque {
    fn drop(&mut self) {
        opaque();
    }
}

// ---- accesses ----

#[inline]
fn access<T>(site: &'static Site, at: *const T, writes: bool, class: word::Class, stays: bool) {
    let what = size_of::<T>() << 1 | usize::from(writes);
    here(|local| {
        if !site.opaque && local.recorded(at.addr(), what) {
            return;
        }
        record::<T>(local, site, at.addr(), writes, class, stays);
        local.record(at.addr(), what);
    });
}

#[cold]
#[inline(never)]
fn record<T>(
    local: &Local,
    site: &'static Site,
    addr: usize,
    writes: bool,
    class: word::Class,
    stays: bool,
) {
    if size_of::<T>() == 0 {
        return;
    }
    let id = local.id();
    local.settle();
    if site.opaque {
        local.opaque();
    }
    let access = Access {
        addr,
        size: size_of::<T>(),
        writes,
        class,
        stays,
        type_name: std::any::type_name::<T>(),
        site,
        context: local.context.get(),
    };
    if let Some(stamp) = engine::with(|engine| engine.access(id, &access)) {
        local.stamp.set(stamp);
    }
}

/// What `at` points to is read.
#[inline]
pub fn read<T>(site: &'static Site, at: *const T) {
    access(site, at, false, word::Class::Plain, false);
}

/// What `at` points to is written.
#[inline]
pub fn write<T>(site: &'static Site, at: *const T) {
    access(site, at, true, word::Class::Plain, false);
}

/// A static variable is read.
#[inline]
pub fn read_static<T>(site: &'static Site, at: *const T) {
    access(site, at, false, word::Class::Plain, true);
}

/// A static variable is written.
#[inline]
pub fn write_static<T>(site: &'static Site, at: *const T) {
    access(site, at, true, word::Class::Plain, true);
}

/// The argument of `ptr::read` and the like.
#[inline]
pub fn reads<T>(site: &'static Site, at: *const T) -> *const T {
    read(site, at);
    at
}

/// The argument of `ptr::write` and the like.
#[inline]
pub fn writes<T>(site: &'static Site, at: *mut T) -> *mut T {
    write(site, at);
    at
}

/// The argument of `ptr::read_volatile`.
#[inline]
pub fn reads_volatile<T>(site: &'static Site, at: *const T) -> *const T {
    access(site, at, false, word::Class::Volatile, false);
    at
}

/// The argument of `ptr::write_volatile`.
#[inline]
pub fn writes_volatile<T>(site: &'static Site, at: *mut T) -> *mut T {
    access(site, at, true, word::Class::Volatile, false);
    at
}

/// The address of a static variable is taken.
pub fn static_at<T>(at: *const T) {
    here(|local| {
        let what = usize::MAX;
        if !local.recorded(at.addr(), what) {
            local.id();
            engine::with(|engine| engine.stays(at.addr(), size_of::<T>()));
            local.record(at.addr(), what);
        }
    });
}

/// What `get_unchecked` and the like return.
pub fn element<T>(site: &'static Site, at: *const T, writes: bool) {
    access(site, at, writes, word::Class::Plain, false);
}

// ---- synchronisation ----

fn release(local: &Local, key: Key) {
    let id = local.id();
    let stamp = engine::with(|engine| engine.release(id, key));
    local.stamp.set(stamp.unwrap_or_default());
}

fn acquire(local: &Local, key: Key) {
    let id = local.id();
    engine::with(|engine| engine.acquire(id, key));
}

fn waits(local: &Local, object: Object, site: Option<&'static Site>) {
    let blocks = matches!(
        object.class,
        Class::Meeting | Class::Channel | Class::Handle
    );
    if blocks
        && local.task.borrow().is_none()
        && let Some(number) = local.unit.get()
    {
        units::thread_waits(number, site);
    }
}

/// Before a method that may synchronise.
pub fn meets(site: &'static Site, object: Object) -> Object {
    here(|local| {
        local.id();
        local.settle();
        waits(local, object, Some(site));
        match object.class {
            Class::Atomic | Class::Lock | Class::Meeting | Class::Channel => {
                release(local, object.key());
            }
            Class::Handle => release(local, Key::Address(object.addr)),
            Class::Inert => {}
            Class::Unknown => local.opaque(),
        }
    });
    object
}

/// After it.
pub fn met<T>(object: Object, value: T) -> T {
    here(|local| {
        waits(local, object, None);
        match object.class {
            Class::Inert => return,
            Class::Atomic | Class::Lock | Class::Channel => acquire(local, object.key()),
            Class::Meeting => {
                acquire(local, object.key());
                let id = local.id();
                engine::with(|engine| engine.relock(id));
            }
            Class::Handle => {
                acquire(local, Key::Address(object.addr));
                acquire(local, Key::Ended);
            }
            Class::Unknown => {}
        }
        // The drop of a permit or of a channel's other end is not seen.
        local.opaque();
    });
    value
}

/// Sees the end of a lock's guard that a scope drops.
#[derive(Debug, Default)]
pub struct Release {
    lock: AtomicU64,
    number: AtomicU64,
}

static RELEASES: AtomicU64 = AtomicU64::new(1);

impl Release {
    /// Of a guard that is to come.
    #[must_use]
    #[inline]
    pub const fn new() -> Self {
        Self {
            lock: AtomicU64::new(0),
            number: AtomicU64::new(0),
        }
    }

    /// The guard is dropped.
    pub fn now(&self) {
        let number = self.number.swap(0, Ordering::Relaxed);
        if number == 0 {
            return;
        }
        here(|local| {
            let id = local.id();
            let lock = self.lock.load(Ordering::Relaxed);
            let addr = usize::try_from(lock).unwrap_or_default();
            let stamp = engine::with(|engine| engine.unlock(id, addr, number));
            if let Some(stamp) = stamp {
                local.stamp.set(stamp);
            }
        });
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        self.now();
    }
}

/// After a method that takes a lock, whose release is seen if `seen` is there.
pub fn locked<T>(
    site: &'static Site,
    object: Object,
    shared: bool,
    value: T,
    seen: Option<&Release>,
) -> T {
    took(site, object, shared, true, seen);
    value
}

/// After a method that took a lock if it succeeded.
pub fn took(
    site: &'static Site,
    object: Object,
    shared: bool,
    succeeded: bool,
    seen: Option<&Release>,
) {
    here(|local| {
        let id = local.id();
        local.settle();
        match object.class {
            Class::Lock if succeeded => {
                let wanders = local.task.borrow().is_some();
                let number = match seen {
                    Some(seen) => {
                        let number = RELEASES.fetch_add(1, Ordering::Relaxed);
                        seen.lock.store(object.addr as u64, Ordering::Relaxed);
                        seen.number.store(number, Ordering::Relaxed);
                        number
                    }
                    None => 0,
                };
                engine::with(|engine| {
                    engine.lock(id, object.addr, shared, site, number, wanders);
                });
                local.acquired();
            }
            Class::Lock | Class::Inert => {}
            Class::Atomic | Class::Meeting | Class::Channel | Class::Handle => {
                acquire(local, object.key());
                local.opaque();
            }
            Class::Unknown => local.opaque(),
        }
    });
}

/// What an atomic operation does, by its name and its orderings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Atomic {
    /// It stores.
    pub stores: bool,
    /// It acquires.
    pub acquire: bool,
    /// It releases.
    pub release: bool,
}

/// Before an atomic operation.
pub fn atomic(object: Object, operation: Atomic) -> Object {
    here(|local| {
        let id = local.id();
        local.settle();
        match object.class {
            Class::Atomic if operation.stores => {
                let order = Order {
                    acquire: false,
                    release: operation.release,
                };
                let stamp = engine::with(|engine| engine.store(id, object.addr, order));
                local.stamp.set(stamp.unwrap_or_default());
            }
            Class::Atomic | Class::Inert => {}
            Class::Lock | Class::Meeting | Class::Channel | Class::Handle => {
                release(local, object.key());
            }
            Class::Unknown => local.opaque(),
        }
    });
    object
}

/// After an atomic operation.
pub fn atomically<T>(object: Object, operation: Atomic, value: T) -> T {
    here(|local| {
        let id = local.id();
        match object.class {
            Class::Atomic => {
                engine::with(|engine| engine.load(id, object.addr, operation.acquire));
                // A relaxed load counts: a fence may follow.
                local.acquired();
            }
            Class::Inert => {}
            Class::Lock | Class::Meeting | Class::Channel | Class::Handle => {
                acquire(local, object.key());
                local.opaque();
            }
            Class::Unknown => local.opaque(),
        }
    });
    value
}

/// A fence.
pub fn fence(operation: Atomic) {
    here(|local| {
        let id = local.id();
        local.settle();
        let order = Order {
            acquire: operation.acquire,
            release: operation.release,
        };
        let stamp = engine::with(|engine| engine.fence(id, order));
        local.stamp.set(stamp.unwrap_or_default());
    });
}

/// After the join of a thread.
pub fn joined<T>(thread: Option<ThreadId>, value: T) -> T {
    here(|local| {
        local.id();
        local.settle();
        match thread {
            Some(thread) => acquire(local, Key::Thread(thread)),
            None => {
                acquire(local, Key::Ended);
                local.opaque();
            }
        }
    });
    value
}

/// After a scope that joins all its threads.
pub fn all_joined<T>(value: T) -> T {
    here(|local| acquire(local, Key::Ended));
    value
}

// ---- spawns ----

/// A future that is spawned here.
pub fn task<F: Future>(site: &'static Site, future: F) -> Tracked<F> {
    let task = if elsewhere() { None } else { Task::spawn(site) };
    Tracked::new(future, task)
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
            local.id();
            local.settle();
            spawn.number = units::next();
            spawn.parent = local.unit.get();
            spawn.context = local.context.get();
            release(local, Key::Spawn(spawn.number));
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
        Running::new(*self, Key::Spawn(self.number), true)
    }
}

/// The spawns of one place whose functions cannot carry theirs.
#[derive(Debug)]
pub struct Handoff {
    site: &'static Site,
    key: AtomicU64,
    waiting: std::sync::Mutex<Vec<Spawn>>,
}

impl Handoff {
    /// Of `site`.
    #[must_use]
    pub const fn new(site: &'static Site) -> Self {
        Self {
            site,
            key: AtomicU64::new(0),
            waiting: std::sync::Mutex::new(Vec::new()),
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Spawn>> {
        let waiting = self.waiting.lock();
        waiting.unwrap_or_else(std::sync::PoisonError::into_inner)
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
            release(local, Key::Spawn(self.key.load(Ordering::Relaxed)));
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
        Running::new(spawn, Key::Spawn(self.key.load(Ordering::Relaxed)), seen)
    }
}

/// A spawned function runs; dropped when it ends.
#[derive(Debug)]
pub struct Running {
    spawn: Spawn,
    around: Option<(ContextId, Option<u64>)>,
}

impl Running {
    fn new(spawn: Spawn, key: Key, seen: bool) -> Self {
        let around = here(|local| {
            let id = local.spawned();
            let known = engine::with(|engine| {
                engine.belongs(id, Some(spawn.site), spawn.context);
                let known = engine.acquire(id, key);
                if key == Key::Spawn(spawn.number) {
                    engine.forget(key);
                }
                known
            });
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
            release(local, Key::Thread(std::thread::current().id()));
            release(local, Key::Ended);
            local.context.set(context);
            local.unit.set(unit);
        });
        units::remove_thread(self.spawn.number);
    }
}

/// A function that is spawned here and has this name, or none (zero).
pub fn function<T, F: FnOnce() -> T>(
    site: &'static Site,
    name: u64,
    function: F,
) -> impl FnOnce() -> T + use<T, F> {
    let spawn = Spawn::new(site);
    move || {
        let _running = spawn.enter();
        calls(name);
        function()
    }
}

// ---- awaits ----

/// Before an `.await`.
pub fn awaits(site: &'static Site) -> usize {
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
