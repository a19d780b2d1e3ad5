//! From two accesses that nothing but the thread orders to a finding.
//!
//! Most of them are no race: an executor's own memory, or that of the thread.
//! What is looked into is therefore remembered by place and memory, and
//! nothing twice.

use std::collections::{HashMap, HashSet};

use super::Suspects;
use crate::abi::said;
use crate::abi::task::{own, registry};
use crate::check::{self, Seen};
use crate::findings::{self, earlier_leg, kind_of, later_leg};
use crate::ids::StackId;
use crate::objects;
use crate::report::kind::{Certainty, Kind};
use crate::report::wire::{Finding, Memory, Stack};
use crate::rt::lock::Spin;
use crate::rt::thread::Thread;
use crate::shadow::word::Cell;
use crate::wire;

/// Places that are told in a process.
const MOST: usize = 100;
/// Pairs of accesses that one place is looked into for.
const PER_PLACE: u32 = 16;

/// Where memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Static(usize),
    Heap(StackId),
}

/// An access that may be one of a race.
pub struct Place {
    /// First byte of both accesses.
    addr: usize,
    source: Source,
}

#[derive(Default)]
struct Judged {
    /// Pairs of accesses looked into, by the later one and its memory.
    times: HashMap<(u64, Source), u32>,
    /// Places of both accesses, and where their memory comes from.
    pairs: HashSet<(u64, u64, Source)>,
    /// Where memory comes from that was the thread's own.
    own: HashSet<Source>,
}

static JUDGED: Spin<Option<Judged>> = Spin::new(None);

/// What the common bytes of `seen` and `earlier` are, if that is to be looked
/// into: memory that may be shared, and not that often already.
pub fn place(thread: &mut Thread, seen: &Seen, at: usize, earlier: Cell) -> Option<Place> {
    let addr = (at + earlier.mask().trailing_zeros() as usize).max(seen.addr);
    if thread.stack.contains(&addr) || thread.locals.contains(&addr) {
        return None;
    }
    let source = if wire::in_module(addr) {
        Source::Static(addr)
    } else {
        Source::Heap(objects::find_block(addr)?.stack)
    };
    thread.busy += 1;
    let mut judged = JUDGED.lock();
    let judged = judged.get_or_insert_default();
    let times = judged.times.get(&(seen.pc, source)).copied();
    let settled = judged.own.contains(&source)
        || judged.pairs.len() >= MOST
        || times.is_some_and(|times| times >= PER_PLACE);
    thread.busy -= 1;
    (!settled).then_some(Place { addr, source })
}

/// Reports that `seen` would race with `earlier`, had not one thread polled
/// both tasks.
#[cold]
#[inline(never)]
pub fn tell(
    thread: &Thread,
    seen: &Seen,
    at: usize,
    earlier: Cell,
    place: &Place,
    suspects: &Suspects,
) {
    if let Some(finding) = finding(thread, seen, at, earlier, place, suspects) {
        registry::mention(&suspects.now.task);
        registry::mention(&suspects.other.task);
        findings::emit(&finding);
    }
}

fn finding(
    thread: &Thread,
    seen: &Seen,
    at: usize,
    earlier: Cell,
    place: &Place,
    suspects: &Suspects,
) -> Option<Finding> {
    let source = place.source;
    let judged = |with: &dyn Fn(&mut Judged) -> bool| with(JUDGED.lock().get_or_insert_default());
    judged(&|judged| {
        *judged.times.entry((seen.pc, source)).or_default() += 1;
        true
    });
    let before = check::restore(earlier, at);
    // A volatile access is one by design, and memory that was given back
    // between is another's.
    if kind_of(seen, before.as_ref(), earlier) != Kind::DataRace {
        return None;
    }
    let earlier_pc = before.as_ref()?.stack.first().copied()?;
    if judged(&|judged| judged.pairs.contains(&(seen.pc, earlier_pc, source))) {
        return None;
    }
    let memory = findings::memory(place.addr);
    if !is_shared(thread, &memory, suspects) {
        judged(&|judged| judged.own.insert(source));
        return None;
    }
    judged(&|judged| judged.pairs.insert((seen.pc, earlier_pc, source)));
    let mut legs = [later_leg(thread, seen), earlier_leg(before, earlier, at)];
    for (leg, polled) in legs.iter_mut().zip([&suspects.now, &suspects.other]) {
        leg.thread = polled.task.id;
        cut(&mut leg.stack, polled.around);
    }
    Some(Finding {
        kind: Kind::TaskRace,
        certainty: Certainty::Potential,
        said: said::of(&memory, place.addr),
        memory: Some(memory),
        legs: legs.into(),
        fatal: false,
    })
}

/// True for memory that tasks of other threads could get at as well.
fn is_shared(thread: &Thread, memory: &Memory, suspects: &Suspects) -> bool {
    match memory {
        Memory::Static { .. } => true,
        Memory::Heap { start, .. } => {
            usize::try_from(*start).is_ok_and(|start| !own::reached(thread, start, suspects.since))
        }
        Memory::Stack { .. }
        | Memory::ThreadLocal { .. }
        | Memory::Mapped { .. }
        | Memory::Unknown { .. } => false,
    }
}

/// Leaves out the functions around the poll, which go on at `around`.
fn cut(stack: &mut Stack, around: u64) {
    let outside = stack.iter().position(|pc| pc + 1 == around);
    stack.truncate(outside.unwrap_or(stack.len()).max(1));
}
