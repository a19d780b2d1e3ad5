//! A pipeline of bounded channels: each message is a small vector that one
//! thread fills and the next transforms, so that ownership moves all the time.

use std::sync::mpsc::sync_channel;
use std::thread;

const LENGTH: usize = 64;

/// Does the work and returns a checksum that does not depend on the schedule.
pub fn run(threads: u64, scale: u64) -> u64 {
    let messages = 70_000 * scale;
    let stages = threads.max(2) - 1;
    thread::scope(|scope| {
        let (first, mut input) = sync_channel::<Vec<u64>>(64);
        scope.spawn(move || {
            for message in 0..messages {
                let filled = (0..LENGTH as u64).map(|item| item ^ message).collect();
                first.send(filled).expect("the next stage receives all");
            }
        });
        for stage in 1..stages {
            let (output, next) = sync_channel(64);
            let previous = std::mem::replace(&mut input, next);
            scope.spawn(move || {
                for mut message in previous {
                    for item in &mut message {
                        *item = item.wrapping_mul(stage + 2).rotate_left(7);
                    }
                    output.send(message).expect("the next stage receives all");
                }
            });
        }
        let mut sum = 0_u64;
        for message in input {
            for item in message {
                sum = sum.wrapping_mul(31).wrapping_add(item);
            }
        }
        sum
    })
}
