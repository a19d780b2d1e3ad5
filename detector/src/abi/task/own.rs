//! Which memory two tasks that one thread polls can share with others.
//!
//! What a thread keeps in its thread-local variables is its own, and what only
//! leads from there: a buffer, the generator of random numbers, an executor's
//! queue. All tasks that it polls use it in turn, and none can have it on
//! another thread. Memory counts as the thread's if it is reached from these
//! variables, by way of its stack too but not of a task, by pointers that the
//! thread has looked at since the poll began: whatever a task uses of its
//! thread, it finds anew in each poll.
//!
//! A task can also find by its thread's number what is the thread's own, or make
//! sure by it that it is on the right one: so what it has read of the thread's
//! variables goes with what is told ([`asked`]).
//!
//! What it misses: pointers that are not kept as such.

use std::collections::{BTreeSet, HashSet};

use super::registry;
use crate::abi::kernel;
use crate::check;
use crate::ids::StackId;
use crate::objects::{self, BlockInfo};
use crate::report::wire::{Asked, Stack};
use crate::rt::lock::Spin;
use crate::rt::thread::Thread;
use crate::schedule;
use crate::shadow::map;
use crate::shadow::word::{GRANULE, Stamp};
use crate::wire;

const WORD: usize = size_of::<usize>();
/// Parts of memory that are looked at; beyond, all counts as the thread's.
const MOST_PARTS: usize = 20_000;
/// Bytes that something on the stack may have.
const ON_STACK: usize = 4096;
/// Bytes of a block that are looked at.
const MOST_BYTES: usize = 1 << 20;

/// Where the memory of tasks is allocated. A queue may still hold the address
/// of a task that has ended.
static TASKS: Spin<BTreeSet<StackId>> = Spin::new(BTreeSet::new());

/// A task's memory begins there.
pub fn task_at(data: usize) {
    if !schedule::is_wanted() {
        return;
    }
    let block = objects::block_at(data);
    if let Some(block) = block.filter(|block| block.stack != StackId::default()) {
        TASKS.lock().insert(block.stack);
    }
}

/// Whether the block that begins at `wanted` is reached from what is the
/// thread's own. The thread polls since the stamp `since`.
pub fn reached(thread: &Thread, wanted: usize, since: Stamp) -> bool {
    let sites = TASKS.lock().clone();
    let mut seen = HashSet::new();
    let mut left = vec![thread.locals.clone()];
    while let Some(range) = left.pop() {
        let words = range.start.next_multiple_of(WORD)..range.end.saturating_sub(WORD - 1);
        for at in words.step_by(WORD) {
            if !check::accessed_since(at, since) {
                continue;
            }
            let Some(word) = read(at) else { continue };
            if thread.stack.contains(&word) {
                if seen.insert(word) {
                    left.push(word..thread.stack.end.min(word + ON_STACK));
                }
                continue;
            }
            let Some(block) = block_of(thread, word) else {
                continue;
            };
            if block.start == wanted {
                return true;
            }
            let is_task = sites.contains(&block.stack) || registry::by_data(block.start).is_some();
            if !is_task && seen.insert(block.start) {
                left.push(block.start..block.start + block.size.min(MOST_BYTES));
            }
        }
        if seen.len() > MOST_PARTS {
            return true;
        }
    }
    false
}

/// What the thread has read of its thread-local variables, and not written, since it
/// began to poll at the stamp `since`.
pub fn asked(thread: &Thread, since: Stamp) -> Vec<Asked> {
    let locals = &thread.locals;
    let granules = (locals.start & !(GRANULE - 1)..locals.end).step_by(GRANULE);
    let reads = granules.filter_map(|at| Some((at, check::only_read_since(at, since)?)));
    reads
        .map(|(at, cell)| Asked {
            stack: check::restore(cell, at).map_or_else(Stack::new, |read| read.stack),
            pointer: read(at).is_some_and(|word| block_of(thread, word).is_some()),
        })
        .collect()
}

/// The heap block that a word leads to, if it is an address in one.
fn block_of(thread: &Thread, word: usize) -> Option<BlockInfo> {
    let elsewhere = thread.locals.contains(&word) || !map::covers(word, 1) || wire::in_module(word);
    (!elsewhere).then(|| objects::find_block(word)).flatten()
}

/// The word at an address, which others may unmap meanwhile: none then.
fn read(at: usize) -> Option<usize> {
    let mut bytes = [0; WORD];
    kernel::read_memory(at, &mut bytes).then(|| usize::from_ne_bytes(bytes))
}
