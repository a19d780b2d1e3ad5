//! The runtime object that instrumented programs are linked with.
//!
//! `build.rs` builds it once and this file embeds it, so that the installed
//! command needs nothing beside itself. It holds its own std with all symbols
//! local, so it fits programs of any toolchain.

use std::path::PathBuf;

use leakcheck::report::wire::{NO_RACES, RACES_MARK};

use crate::sysroot::{Cache, SysrootError};

/// The object, empty on hosts for which there is no runtime.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/runtime.o"));

/// Names the object: the first digits of its SHA-256.
const HASH: &str = env!("LEAKCHECK_RUNTIME_HASH");

/// What `rustc` must be told besides the object where it links an executable.
///
/// Linkers export a symbol of an executable to the shared libraries that they
/// see. A library opened while the program runs needs the hooks as well, if
/// it was instrumented.
/// The table of hooks is looked up by name.
pub const LINK_ARGS: &[&str] = &[
    "-Clink-arg=-Wl,--export-dynamic-symbol=__tsan_*",
    "-Clink-arg=-Wl,--export-dynamic-symbol=__leakcheck_hooks_v1",
];

/// Returns the path of the runtime object, writing it to the cache first if
/// this version of it is not there.
///
/// # Errors
///
/// If there is no runtime for this host, or the cache cannot be written.
pub fn ensure(cache: &Cache) -> Result<PathBuf, SysrootError> {
    if OBJECT.is_empty() {
        return Err(SysrootError::NoRuntime);
    }
    cache.store("runtime", &format!("{HASH}.o"), OBJECT)
}

/// As [`ensure`], for programs that are not instrumented: the object that looks
/// for leaks and deadlocks alone.
///
/// # Errors
///
/// As for [`ensure`].
pub fn ensure_without_races(cache: &Cache) -> Result<PathBuf, SysrootError> {
    let object = without_races(OBJECT).ok_or(SysrootError::NoRuntime)?;
    cache.store("runtime", &format!("{HASH}-leaks.o"), &object)
}

/// The object with its mark changed; none if it has none.
fn without_races(object: &[u8]) -> Option<Vec<u8>> {
    let mark = object
        .windows(RACES_MARK.len())
        .position(|bytes| bytes == RACES_MARK)?;
    let mut object = object.to_vec();
    object[mark + RACES_MARK.len() - 1] = NO_RACES;
    Some(object)
}

#[cfg(test)]
mod tests;
