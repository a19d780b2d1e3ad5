//! Threads that update one map, split over a few mutexes: the locks are
//! contended now and then, and the data under them is touched every time.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Mutex;
use std::thread;

/// Keys are spread by multiplication, so that every run hashes alike.
type Shard = HashMap<u64, u64, BuildHasherDefault<std::hash::DefaultHasher>>;

const SHARDS: u64 = 4;
const KEYS: u64 = 4096;

/// Does the work and returns a checksum that does not depend on the schedule.
pub fn run(threads: u64, scale: u64) -> u64 {
    let shards: Vec<Mutex<Shard>> = (0..SHARDS).map(|_| Mutex::default()).collect();
    let updates = 500_000 * scale / threads;
    thread::scope(|scope| {
        for thread in 0..threads {
            let shards = &shards;
            scope.spawn(move || {
                let mut state = thread + 1;
                for _ in 0..updates {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let key = (state >> 33) % KEYS;
                    let mut shard = shards[(key % SHARDS) as usize].lock().expect("no panics");
                    *shard.entry(key).or_default() += key;
                }
            });
        }
    });
    let mut sum = 0_u64;
    for shard in shards {
        for (key, value) in shard.into_inner().expect("no panics") {
            sum = sum.wrapping_add(key.wrapping_mul(31).wrapping_add(value));
        }
    }
    sum
}
