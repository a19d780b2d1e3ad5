//! From two accesses that nothing but the thread orders to a finding.
//!
//! Most of them are no race: an executor's own memory, or that of the thread.
//! What is looked into is therefore remembered by place and memory, and
//! nothing twice.

use std::collections::{HashMap, HashSet};

use super::{Suspects, ordered};
use crate::abi::said;
use crate::abi::task::{own, registry};
use crate::check::{self, Seen};
use crate::findings::{self, earlier_leg, kind_of, later_leg};
use crate::ids::StackId;
use crate::objects;
use crate::report::kind::{Certainty, Kind};
use crate::report::wire::{Finding, Leg, Memory, Stack};
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

/// Looks into an access that nothing but the thread may order after that of
/// `earlier`, and tells of it if so. True if the memory is the thread's own.
#[cold]
#[inline(never)]
pub fn is_own(
    thread: &mut Thread,
    seen: &Seen,
    at: usize,
    earlier: Cell,
    suspects: &Suspects,
) -> bool {
    let addr = (at + earlier.mask().trailing_zeros() as usize).max(seen.addr);
    if thread.stack.contains(&addr) {
        return false;
    }
    thread.busy += 1;
    let own = source(addr).is_some_and(|source| {
        let own = judged(|judged| judged.own.contains(&source));
        own || looked_into(thread, seen, at, earlier, (addr, source), suspects)
    });
    thread.busy -= 1;
    own
}

/// Where the memory at `addr` comes from, if tasks of other threads could get at it.
fn source(addr: usize) -> Option<Source> {
    if wire::in_module(addr) {
        return Some(Source::Static(addr));
    }
    Some(Source::Heap(objects::find_block(addr)?.stack))
}

/// True if the memory at `addr` is known, and has not been found to be a thread's own.
pub fn is_shared_by_now(addr: usize) -> bool {
    source(addr).is_some_and(|source| !judged(|judged| judged.own.contains(&source)))
}

fn judged<T>(with: impl FnOnce(&mut Judged) -> T) -> T {
    with(JUDGED.lock().get_or_insert_default())
}

/// As [`is_own`], if the memory has not been found to be the thread's already.
fn looked_into(
    thread: &Thread,
    seen: &Seen,
    at: usize,
    earlier: Cell,
    (addr, source): (usize, Source),
    suspects: &Suspects,
) -> bool {
    let again = judged(|judged| {
        let times = judged.times.entry((seen.pc, source)).or_default();
        *times += 1;
        judged.pairs.len() >= MOST || *times > PER_PLACE
    });
    if again || ordered(suspects, earlier) {
        return false;
    }
    let memory = findings::memory(addr);
    if !is_shared(thread, &memory, suspects) {
        judged(|judged| judged.own.insert(source));
        return true;
    }
    let before = check::restore(earlier, at);
    // A volatile access is one by design, and memory that was given back
    // between is another's.
    if kind_of(seen, before.as_ref(), earlier) != Kind::DataRace {
        return false;
    }
    let earlier_pc = before.as_ref().and_then(|before| before.stack.first());
    let is_new =
        earlier_pc.is_some_and(|pc| judged(|judged| judged.pairs.insert((seen.pc, *pc, source))));
    if is_new {
        let legs = [later_leg(thread, seen), earlier_leg(before, earlier, at)];
        tell(thread, legs, (memory, addr), suspects);
    }
    false
}

/// Reports that two accesses would race, had not one thread polled both tasks.
fn tell(thread: &Thread, mut legs: [Leg; 2], (memory, addr): (Memory, usize), suspects: &Suspects) {
    for (leg, polled) in legs.iter_mut().zip([&suspects.now, &suspects.other]) {
        leg.thread = polled.task.id;
        cut(&mut leg.stack, polled.around);
    }
    let mut asked = own::asked(thread, suspects.since);
    for asked in &mut asked {
        cut(&mut asked.stack, suspects.now.around);
    }
    registry::mention(&suspects.now.task);
    registry::mention(&suspects.other.task);
    findings::emit(&Finding {
        kind: Kind::TaskRace,
        certainty: Certainty::Potential,
        said: said::of(&memory, addr),
        memory: Some(memory),
        legs: legs.into(),
        fatal: false,
        asked,
    });
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
