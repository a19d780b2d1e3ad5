//! The memory of the process as a search for reachable tasks sees it, with the
//! world stopped.
//!
//! Heap blocks are those that the interposed `malloc` knows. Roots are all
//! other memory that can be written: static variables, the stacks of all
//! threads from their stack pointers on (of the searching one, as far as the
//! function of its test), the registers of blocked threads, what
//! the program has mapped itself, mappings that nobody has told of, and what
//! the kernel gives back with an event of an epoll descriptor. The runtime's
//! own mappings are left out, and the free blocks of the C library's heap.
//!
//! The world counts as stopped if every other thread is known, was asleep in a
//! call that it had noted, and has not run until the end of the search.
//!
//! What it misses: memory that the program took with `sbrk` between the C
//! library's own, and what uninstrumented code keeps in the kernel otherwise;
//! with an io_uring, nothing is searched.

use std::ops::Range;

use super::{maps, root};
use crate::abi::kernel::{self, State};
use crate::abi::{map, symbols};
use crate::objects;
use crate::reach::{
    Block, Holders, Lock, Reach, RootOf, Space, Task, Waiter, keepers, unreachable,
};
use crate::report::wire::ThreadId;
use crate::rt::hot::current;
use crate::rt::sys;
use crate::rt::thread::{Thread, calls};
use crate::session;

/// Bytes below a stack pointer that belong to the function.
const RED_ZONE: usize = 128;

/// What the searching thread's callers have in registers and on its stack.
#[derive(Debug)]
pub struct Here {
    /// Lowest address of the stack that is searched.
    pub stack: usize,
    /// The registers.
    pub registers: Vec<usize>,
}

/// Ranges larger than this may be reserved and never used.
const RESERVED: usize = 1 << 20;

/// A thread that sleeps.
struct Sleeper {
    record: *const Thread,
    state: State,
}

/// How a search ended.
#[derive(Debug)]
pub enum Search {
    /// For each task, what was found.
    Done(Vec<Reach>),
    /// The world did not stand still.
    Moving,
    /// It cannot be searched.
    Impossible,
}

/// Stops the world and, if `searched`, searches it: else no task counts as
/// unreachable.
pub fn search(tasks: &[Task], locks: &[Lock], here: &Here, searched: bool) -> Search {
    let Some(sleepers) = stopped() else {
        return Search::Moving;
    };
    let found = if searched {
        match search_with(tasks, locks, here, &sleepers) {
            Some(found) => found,
            None => return Search::Impossible,
        }
    } else {
        vec![Reach::Live(Holders::default()); tasks.len()]
    };
    let still = sleepers.iter().all(|sleeper| {
        // SAFETY: records stay mapped for good; an atomic.
        let id = unsafe { &(*sleeper.record).waiting }.kernel_id();
        kernel::state(id).is_some_and(|state| state.switches == sleeper.state.switches)
    });
    if still {
        Search::Done(found)
    } else {
        Search::Moving
    }
}

/// Where the stack of the calling thread is libtest's, if that has called what it
/// is in. A test's function takes nothing and gives nothing that leads to what it
/// makes, so that nothing above leads there either; what is left there of earlier
/// calls may well look like it.
fn end_of_test(thread: &Thread) -> Option<usize> {
    let mut end = None;
    thread.walk(calls::own_frame(), |frame, pc| {
        let calls_tests = symbols::name_of(pc - 1).is_some_and(is_libtest);
        if calls_tests {
            end = Some(frame);
        }
        !calls_tests
    });
    end
}

/// True for the mangled name of the function in which libtest calls a test.
fn is_libtest(name: &str) -> bool {
    const FUNCTION: &str = "4test28___rust_begin_short_backtrace";
    const LEGACY: &str = "_ZN4test28__rust_begin_short_backtrace";
    name.starts_with("_R") && name.contains(FUNCTION) || name.starts_with(LEGACY)
}

fn search_with(
    tasks: &[Task],
    locks: &[Lock],
    here: &Here,
    sleepers: &[Sleeper],
) -> Option<Vec<Reach>> {
    let memory = Memory::of_process(here, sleepers)?;
    Some(memory.search(locks, |space| unreachable(space, tasks)))
}

/// Who has what each of `waiters` waits in, by memory: tasks by their places, and
/// threads after them by theirs in `threads`. None if the world did not stand still, or
/// cannot be searched.
pub fn search_keepers(
    tasks: &[Task],
    threads: &[ThreadId],
    waiters: &[Waiter],
    here: &Here,
) -> Option<Vec<Vec<RootOf>>> {
    let sleepers = stopped()?;
    let memory = Memory::of_process(here, &sleepers)?;
    let place = |id: ThreadId| threads.iter().position(|thread| *thread == id);
    let root_of = |owner: &Owner| match *owner {
        Owner::Nobody => RootOf::Nobody,
        Owner::Stack(id) => place(id).map_or(RootOf::Nobody, RootOf::Stack),
        Owner::Locals(id) => place(id).map_or(RootOf::Nobody, RootOf::Locals),
    };
    let roots: Vec<RootOf> = memory.owners.iter().map(root_of).collect();
    Some(memory.search(&[], |space| keepers(space, &roots, tasks, waiters)))
}

/// Whose a root is.
#[derive(Debug, Clone, Copy)]
enum Owner {
    /// No thread's.
    Nobody,
    /// On this thread's stack, or in its registers.
    Stack(ThreadId),
    /// Among its thread-local variables.
    Locals(ThreadId),
}

/// What a search looks at.
#[derive(Default)]
struct Memory {
    blocks: Vec<Block>,
    roots: Vec<Range<usize>>,
    /// Of each root, whose it is.
    owners: Vec<Owner>,
    /// Words that are in no memory of the program, and of which a root is made.
    loose: Vec<Vec<usize>>,
}

impl Memory {
    fn add(&mut self, root: Range<usize>, owner: Owner) {
        self.roots.push(root);
        self.owners.push(owner);
    }

    fn add_loose(&mut self, words: Vec<usize>, owner: Owner) {
        let at = words.as_ptr() as usize;
        self.add(at..at + size_of_val(&*words), owner);
        self.loose.push(words);
    }

    fn search<R>(
        &self,
        locks: &[Lock],
        search: impl FnOnce(&Space<'_, fn(usize) -> usize>) -> R,
    ) -> R {
        search(&Space {
            blocks: &self.blocks,
            roots: &self.roots,
            locks,
            // SAFETY: blocks and roots are mapped and can be read; nobody unmaps
            // them, since all other threads sleep.
            read: |at| unsafe { (at as *const usize).read_volatile() },
        })
    }

    /// All of the process, whose other threads sleep.
    fn of_process(here: &Here, sleepers: &[Sleeper]) -> Option<Self> {
        let own = sys::own_mappings()?;
        let events = maps::event_data()?;
        let mappings = maps::writable_mappings()?;

        let mut memory = Self::default();
        let mut stacks = Vec::new();
        memory.add_loose(events, Owner::Nobody);
        // SAFETY: the record belongs to this thread.
        let thread = unsafe { current().as_ref() }?;
        stacks.push(thread.stack.clone());
        let done = root::completed(thread);
        let end = end_of_test(thread).unwrap_or(thread.stack.end);
        for part in without(here.stack..end, &done) {
            memory.add(part, Owner::Stack(thread.id));
        }
        memory.add(thread.locals.clone(), Owner::Locals(thread.id));
        memory.add_loose(here.registers.clone(), Owner::Stack(thread.id));
        for sleeper in sleepers {
            // SAFETY: records stay mapped for good, and its thread sleeps.
            let thread = unsafe { &*sleeper.record };
            let pointer = usize::try_from(sleeper.state.call?.stack).ok()?;
            if !thread.stack.contains(&pointer) {
                return None;
            }
            stacks.push(thread.stack.clone());
            let used = pointer.saturating_sub(RED_ZONE).max(thread.stack.start)..thread.stack.end;
            memory.add(used, Owner::Stack(thread.id));
            memory.add(thread.locals.clone(), Owner::Locals(thread.id));
            memory.add_loose(thread.waiting.registers().to_vec(), Owner::Stack(thread.id));
        }

        let mapped = map::mapped();
        let apart: Vec<Range<usize>> = own.into_iter().chain(stacks).collect();
        for mapping in mappings {
            let root = |part: Range<usize>| {
                if mapping.own && part.len() > RESERVED {
                    maps::populated(part)
                } else {
                    vec![part]
                }
            };
            for piece in without(mapping.range, &apart) {
                for part in common(&piece, &mapped).flat_map(root) {
                    memory.add(part, Owner::Nobody);
                }
                for rest in without(piece, &mapped) {
                    let before = memory.blocks.len();
                    objects::blocks(&rest, |block| {
                        memory.blocks.push(Block {
                            start: block.start,
                            size: block.size,
                        });
                    });
                    if memory.blocks.len() == before {
                        for part in root(rest) {
                            memory.add(part, Owner::Nobody);
                        }
                    }
                }
            }
        }
        memory.blocks.sort_unstable_by_key(|block| block.start);
        Some(memory)
    }
}

/// All other threads, if each of them sleeps in a call that it has noted.
fn stopped() -> Option<Vec<Sleeper>> {
    let own = current();
    let mut known = vec![sys::thread_id()];
    let mut sleepers = Vec::new();
    for record in session::live() {
        if std::ptr::eq(record, own) {
            continue;
        }
        // SAFETY: records stay mapped for good; atomics.
        let waiting = unsafe { &(*record).waiting };
        let id = waiting.kernel_id();
        let state = kernel::state(id)?;
        if !state.sleeps || waiting.look().is_none() {
            return None;
        }
        known.push(id);
        sleepers.push(Sleeper { record, state });
    }
    let strangers = kernel::tasks()?.iter().any(|id| !known.contains(id));
    (!strangers).then_some(sleepers)
}

/// The parts of a range that lie in none of `holes`.
fn without(range: Range<usize>, holes: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut parts = vec![range];
    for hole in holes.iter().filter(|hole| !hole.is_empty()) {
        let mut left = Vec::with_capacity(parts.len() + 1);
        for part in parts {
            if hole.end <= part.start || part.end <= hole.start {
                left.push(part);
                continue;
            }
            if part.start < hole.start {
                left.push(part.start..hole.start);
            }
            if hole.end < part.end {
                left.push(hole.end..part.end);
            }
        }
        parts = left;
    }
    parts
}

/// The parts of a range that lie in one of `others`.
fn common<'a>(
    range: &'a Range<usize>,
    others: &'a [Range<usize>],
) -> impl Iterator<Item = Range<usize>> + 'a {
    others
        .iter()
        .map(|other| other.start.max(range.start)..other.end.min(range.end))
        .filter(|part| part.start < part.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_cut_a_range() {
        assert_eq!(without(0..100, &[]), [0..100]);
        assert_eq!(without(0..100, &[20..30, 25..40]), [0..20, 40..100]);
        assert_eq!(without(10..20, &[0..15]), [15..20]);
        assert_eq!(without(10..20, &[0..50]), []);
        assert_eq!(without(10..20, &[12..12, 20..30]), [10..20]);
    }

    #[test]
    fn what_two_have_in_common() {
        let others = [0..15, 30..40, 18..25];
        let found: Vec<_> = common(&(10..20), &others).collect();
        assert_eq!(found, [10..15, 18..20]);
    }

    #[test]
    fn only_libtest_calls_tests() {
        assert!(is_libtest(
            "_RINvCs3mSbOeLENLV_4test28___rust_begin_short_backtraceINtNtCsgEmfK2I1SDS_4core6result"
        ));
        assert!(is_libtest(
            "_ZN4test28__rust_begin_short_backtrace17h4151719af25685e3E"
        ));
        assert!(!is_libtest(
            "_RINvNtNtCsjrHSEGnQ3l9_3std3sys9backtrace28___rust_begin_short_backtraceNCNvCs"
        ));
    }
}
