//! A map behind a read-write lock that is nearly always only read.

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const KEYS: u64 = 1024;
const READS_PER_WRITE: u64 = 256;

/// Does the work and returns a checksum that does not depend on the schedule.
pub fn run(threads: u64, scale: u64) -> u64 {
    let map: BTreeMap<u64, [u64; 4]> = (0..KEYS).map(|key| (key, [key; 4])).collect();
    let map = RwLock::new(map);
    let found = AtomicU64::new(0);
    let steps = 260_000 * scale / threads;
    thread::scope(|scope| {
        for thread in 0..threads {
            let (map, found) = (&map, &found);
            scope.spawn(move || {
                let mut state = thread + 1;
                for step in 0..steps {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let key = (state >> 33) % KEYS;
                    if step % READS_PER_WRITE == 0 {
                        let mut map = map.write().expect("no panics");
                        if let Some(value) = map.get_mut(&key) {
                            value[0] += 1;
                        }
                    } else {
                        let map = map.read().expect("no panics");
                        let value = map.get(&key).map_or(0, |value| value[1] + value[3]);
                        found.fetch_add(value, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let map = map.into_inner().expect("no panics");
    map.values()
        .map(|value| value[0])
        .fold(found.into_inner(), u64::wrapping_add)
}
