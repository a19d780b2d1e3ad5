//! The engine against a naive model of happens-before.
//!
//! The model compares each access with all earlier ones. The engine keeps
//! clocks and cells. They must agree on every access, up to the first race of
//! the execution.

mod model;

use leakcheck::ids::{Epoch, Slot};
use leakcheck::race::{self, Update};
use leakcheck::shadow::word::{Cell, WORDS};
use leakcheck::sync::{Clocks, ReleaseClock};
use model::{ATOMICS, Model, Op, THREADS, op};
use proptest::prelude::*;

/// Enough for every cell of an execution: stands for the list of an overflowed
/// granule, which keeps what does not fit in its words.
const ROOM: usize = 64;

struct Engine {
    threads: Vec<Clocks>,
    atomics: Vec<ReleaseClock>,
    words: [Cell; WORDS],
    list: Option<[Cell; ROOM]>,
}

impl Engine {
    fn new() -> Self {
        let start = |slot| {
            let mut clocks = Clocks::new();
            clocks.start(Slot::new(slot), Epoch::new(1), &[]);
            clocks
        };
        Self {
            threads: (0..THREADS).map(start).collect(),
            atomics: (0..ATOMICS).map(|_| ReleaseClock::new()).collect(),
            words: [Cell::EMPTY; WORDS],
            list: None,
        }
    }

    fn step(&mut self, thread: usize, op: Op) -> bool {
        let me = &mut self.threads[thread];
        let mut races = false;
        let released = match op {
            Op::Access(access, mask) => {
                let new = Cell::new(me.stamp(), access, mask);
                let ordered = |cell| me.ordered(cell);
                if self.list.is_none() {
                    let step = race::step(&self.words, new, ordered, |_| false);
                    races = step.race.is_some();
                    match step.update {
                        Update::Nothing => {}
                        Update::Store { index, cell, .. } => self.words[index] = cell,
                        Update::Overflow => {
                            let mut list = [Cell::EMPTY; ROOM];
                            list[..WORDS].copy_from_slice(&self.words);
                            self.list = Some(list);
                        }
                    }
                }
                if let Some(list) = &mut self.list {
                    let step = race::step(list, new, ordered, |_| false);
                    races |= step.race.is_some();
                    match step.update {
                        Update::Nothing => {}
                        Update::Store { index, cell, .. } => list[index] = cell,
                        Update::Overflow => unreachable!("there is room for every cell"),
                    }
                }
                false
            }
            Op::Load(on, acquire) => {
                me.load(&self.atomics[on], acquire);
                false
            }
            Op::Store(on, release) => me.store(&mut self.atomics[on], release),
            Op::ReadModifyWrite(on, order) => me.read_modify_write(&mut self.atomics[on], order),
            Op::Fence(order) => me.fence(order),
        };
        if released {
            assert!(!me.tick());
        }
        races
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn engine_and_model_agree(
        execution in prop::collection::vec((0..THREADS, op()), 1..48)
    ) {
        let mut model = Model::new();
        let mut engine = Engine::new();
        for (at, &(thread, op)) in execution.iter().enumerate() {
            let expected = model.step(thread, op);
            let found = engine.step(thread, op);
            prop_assert_eq!(found, expected, "event {} of thread {}: {:?}", at, thread, op);
            if expected {
                break;
            }
        }
    }
}
