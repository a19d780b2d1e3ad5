//! The engine against a naive model of happens-before.
//!
//! The model keeps every event of a random execution with the set of events
//! that happen before it, and compares each access with all earlier ones. The
//! engine keeps clocks and cells. They must agree on every access, up to the
//! first race of the execution.

use std::collections::BTreeSet;

use leakcheck::ids::{Epoch, Slot};
use leakcheck::race::{self, Update};
use leakcheck::shadow::word::{Access, Cell, Class, Mask, WORDS};
use leakcheck::sync::{Clocks, Order, ReleaseClock};
use proptest::prelude::*;

const THREADS: usize = 4;
const ATOMICS: usize = 2;
/// Enough for every cell of an execution: stands for the list of an overflowed
/// granule, which keeps what does not fit in its words.
const ROOM: usize = 64;

#[derive(Debug, Clone, Copy)]
enum Op {
    Access(Access, Mask),
    Load(usize, bool),
    Store(usize, bool),
    ReadModifyWrite(usize, Order),
    Fence(Order),
}

fn order() -> impl Strategy<Value = Order> {
    (any::<bool>(), any::<bool>()).prop_map(|(acquire, release)| Order { acquire, release })
}

fn access() -> impl Strategy<Value = Op> {
    let atomic = prop_oneof![3 => Just(false), 1 => Just(true)];
    (atomic, any::<bool>(), 0usize..4, 0usize..8).prop_map(|(atomic, reads, shift, at)| {
        let size = 1usize << shift;
        let class = if atomic {
            Class::atomic(size)
        } else {
            Class::Plain
        };
        let mask = (((1u16 << size) - 1) << (at / size * size)) as Mask;
        let access = if reads {
            Access::read(class)
        } else {
            Access::write(class)
        };
        Op::Access(access, mask)
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => access(),
        1 => (0..ATOMICS, any::<bool>()).prop_map(|(on, acquire)| Op::Load(on, acquire)),
        1 => (0..ATOMICS, any::<bool>()).prop_map(|(on, release)| Op::Store(on, release)),
        1 => (0..ATOMICS, order()).prop_map(|(on, order)| Op::ReadModifyWrite(on, order)),
        1 => order().prop_map(Op::Fence),
    ]
}

/// What happens before a thread's next event, as the standard has it.
#[derive(Default, Clone)]
struct ModelThread {
    /// Events that happen before its next one, its own included.
    before: BTreeSet<usize>,
    /// Those before its last release fence.
    fenced: BTreeSet<usize>,
    /// What its relaxed loads have read, for an acquire fence.
    pending: BTreeSet<usize>,
}

#[derive(Default)]
struct Model {
    threads: Vec<ModelThread>,
    /// What an acquire load of each variable synchronises with.
    atomics: Vec<BTreeSet<usize>>,
    accesses: Vec<(usize, usize, Access, Mask)>,
    events: usize,
}

impl Model {
    fn new() -> Self {
        Self {
            threads: vec![ModelThread::default(); THREADS],
            atomics: vec![BTreeSet::new(); ATOMICS],
            ..Self::default()
        }
    }

    /// Performs an operation; true if it is an access that races.
    fn step(&mut self, thread: usize, op: Op) -> bool {
        let event = self.events;
        self.events += 1;
        let me = &mut self.threads[thread];
        let mut races = false;
        match op {
            Op::Access(access, mask) => {
                races = self.accesses.iter().any(|&(other, by, earlier, bytes)| {
                    by != thread
                        && !me.before.contains(&other)
                        && bytes & mask != 0
                        && !(earlier.is_read() && access.is_read())
                        && !(earlier.class() == access.class() && access.class().is_atomic())
                });
                self.accesses.push((event, thread, access, mask));
            }
            Op::Load(on, acquire) => {
                let read = self.atomics[on].clone();
                let known = if acquire {
                    &mut me.before
                } else {
                    &mut me.pending
                };
                known.extend(read);
            }
            Op::Store(on, release) => {
                let published = if release { &me.before } else { &me.fenced };
                self.atomics[on] = published.clone();
            }
            Op::ReadModifyWrite(on, order) => {
                let read = self.atomics[on].clone();
                let known = if order.acquire {
                    &mut me.before
                } else {
                    &mut me.pending
                };
                known.extend(read);
                let published = if order.release {
                    &me.before
                } else {
                    &me.fenced
                };
                self.atomics[on].extend(published);
            }
            Op::Fence(order) => {
                if order.acquire {
                    me.before.extend(std::mem::take(&mut me.pending));
                }
                if order.release {
                    me.fenced = me.before.clone();
                }
            }
        }
        self.threads[thread].before.insert(event);
        races
    }
}

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
