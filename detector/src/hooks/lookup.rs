//! Finds the runtime's table of hooks.
//!
//! What it misses: programs without dynamic linking, and other systems than
//! Linux. There is no runtime there; they find no table.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::table::{Hooks, SYMBOL};

/// Not looked for yet.
const UNKNOWN: usize = 0;
/// There is none.
const NONE: usize = 1;

/// The table's address, once it is known.
static TABLE: AtomicUsize = AtomicUsize::new(UNKNOWN);

/// The runtime's table, if this process has a runtime that fills it as far as
/// this text knows it.
#[inline]
pub fn hooks() -> Option<&'static Hooks> {
    let mut known = TABLE.load(Ordering::Relaxed);
    if known <= NONE {
        if known == UNKNOWN {
            known = look();
        }
        if known == NONE {
            return None;
        }
    }
    // SAFETY: the address of a constant table of the runtime's, which stays as
    // long as the process.
    Some(unsafe { &*(known as *const Hooks) })
}

#[cold]
#[inline(never)]
fn look() -> usize {
    let found = find();
    // SAFETY: if not null, the symbol is a table whose first word is its size,
    // in a version whose name promises the layout of what follows.
    let fits = !found.is_null() && unsafe { (*found).size } >= core::mem::size_of::<Hooks>();
    let known = if fits { found as usize } else { NONE };
    TABLE.store(known, Ordering::Relaxed);
    known
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn find() -> *const Hooks {
    unsafe extern "C" {
        fn dlsym(handle: *mut core::ffi::c_void, name: *const u8) -> *mut core::ffi::c_void;
    }
    // SAFETY: a null handle is the default search order, and the name ends in
    // a null.
    unsafe { dlsym(core::ptr::null_mut(), SYMBOL.as_ptr()) }.cast::<Hooks>()
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn find() -> *const Hooks {
    let _ = SYMBOL;
    core::ptr::null()
}
