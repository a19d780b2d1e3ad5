//! Objects with 32-bit numbers, so that shadow memory can refer to them.
//!
//! Objects come in chunks that stay mapped for good: a number, once valid,
//! always leads to memory of that type. Number 0 is never given out.

use std::sync::atomic::{AtomicPtr, Ordering};

use super::lock::Spin;
use super::sys;

const CHUNK_SHIFT: u32 = 14;
const CHUNK: usize = 1 << CHUNK_SHIFT;
const CHUNKS: usize = 1 << 15;

/// A pool of `T`, which must be valid when all its bytes are zero.
///
/// # Safety
/// As the implementer of [`Zeroed`] vouches.
pub struct Pool<T: Zeroed> {
    chunks: [AtomicPtr<T>; CHUNKS],
    free: Spin<Free>,
}

struct Free {
    /// Numbers given back.
    numbers: Vec<u32>,
    /// The first number never given out.
    next: u32,
}

/// Types that are valid when all their bytes are zero, and are only changed
/// through shared references.
///
/// # Safety
/// Both must hold.
pub unsafe trait Zeroed: Sync {}

impl<T: Zeroed> Default for Pool<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Zeroed> Pool<T> {
    /// An empty pool.
    pub const fn new() -> Self {
        Self {
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
            free: Spin::new(Free {
                numbers: Vec::new(),
                next: 1,
            }),
        }
    }

    /// The object with this number, which [`Pool::take`] gave out.
    #[inline]
    pub fn get(&self, number: u32) -> &T {
        let chunk = self.chunks[(number >> CHUNK_SHIFT) as usize % CHUNKS].load(Ordering::Acquire);
        debug_assert!(!chunk.is_null(), "a number that was never given out");
        // SAFETY: a number given out lies in a chunk that is mapped for good
        // and holds `CHUNK` valid objects.
        unsafe { &*chunk.add(number as usize % CHUNK) }
    }

    /// Takes `out.len()` numbers of objects that nobody uses. An object given back before
    /// comes as its last user left it.
    pub fn take_many(&self, out: &mut [u32]) {
        let mut free = self.free.lock();
        for slot in out {
            *slot = free.numbers.pop().unwrap_or_else(|| self.fresh(&mut free));
        }
    }

    /// One number.
    pub fn take(&self) -> u32 {
        let mut one = [0];
        self.take_many(&mut one);
        one[0]
    }

    fn fresh(&self, free: &mut Free) -> u32 {
        let number = free.next;
        let chunk = (number >> CHUNK_SHIFT) as usize;
        if chunk >= CHUNKS {
            sys::fatal("out of object numbers: the program has more than 500 million live objects");
        }
        if self.chunks[chunk].load(Ordering::Relaxed).is_null() {
            let memory = sys::map(CHUNK * size_of::<T>());
            if memory.is_null() {
                sys::fatal("out of memory for the runtime's objects");
            }
            self.chunks[chunk].store(memory.cast(), Ordering::Release);
        }
        free.next += 1;
        number
    }

    /// Gives numbers back. Nobody uses them.
    pub fn put_many(&self, numbers: &[u32]) {
        self.free.lock().numbers.extend_from_slice(numbers);
    }
}
