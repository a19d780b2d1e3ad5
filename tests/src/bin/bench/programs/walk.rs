//! Threads that change words of one large block, each in a part of its own, at
//! places that no cache foresees: what an access costs.

use std::thread;

/// Words changed, by all threads together.
pub const STEPS: u64 = 8 << 20;

/// Does the work in a block of `scale` MiB and returns a checksum.
pub fn run(threads: u64, scale: u64) -> u64 {
    let mut block = vec![0_u64; (scale as usize) << 17];
    let part = block.len().div_ceil(threads as usize);
    let walk = |words: &mut [u64]| {
        let mut dice = 1_u64;
        for _ in 0..STEPS / threads {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = (dice >> 20) as usize % words.len();
            words[at] = words[at].wrapping_add(dice);
        }
        words[words.len() / 2] ^ dice
    };
    thread::scope(|scope| {
        let walks: Vec<_> = block
            .chunks_mut(part)
            .map(|words| scope.spawn(move || walk(words)))
            .collect();
        walks
            .into_iter()
            .map(|walk| walk.join().expect("no walk panics"))
            .fold(0, u64::wrapping_add)
    })
}
