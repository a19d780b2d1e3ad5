//! Threads that begin, meet and end: what a thread costs.

use std::sync::Barrier;
use std::thread;

/// Has the threads meet `scale` times, new ones each time.
pub fn run(threads: u64, scale: u64) -> u64 {
    let mut met = 0;
    for _ in 0..scale {
        let barrier = Barrier::new(threads as usize);
        met += thread::scope(|scope| {
            let meet = || {
                let place = [1_u64; 64];
                barrier.wait();
                std::hint::black_box(place)[7]
            };
            let meetings: Vec<_> = (0..threads).map(|_| scope.spawn(meet)).collect();
            meetings
                .into_iter()
                .map(|meeting| meeting.join().expect("no meeting panics"))
                .sum::<u64>()
        });
    }
    met
}
