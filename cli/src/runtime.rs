//! The runtime object that instrumented programs are linked with.
//!
//! `build.rs` builds it once and this file embeds it, so that the installed
//! command needs nothing beside itself. It holds its own std with all symbols
//! local, so it fits programs of any toolchain.

use std::path::PathBuf;

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

#[cfg(test)]
mod tests;
