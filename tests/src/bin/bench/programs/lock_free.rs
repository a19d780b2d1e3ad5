//! A bounded multi-producer multi-consumer queue of sequence-numbered cells,
//! after Dmitry Vyukov: atomics, spinning, and data handed over without locks.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const CAPACITY: usize = 256;

struct Cell {
    sequence: AtomicUsize,
    value: UnsafeCell<[u64; 4]>,
}

struct Queue {
    cells: Vec<Cell>,
    head: AtomicUsize,
    tail: AtomicUsize,
}

// SAFETY: a cell's value is touched only by the thread that moved `head` or
// `tail` past it, and handed over by the release store to its sequence.
unsafe impl Sync for Queue {}

impl Queue {
    fn new() -> Self {
        let cell = |index| Cell {
            sequence: AtomicUsize::new(index),
            value: UnsafeCell::new([0; 4]),
        };
        Self {
            cells: (0..CAPACITY).map(cell).collect(),
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
        }
    }

    fn push(&self, value: [u64; 4]) -> bool {
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            let cell = &self.cells[tail % CAPACITY];
            let sequence = cell.sequence.load(Ordering::Acquire);
            if sequence == tail {
                match self.tail.compare_exchange_weak(
                    tail,
                    tail + 1,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: the exchange made this thread the owner.
                        unsafe { *cell.value.get() = value };
                        cell.sequence.store(tail + 1, Ordering::Release);
                        return true;
                    }
                    Err(current) => tail = current,
                }
            } else if sequence < tail {
                return false;
            } else {
                tail = self.tail.load(Ordering::Relaxed);
            }
        }
    }

    fn pop(&self) -> Option<[u64; 4]> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let cell = &self.cells[head % CAPACITY];
            let sequence = cell.sequence.load(Ordering::Acquire);
            if sequence == head + 1 {
                match self.head.compare_exchange_weak(
                    head,
                    head + 1,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: the exchange made this thread the owner.
                        let value = unsafe { *cell.value.get() };
                        cell.sequence.store(head + CAPACITY, Ordering::Release);
                        return Some(value);
                    }
                    Err(current) => head = current,
                }
            } else if sequence <= head {
                return None;
            } else {
                head = self.head.load(Ordering::Relaxed);
            }
        }
    }
}

/// Does the work and returns a checksum that does not depend on the schedule.
pub fn run(threads: u64, scale: u64) -> u64 {
    let queue = Queue::new();
    let items = 600_000 * scale / threads;
    // Each thread pushes a batch and pops as many as it pushed, so that the
    // work does not depend on who waits for whom.
    let sums: Vec<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let queue = &queue;
                scope.spawn(move || {
                    let mut sum = 0_u64;
                    let mut item = 0;
                    while item < items {
                        let batch = (items - item).min(16);
                        for _ in 0..batch {
                            let value = item * threads + thread;
                            while !queue.push([value, value ^ 1, value << 1, !value]) {
                                thread::yield_now();
                            }
                            item += 1;
                        }
                        for _ in 0..batch {
                            let value = loop {
                                match queue.pop() {
                                    Some(value) => break value,
                                    None => thread::yield_now(),
                                }
                            };
                            sum = value.iter().fold(sum, |sum, part| sum.wrapping_add(*part));
                        }
                    }
                    sum
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panics"))
            .collect()
    });
    sums.into_iter().fold(0, u64::wrapping_add)
}
