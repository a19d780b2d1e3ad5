//! The whole check, quick paths and lists included, against the naive model:
//! executions of several threads, taken in turns by one.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Seen, access, access_range, end_of_life, fresh, is_long, small};
use crate::findings::simulated::{begin, told};
use crate::report::wire::{AccessOp, ThreadId};
use crate::rt::thread::Thread;
use crate::session;
use crate::shadow::word::{Class, GRANULE, Mask};
use crate::sync::ReleaseClock;

#[path = "../../tests/model/mod.rs"]
mod model;
use model::{ATOMICS, Model, Op, THREADS, op};

/// Memory of an execution: eight lines of shadow memory.
#[repr(align(64))]
struct Memory(#[expect(dead_code, reason = "only its address counts")] [u64; 32]);

/// Where the bytes of the model are: in two granules, in the midst of what
/// accesses to ranges cover.
const PLACE: usize = 128 + GRANULE / 2;

/// The runtime's records of threads that this one plays.
struct Engine {
    threads: Vec<&'static mut Thread>,
    atomics: Vec<ReleaseClock>,
    memory: Box<Memory>,
    events: u64,
}

impl Engine {
    fn new() -> Self {
        begin();
        let start = |id| {
            let record = session::new_thread(ThreadId(1000 + id), &[], 1 << 16);
            // SAFETY: the record is this test's alone.
            unsafe { &mut *record }
        };
        Self {
            threads: (0..THREADS as u32).map(start).collect(),
            atomics: Vec::new(),
            memory: Box::new(Memory([0; 32])),
            events: 0,
        }
    }

    /// Begins another execution: each thread knows all of the last one.
    fn begin(&mut self, reserved: bool) {
        let all: Vec<Vec<u64>> = self
            .threads
            .iter()
            .map(|t| t.clocks.now().to_vec())
            .collect();
        for thread in &mut self.threads {
            thread.again.clear();
            let (slot, epoch) = (thread.stamp_value().slot(), thread.stamp_value().epoch());
            thread.clocks.start(slot, epoch, &[]);
            all.iter().for_each(|known| thread.clocks.learn(known));
            session::tick(thread);
        }
        self.atomics = (0..ATOMICS).map(|_| ReleaseClock::new()).collect();
        let at = (&raw const *self.memory) as usize;
        let owner = reserved.then(|| &*self.threads[0]);
        fresh(at..at + size_of_val(&*self.memory), owner);
    }

    /// Makes an access to all bytes of the model, and to more around them; a
    /// write is the end of that memory now and then.
    fn wide(me: &mut Thread, seen: Seen, memory: &Memory, event: u64) {
        let memory = (&raw const *memory) as usize;
        let size = size_of::<Memory>();
        let range = memory + event as usize % 5 * 8..memory + size - event as usize % 3 * 8;
        assert!(is_long(range.len()));
        if event % 4 == 1 && !seen.access.is_read() {
            end_of_life(me, range, AccessOp::Free, seen.pc, true);
        } else {
            let seen = Seen {
                addr: range.start,
                size: range.len(),
                ..seen
            };
            access_range::<true>(me, seen);
        }
    }

    /// Performs an operation; true if a race was told.
    fn step(&mut self, thread: usize, op: Op) -> bool {
        let me = &mut *self.threads[thread];
        self.events += 1;
        let before = told();
        let released = match op {
            Op::Access(kind, mask) => {
                let first = mask.trailing_zeros() as usize;
                let seen = Seen {
                    addr: (&raw const *self.memory) as usize + PLACE + first,
                    size: mask.count_ones() as usize,
                    access: kind,
                    op: if kind.is_read() {
                        AccessOp::Read
                    } else {
                        AccessOp::Write
                    },
                    pc: self.events,
                };
                let within = seen.addr % GRANULE;
                if kind.class() == Class::Plain && mask == Mask::MAX && self.events % 4 > 0 {
                    Self::wide(me, seen, &self.memory, self.events);
                } else if within + seen.size <= GRANULE && self.events.is_multiple_of(2) {
                    let bytes = ((1u16 << seen.size) - 1) << within;
                    small(me, || seen, bytes as Mask);
                } else {
                    access(me, seen);
                }
                false
            }
            Op::Load(on, acquire) => {
                me.clocks.load(&self.atomics[on], acquire);
                false
            }
            Op::Store(on, release) => {
                me.before_release();
                me.clocks.store(&mut self.atomics[on], release)
            }
            Op::ReadModifyWrite(on, order) => {
                me.before_release();
                me.clocks.read_modify_write(&mut self.atomics[on], order)
            }
            Op::Fence(order) => {
                me.before_release();
                me.clocks.fence(order)
            }
        };
        if released {
            session::tick(me);
        }
        told() > before
    }
}

#[test]
fn check_and_model_agree() {
    let engine = RefCell::new(Engine::new());
    let executions = (
        any::<bool>(),
        prop::collection::vec((0..THREADS, op()), 1..96),
    );
    let mut runner = TestRunner::new(ProptestConfig::with_cases(3000));
    let agree = runner.run(&executions, |(reserved, execution)| {
        let mut model = Model::new();
        let mut engine = engine.borrow_mut();
        engine.begin(reserved);
        for (at, &(thread, op)) in execution.iter().enumerate() {
            let expected = model.step(thread, op);
            let found = engine.step(thread, op);
            prop_assert_eq!(
                found,
                expected,
                "event {} of thread {}: {:?}",
                at,
                thread,
                op
            );
            if expected {
                break;
            }
        }
        Ok(())
    });
    if let Err(difference) = agree {
        panic!("{difference}");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            // SAFETY: made by `new`, and not used any more.
            unsafe { session::end_thread(thread) };
        }
    }
}
