//! Tables in parts, each behind a lock of its own, so that threads that deal
//! with different objects do not wait for each other.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A table whose keys are addresses and numbers of our own.
pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// Hashes a few words, quickly: nobody chooses them to collide.
#[derive(Debug, Default, Clone, Copy)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word.cast_unsigned() as u64);
    }
}

/// Takes a lock, also one in whose hold a thread has panicked: the library's
/// own code does not panic between two states that belong together.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parts of a table.
const PARTS: usize = 64;

/// Two parts share no cache line.
#[derive(Debug)]
#[repr(align(128))]
struct Part<K, V>(Mutex<Map<K, V>>);

/// A table in parts.
#[derive(Debug)]
pub struct Sharded<K, V> {
    parts: [Part<K, V>; PARTS],
}

impl<K: Eq + Hash, V> Sharded<K, V> {
    /// An empty table.
    pub const fn new() -> Self {
        Self {
            parts: [const { Part(Mutex::new(HashMap::with_hasher(BuildHasherDefault::new()))) };
                PARTS],
        }
    }

    /// Calls `f` with the part of a key, under its lock.
    pub fn with<R>(&self, key: &K, f: impl FnOnce(&mut Map<K, V>) -> R) -> R {
        let hash = BuildHasherDefault::<Mix>::new().hash_one(key);
        // The table itself takes the lowest and the highest bits.
        let part = (hash >> 20) as usize % PARTS;
        f(&mut lock(&self.parts[part].0))
    }

    /// Calls `f` with each part in turn.
    pub fn each(&self, mut f: impl FnMut(&mut Map<K, V>)) {
        for part in &self.parts {
            f(&mut lock(&part.0));
        }
    }
}

impl<K: Eq + Hash, V> Default for Sharded<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Sharded;

    #[test]
    fn a_key_stays_in_its_part() {
        let table = Sharded::new();
        for key in 0..1000_usize {
            table.with(&(key * 8), |part| part.insert(key * 8, key));
        }
        let found = |key: usize| table.with(&(key * 8), |part| part.get(&(key * 8)).copied());
        assert!((0..1000).all(|key| found(key) == Some(key)));
        let mut parts_in_use = 0;
        table.each(|part| parts_in_use += usize::from(!part.is_empty()));
        assert!(parts_in_use > 32, "{parts_in_use}");
    }
}
