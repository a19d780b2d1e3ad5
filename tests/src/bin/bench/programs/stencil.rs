//! Phases of neighbourly computation with a barrier between them: each thread
//! reads what another wrote in the phase before.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const SIDE: usize = 128;

/// Does the work and returns a checksum that does not depend on the schedule.
pub fn run(threads: u64, scale: u64) -> u64 {
    let threads = threads as usize;
    let phases = 360 * scale;
    let cell = |index: usize| AtomicU32::new((index * 7 % 251) as u32);
    let grids: [Vec<AtomicU32>; 2] = [
        (0..SIDE * SIDE).map(cell).collect(),
        (0..SIDE * SIDE).map(cell).collect(),
    ];
    let barrier = Barrier::new(threads);
    let rows = SIDE.div_ceil(threads);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (grids, barrier) = (&grids, &barrier);
            scope.spawn(move || {
                for phase in 0..phases {
                    let (from, to) = match phase % 2 {
                        0 => (&grids[0], &grids[1]),
                        _ => (&grids[1], &grids[0]),
                    };
                    let last = ((thread + 1) * rows).min(SIDE - 1);
                    for row in (thread * rows).max(1)..last {
                        for column in 1..SIDE - 1 {
                            let at = row * SIDE + column;
                            let sum = [at - SIDE, at - 1, at + 1, at + SIDE]
                                .iter()
                                .map(|&near| from[near].load(Ordering::Relaxed))
                                .fold(0, u32::wrapping_add);
                            to[at].store(sum / 4 + 1, Ordering::Relaxed);
                        }
                    }
                    barrier.wait();
                }
            });
        }
    });
    grids[0].iter().fold(0, |sum: u64, cell| {
        sum.wrapping_mul(31)
            .wrapping_add(cell.load(Ordering::Relaxed).into())
    })
}
