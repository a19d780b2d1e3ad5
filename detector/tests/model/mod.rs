//! A naive model of happens-before: every event of an execution with the set
//! of events that happen before it.

use std::collections::BTreeSet;

use leakcheck::shadow::word::{Access, Class, Mask};
use leakcheck::sync::Order;
use proptest::prelude::*;

/// Threads of an execution.
pub const THREADS: usize = 4;
/// Atomic variables of an execution.
pub const ATOMICS: usize = 2;
/// What a thread does next.
#[derive(Debug, Clone, Copy)]
pub enum Op {
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

/// Any operation.
pub fn op() -> impl Strategy<Value = Op> {
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

/// All events of an execution so far.
#[derive(Default)]
pub struct Model {
    threads: Vec<ModelThread>,
    /// What an acquire load of each variable synchronises with.
    atomics: Vec<BTreeSet<usize>>,
    accesses: Vec<(usize, usize, Access, Mask)>,
    events: usize,
}

impl Model {
    /// Before the first event.
    pub fn new() -> Self {
        Self {
            threads: vec![ModelThread::default(); THREADS],
            atomics: vec![BTreeSet::new(); ATOMICS],
            ..Self::default()
        }
    }

    /// Performs an operation; true if it is an access that races.
    pub fn step(&mut self, thread: usize, op: Op) -> bool {
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
