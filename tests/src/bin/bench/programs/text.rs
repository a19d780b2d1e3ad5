//! Words counted in a shared text, each thread in its own map, merged at the
//! end: byte-wise reads, string hashing, one hand-over.

use std::collections::BTreeMap;
use std::thread;

/// Does the work and returns a checksum that does not depend on the schedule.
pub fn run(threads: u64, scale: u64) -> u64 {
    let text: Vec<String> = (0..16_000 * scale)
        .map(|line| {
            (0..12)
                .map(|word| format!("w{:x} ", (line * 31 + word * word * 17) % 509))
                .collect()
        })
        .collect();
    let lines = text.len().div_ceil(threads as usize);
    let counts = thread::scope(|scope| {
        let counters: Vec<_> = text
            .chunks(lines)
            .map(|part| {
                scope.spawn(move || {
                    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
                    for line in part {
                        for word in line.split_whitespace() {
                            *counts.entry(word).or_default() += 1;
                        }
                    }
                    counts
                })
            })
            .collect();
        let mut merged: BTreeMap<&str, u64> = BTreeMap::new();
        for counter in counters {
            for (word, count) in counter.join().expect("no panics") {
                *merged.entry(word).or_default() += count;
            }
        }
        merged
    });
    counts.iter().fold(0, |sum: u64, (word, count)| {
        sum.wrapping_mul(31).wrapping_add(count * word.len() as u64)
    })
}
