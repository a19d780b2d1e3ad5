//! Units: the tasks and threads that tracked code has spawned and that have
//! not ended.

use std::collections::HashMap;
use std::iter;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::Instant;

use super::context::{self, ContextId};
use super::sharded::{Sharded, lock};
use super::site::{Item, Site};
use super::task::Task;

/// What is spawned.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its number, never used again.
    pub number: u64,
    /// Where it was spawned.
    pub site: &'static Site,
    /// What it belongs to.
    pub context: ContextId,
    /// The unit that spawned it.
    pub parent: Option<u64>,
    /// Its name.
    pub name: Option<String>,
    /// It has begun to run; a task always counts as begun.
    pub begun: bool,
    /// What it waits for, for a thread.
    pub waits: Option<&'static Site>,
}

/// A unit that is still there.
#[derive(Debug, Clone)]
pub struct Leaked {
    /// Which.
    pub unit: Unit,
    /// A task, or else a thread.
    pub is_task: bool,
    /// Its parent, in words.
    pub parent: Option<String>,
    /// It can never run again.
    pub stuck: bool,
    /// How often it was polled.
    pub polls: u64,
    /// Where it waits, the outermost first.
    pub awaits: Vec<&'static Site>,
    /// Who woke it last.
    pub woken_by: Option<String>,
}

impl Leaked {
    /// The items that speak of it: the one that spawned it, and those that it
    /// waits in.
    pub fn items(&self) -> impl Iterator<Item = &'static Item> {
        let awaits = self.awaits.iter().copied();
        iter::once(self.unit.site)
            .chain(awaits)
            .map(|site| site.item)
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);
static TASKS: Sharded<u64, Weak<Task>> = Sharded::new();
static THREADS: Sharded<u64, Unit> = Sharded::new();
static WAITERS: AtomicUsize = AtomicUsize::new(0);
static CHANGES: Mutex<u64> = Mutex::new(0);
static CHANGED: Condvar = Condvar::new();

/// The number of the next unit.
pub fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A task was spawned.
pub fn add_task(task: &Arc<Task>) {
    TASKS.with(&task.number, |tasks| {
        tasks.insert(task.number, Arc::downgrade(task));
    });
}

/// A task is complete, or was dropped.
pub fn remove_task(number: u64) {
    TASKS.with(&number, |tasks| tasks.remove(&number));
    changed();
}

/// The thread of this number waits at a place, or no longer.
pub fn thread_waits(number: u64, site: Option<&'static Site>) {
    THREADS.with(&number, |threads| {
        if let Some(unit) = threads.get_mut(&number) {
            unit.waits = site;
        }
    });
}

/// A thread is spawned, or has begun.
pub fn add_thread(unit: Unit) {
    let number = unit.number;
    THREADS.with(&number, |threads| threads.insert(number, unit));
}

/// It has ended.
pub fn remove_thread(number: u64) {
    THREADS.with(&number, |threads| threads.remove(&number));
    changed();
}

/// Tells those who wait for the end of units.
pub fn changed() {
    if WAITERS.load(Ordering::SeqCst) > 0 {
        *lock(&CHANGES) += 1;
        CHANGED.notify_all();
    }
}

/// Calls `done` until it returns true, again whenever a unit has changed; not
/// beyond `until`. What it returned last.
pub fn wait(until: Instant, mut done: impl FnMut(bool) -> bool) -> bool {
    WAITERS.fetch_add(1, Ordering::SeqCst);
    let result = loop {
        let seen = *lock(&CHANGES);
        let left = until.saturating_duration_since(Instant::now());
        let late = left.is_zero();
        if done(late) || late {
            break !late;
        }
        let changes = lock(&CHANGES);
        drop(CHANGED.wait_timeout_while(changes, left, |now| *now == seen));
    };
    WAITERS.fetch_sub(1, Ordering::SeqCst);
    result
}

/// The units that belong to a context and are there, daemons left out.
pub fn alive(within: ContextId) -> Vec<Leaked> {
    let mut alive = all(|unit| context::within(unit.context, within));
    alive.retain(|leaked| !leaked.items().any(|item| item.daemon));
    alive
}

/// The units that are chosen, by number.
pub fn all(chosen: impl Fn(&Unit) -> bool) -> Vec<Leaked> {
    let mut tasks: Vec<Arc<Task>> = Vec::new();
    TASKS.each(|part| tasks.extend(part.values().filter_map(Weak::upgrade)));
    tasks.retain(|task| chosen(&task.unit()));
    let mut found: Vec<Leaked> = tasks.iter().map(|task| task.describe()).collect();
    drop(tasks);
    let mut threads: Vec<Unit> = Vec::new();
    THREADS.each(|part| threads.extend(part.values().filter(|unit| chosen(unit)).cloned()));
    found.extend(threads.into_iter().map(|unit| Leaked {
        awaits: unit.waits.into_iter().collect(),
        unit,
        is_task: false,
        parent: None,
        stuck: false,
        polls: 0,
        woken_by: None,
    }));
    found.sort_by_key(|leaked| leaked.unit.number);
    name_parents(&mut found);
    found
}

fn name_parents(found: &mut [Leaked]) {
    let names: HashMap<u64, String> = found
        .iter()
        .map(|leaked| {
            let noun = if leaked.is_task { "task" } else { "thread" };
            let unit = &leaked.unit;
            let name = match &unit.name {
                Some(name) => format!("{noun} `{name}`"),
                None => format!("{noun} {}", unit.number),
            };
            (unit.number, name)
        })
        .collect();
    for leaked in found {
        let parent = leaked.unit.parent.and_then(|number| names.get(&number));
        leaked.parent = parent.cloned();
    }
}
