//! The instrumented standard library, made from the one the toolchain ships.
//!
//! Every rlib of a rustup toolchain carries the LLVM bitcode of its objects in
//! the ELF section `.llvmbc`. This module runs that bitcode through the
//! toolchain's own `rust-lld` with the same passes that the tested crates get,
//! and lays the results out as a directory that `rustc --sysroot` accepts. No
//! nightly compiler and no source of std is needed.
//!
//! Why std must be instrumented: the contended paths of `Mutex`, `Condvar`,
//! `mpsc` and the like live inside `libstd`. Without their atomic operations
//! the engine would miss the ordering they establish and report false races.
//!
//! Who calls what:
//!
//! - `toolchain` asks `rustc` what it is;
//! - `cache` names the directory for exactly these inputs and locks it;
//! - `bitcode` takes bitcode out of an rlib and puts an object back;
//! - `build` instruments the rlibs in parallel and completes the directory.
//!
//! What it misses: the crates named in `build::left_plain` stay as shipped,
//! and so does `libstd-*.so`, which only crates with `-Cprefer-dynamic` use.

mod bitcode;
mod build;
mod cache;
mod dylib;
mod error;
mod toolchain;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use cache::Cache;
pub use error::SysrootError;
pub use toolchain::Toolchain;

/// The flags with which `rustc` instruments a crate: the same passes that the
/// instrumented std went through, and frame pointers for the stacks.
///
/// `dce` comes first: without optimisation rustc loads both halves of an enum
/// of two scalars to look at its tag, and leaves the load that nobody uses for
/// LLVM to drop. It is no access of the program.
pub const PASS_FLAGS: &[&str] = &[
    "-Cpasses=forceattrs,tsan-module,function(dce,tsan)",
    "-Cllvm-args=-force-attribute=sanitize_thread",
    "-Cllvm-args=-tsan-distinguish-volatile",
    "-Cforce-frame-pointers=yes",
];

/// What `rustc` must be told where it links an executable, so that the program
/// finds the shared std of `sysroot` if a crate of the type `dylib` is in it.
#[must_use]
pub fn link_args(sysroot: &Path) -> [OsString; 3] {
    let library = sysroot
        .join("lib/rustlib")
        .join(toolchain::SUPPORTED_HOST)
        .join("lib");
    dylib::link_args(&library)
}

/// Returns the directory to give to `rustc --sysroot`, building it first if
/// the cache does not hold it for exactly this toolchain.
///
/// Safe to call from several processes at once: one builds, the others wait.
///
/// # Errors
///
/// If the toolchain or the platform is unsupported, or the cache cannot be
/// written. Nothing half-written stays behind.
pub fn ensure(
    toolchain: &Toolchain,
    cache: &Cache,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, SysrootError> {
    let inputs = build::Inputs::survey(toolchain)?;
    let slot = cache.sysroot_slot(&inputs.key());
    if slot.is_complete() {
        return Ok(slot.into_path());
    }
    let locked = slot.lock(progress)?;
    if !locked.slot().is_complete() {
        build::build(&inputs, &locked, progress)?;
    }
    Ok(locked.into_path())
}
