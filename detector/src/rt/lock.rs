//! A spin lock that gives way: for critical sections of a few instructions in
//! code that must not call the C library.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};

use super::sys;

/// What a held word holds: the number of the process in its line of forks. A
/// word that an earlier one's thread held is free: that thread is not here.
static GENERATION: AtomicU32 = AtomicU32::new(1);

/// In the child of a fork: frees what the threads of the parent held.
pub fn forget_holders() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// One word that is free (0) or held (the number of the process).
#[derive(Debug, Default)]
pub struct SpinWord(AtomicU32);

impl SpinWord {
    /// A free one.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Takes it.
    #[inline]
    pub fn lock(&self) {
        let own = GENERATION.load(Ordering::Relaxed);
        if self.0.swap(own, Ordering::Acquire) == own {
            self.wait(own);
        }
    }

    #[cold]
    fn wait(&self, own: u32) {
        let mut spins = 0u32;
        loop {
            if self.0.load(Ordering::Relaxed) != own && self.0.swap(own, Ordering::Acquire) != own {
                return;
            }
            spins += 1;
            if spins.is_multiple_of(32) {
                sys::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }

    /// Gives it back. The caller holds it.
    #[inline]
    pub fn unlock(&self) {
        self.0.store(0, Ordering::Release);
    }
}

/// A value behind a [`SpinWord`].
#[derive(Debug, Default)]
pub struct Spin<T> {
    word: SpinWord,
    /// Invariant: touched only while `word` is held.
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through the guard, by one thread at once.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    /// A value with its lock free.
    pub const fn new(value: T) -> Self {
        Self {
            word: SpinWord::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock.
    pub fn lock(&self) -> SpinGuard<'_, T> {
        self.word.lock();
        SpinGuard { spin: self }
    }

    /// Makes the lock free whoever held it: in the child of a fork, where the
    /// holder no longer exists.
    pub fn reset(&self) {
        self.word.unlock();
    }
}

/// The right to touch the value.
#[derive(Debug)]
pub struct SpinGuard<'a, T> {
    spin: &'a Spin<T>,
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the lock is held as long as the guard lives.
        unsafe { &*self.spin.value.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held as long as the guard lives, and the guard
        // is borrowed mutably.
        unsafe { &mut *self.spin.value.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        self.spin.word.unlock();
    }
}
