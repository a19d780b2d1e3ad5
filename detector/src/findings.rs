//! From a detected race to a finding on the wire: the cold half of the engine.
//!
//! A race is written once for each pair of places; the same later access that
//! races again and again is looked into a few times only.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{kernel, locals, map, said, task};
use crate::check::{self, Seen};
use crate::history::Restored;
use crate::objects;
use crate::registry;
use crate::report::kind::{Certainty, Kind};
use crate::report::wire as wire_types;
use crate::report::wire::{
    Access as WireAccess, AccessOp, Finding, Gap, GapKind, Lane, Leg, Lock, Memory, Record,
    ThreadId, Time,
};
use crate::rt::lock::Spin;
use crate::rt::mode;
use crate::rt::thread::Thread;
use crate::session;
use crate::shadow::word::{Access, Cell, Class};
use crate::stack;
use crate::wire;

/// Findings that one process writes at most.
const LIMIT: usize = 200;
/// Races of one later access that are looked into.
const PER_PLACE: u32 = 16;

#[derive(Default)]
struct Seens {
    /// Races looked into, by the pc of the later access.
    places: HashMap<u64, u32>,
    /// Pairs of places written.
    pairs: HashMap<(u64, u64, Kind), ()>,
}

static SEEN: Spin<Option<Seens>> = Spin::new(None);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static HISTORY_LOST: AtomicU64 = AtomicU64::new(0);
static UNSHADOWED: AtomicU64 = AtomicU64::new(0);

/// An access to memory that has no shadow.
#[cold]
pub fn unshadowed() {
    UNSHADOWED.fetch_add(1, Ordering::Relaxed);
}

/// Reports that `seen` races with `earlier`, found in the granule at `at`.
#[cold]
#[inline(never)]
pub fn race(thread: &mut Thread, seen: &Seen, at: usize, earlier: Cell) {
    #[cfg(test)]
    if simulated::tells() {
        return;
    }
    thread.busy += 1;
    report(thread, seen, at, earlier);
    thread.busy -= 1;
}

fn report(thread: &Thread, seen: &Seen, at: usize, earlier: Cell) {
    {
        let mut seens = SEEN.lock();
        let times = seens
            .get_or_insert_default()
            .places
            .entry(seen.pc)
            .or_default();
        if *times >= PER_PLACE {
            return;
        }
        *times += 1;
    }
    let before = check::restore(earlier, at);
    let kind = kind_of(seen, before.as_ref(), earlier);
    let earlier_pc = before
        .as_ref()
        .and_then(|b| b.stack.first().copied())
        .unwrap_or(0);
    {
        let mut seens = SEEN.lock();
        let pairs = &mut seens.get_or_insert_default().pairs;
        if pairs.len() >= LIMIT {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let pair = (seen.pc.min(earlier_pc), seen.pc.max(earlier_pc), kind);
        match pairs.entry(pair) {
            Entry::Occupied(_) => return,
            Entry::Vacant(place) => {
                place.insert(());
            }
        }
    }
    if before.is_none() {
        HISTORY_LOST.fetch_add(1, Ordering::Relaxed);
    }
    let now = later_leg(thread, seen);
    let then = earlier_leg(before, earlier, at);
    let conflict = at + (earlier.mask().trailing_zeros() as usize);
    let memory = memory(conflict.max(seen.addr));
    // Memory of an allocator that is not seen may have been freed and given
    // out again between the two accesses. Memory whose free was seen is not of
    // such a one, and is no known block any more.
    let certainty = match memory {
        Memory::Unknown { .. } if kind != Kind::RaceWithFree => Certainty::Potential,
        Memory::Unknown { .. }
        | Memory::Static { .. }
        | Memory::Heap { .. }
        | Memory::Stack { .. }
        | Memory::ThreadLocal { .. }
        | Memory::Mapped { .. } => Certainty::Observed,
    };
    let finding = Finding {
        kind,
        certainty,
        said: said::of(&memory, conflict.max(seen.addr)),
        memory: Some(memory),
        legs: vec![now, then],
        fatal: false,
        asked: Vec::new(),
    };
    emit(&finding);
}

/// The threads and tasks that legs speak of.
pub fn mentioned<'a>(legs: impl IntoIterator<Item = &'a Leg>) -> Vec<ThreadId> {
    let of_leg = |leg: &'a Leg| {
        let owner = leg.wait.as_ref().and_then(|wait| wait.owner);
        let status = leg.task.iter();
        let of_task = status.flat_map(task::look::mentioned);
        std::iter::once(leg.thread).chain(owner).chain(of_task)
    };
    legs.into_iter().flat_map(of_leg).collect()
}

/// Writes a finding, the threads that it mentions first.
pub fn emit(finding: &Finding) {
    let mut threads = mentioned(&finding.legs);
    match finding.memory {
        Some(
            Memory::Heap { thread, .. }
            | Memory::Stack { thread, .. }
            | Memory::ThreadLocal { thread, .. },
        ) => threads.push(thread),
        Some(Memory::Static { .. } | Memory::Mapped { .. } | Memory::Unknown { .. }) | None => {}
    }
    let mentioned = mention(&threads);
    wire::write(&Record::Time(Time {
        us: kernel::now() / 1000,
    }));
    wire::write(&Record::Finding(finding.clone()));
    // The process may be killed before it can tell of all.
    for id in mentioned {
        let lane = registry::lane(id).or_else(|| task::registry::lane(id));
        if let Some(lane) = lane {
            wire::write(&Record::Lane(lane));
        }
    }
}

/// Threads and tasks whose lives one process tells at most.
const LANES: u32 = 20_000;

/// Writes who all threads and tasks are and when they lived, if there is something to
/// show it for.
pub fn write_lanes() {
    if wire::findings() == 0 {
        return;
    }
    let created = u32::try_from(registry::created()).unwrap_or(u32::MAX);
    let threads = (0..created.min(LANES)).filter_map(|id| registry::lane(ThreadId(id)));
    let mut lanes: Vec<Lane> = threads.chain(task::registry::lanes()).collect();
    lanes.sort_by_key(|lane| lane.thread);
    lanes.truncate(LANES as usize);
    for lane in lanes {
        wire::write(&Record::Lane(lane));
    }
}

/// Writes who these threads and tasks are, and who spawned them. Returns all
/// of them.
pub fn mention(threads: &[ThreadId]) -> Vec<ThreadId> {
    let described = described(threads);
    let all = described.iter().map(|thread| thread.id).collect();
    for thread in described {
        wire::write(&Record::Thread(thread));
    }
    all
}

/// Who these threads and tasks are, and who spawned them.
pub fn described(threads: &[ThreadId]) -> Vec<wire_types::Thread> {
    let mut known: HashSet<ThreadId> = HashSet::new();
    let mut described: Vec<wire_types::Thread> = Vec::new();
    let mut left = threads.to_vec();
    while let Some(id) = left.pop() {
        if !known.insert(id) {
            continue;
        }
        let found = match registry::describe(id) {
            Some(thread) => vec![thread],
            None => task::registry::describe(id),
        };
        left.extend(found.iter().filter_map(|thread| thread.parent));
        // A task comes with those that spawned it, and each of them is one.
        described.extend(
            found
                .into_iter()
                .filter(|of| of.id == id || known.insert(of.id)),
        );
    }
    described
}

/// What a race is, by what its accesses are.
pub fn kind_of(seen: &Seen, before: Option<&Restored>, earlier: Cell) -> Kind {
    let ops = [Some(seen.op), before.map(|b| b.op)];
    let volatile_read = |access: Access| access.is_read() && access.class() == Class::Volatile;
    if volatile_read(seen.access) || volatile_read(earlier.access()) {
        Kind::VolatileRace
    } else if ops.contains(&Some(AccessOp::Free)) {
        Kind::RaceWithFree
    } else if ops.contains(&Some(AccessOp::Return)) {
        Kind::RaceWithReturn
    } else {
        Kind::DataRace
    }
}

/// The access at hand.
pub fn later_leg(thread: &Thread, seen: &Seen) -> Leg {
    Leg {
        thread: thread.id,
        stack: thread.stack_at(seen.pc),
        access: Some(WireAccess {
            op: seen.op,
            atomic: seen.access.class().is_atomic(),
            addr: seen.addr as u64,
            size: seen.size as u64,
            during: None,
        }),
        locks: thread
            .locks()
            .iter()
            .map(|held| Lock {
                addr: held.addr as u64,
                stack: held.stack(),
                shared: held.shared,
            })
            .collect(),
        wait: None,
        task: None,
    }
}

/// The access of a cell found in the granule at `at`.
pub fn earlier_leg(before: Option<Restored>, earlier: Cell, at: usize) -> Leg {
    let access = earlier.access();
    let fallback = if access.is_read() {
        AccessOp::Read
    } else {
        AccessOp::Write
    };
    let first = earlier.mask().trailing_zeros() as usize;
    Leg {
        thread: match &before {
            Some(before) => before.thread,
            None => registry::by_slot(earlier.slot()).unwrap_or(ThreadId(0)),
        },
        access: Some(WireAccess {
            op: before.as_ref().map_or(fallback, |b| b.op),
            atomic: access.class().is_atomic(),
            addr: before.as_ref().map_or((at + first) as u64, |b| b.addr),
            size: before
                .as_ref()
                .map_or(u64::from(earlier.mask().count_ones()), |b| b.size),
            during: before.as_ref().and_then(|b| b.during),
        }),
        locks: before
            .iter()
            .flat_map(|before| &before.locks)
            .map(|held| Lock {
                addr: held.addr,
                stack: stack::get(held.stack),
                shared: held.shared,
            })
            .collect(),
        stack: before.map(|b| b.stack).unwrap_or_default(),
        wait: None,
        task: None,
    }
}

/// What the memory at `addr` is.
pub fn memory(addr: usize) -> Memory {
    let wire_addr = addr as u64;
    if let Some(block) = objects::find_block(addr) {
        return Memory::Heap {
            addr: wire_addr,
            start: block.start as u64,
            size: block.size as u64,
            thread: block.thread,
            stack: stack::get(block.stack),
        };
    }
    if let Some((thread, below)) = session::find_locals(addr) {
        return Memory::ThreadLocal {
            addr: wire_addr,
            thread,
            initial: locals::initial(below).map(|at| at as u64),
        };
    }
    if let Some(thread) = session::find_stack(addr) {
        return Memory::Stack {
            addr: wire_addr,
            thread: thread.id,
        };
    }
    if map::is_mapped(addr) {
        return Memory::Mapped { addr: wire_addr };
    }
    if wire::in_module(addr) {
        return Memory::Static { addr: wire_addr };
    }
    Memory::Unknown { addr: wire_addr }
}

/// What was not seen, at the end of the process.
pub fn write_gaps() {
    let gaps = [
        (GapKind::FindingsDropped, DROPPED.load(Ordering::Relaxed)),
        (GapKind::HistoryLost, HISTORY_LOST.load(Ordering::Relaxed)),
        (
            GapKind::UnshadowedMemory,
            UNSHADOWED.load(Ordering::Relaxed),
        ),
        (GapKind::ForgottenThreads, session::forgotten()),
        (GapKind::WireWriteFailed, wire::failures()),
        (GapKind::RacesLeftOut, u64::from(mode::leaks_alone())),
    ];
    for (gap, count) in gaps.into_iter().filter(|(_, count)| *count > 0) {
        wire::write(&Record::Gap(Gap {
            gap,
            count,
            detail: None,
        }));
    }
}

/// What unit tests look at.
#[cfg(test)]
pub mod simulated {
    use std::cell::Cell;

    thread_local! {
        static TOLD: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// From now on this thread's races are counted, and not written.
    pub fn begin() {
        TOLD.set(Some(0));
    }

    /// Races counted since.
    pub fn told() -> u32 {
        TOLD.get().unwrap_or(0)
    }

    /// Counts a race, if this thread's are counted.
    pub fn tells() -> bool {
        TOLD.set(TOLD.get().map(|told| told + 1));
        TOLD.get().is_some()
    }
}
