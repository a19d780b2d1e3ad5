//! Everything that can go wrong while the sysroot or the runtime is set up.
//! Each message names the object and ends with the way out.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no instrumented sysroot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SysrootError {
    /// `rustc` could not be started.
    #[error(
        "failed to run `{}`: {source}\nhelp: install Rust from https://rustup.rs, or set RUSTC to the compiler to use",
        rustc.display()
    )]
    RustcMissing {
        /// The compiler as it was named.
        rustc: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// `rustc` ran, but its answer is not that of a compiler.
    #[error(
        "failed to understand `{} {arguments}`: {detail}\nhelp: check that RUSTC names a working Rust compiler",
        rustc.display()
    )]
    RustcAnswer {
        /// The compiler as it was named.
        rustc: PathBuf,
        /// The arguments it was given.
        arguments: &'static str,
        /// What it answered.
        detail: String,
    },

    /// The host is not one whose binaries can be instrumented.
    #[error(
        "unsupported host `{host}`: leakcheck instruments programs for `{supported}` only\nhelp: run it there, for instance in a container or in CI",
        supported = super::toolchain::SUPPORTED_HOST
    )]
    UnsupportedHost {
        /// The host triple of the toolchain.
        host: String,
    },

    /// This build of the command embeds no runtime.
    #[error(
        "no runtime for this platform: leakcheck instruments programs for `{supported}` only\nhelp: run it there, for instance in a container or in CI",
        supported = super::toolchain::SUPPORTED_HOST
    )]
    NoRuntime,

    /// The toolchain has no linker of its own.
    #[error(
        "no rust-lld in the toolchain `{}` (looked for `{}`)\nhelp: use a toolchain installed by rustup; distribution packages leave rust-lld out",
        sysroot.display(), expected.display()
    )]
    NoLinker {
        /// The sysroot of the toolchain.
        sysroot: PathBuf,
        /// Where the linker should be.
        expected: PathBuf,
    },

    /// The toolchain has no standard library for the host.
    #[error(
        "no standard library for `{host}` in `{}`\nhelp: run `rustup target add {host}`",
        directory.display()
    )]
    NoStd {
        /// The host triple.
        host: String,
        /// Where the rlibs should be.
        directory: PathBuf,
    },

    /// An rlib carries no bitcode.
    #[error(
        "no LLVM bitcode (section .llvmbc) in `{member}` of `{}`\nhelp: use a toolchain installed by rustup; this one was built without embedded bitcode",
        rlib.display()
    )]
    NoBitcode {
        /// The rlib.
        rlib: PathBuf,
        /// Its member.
        member: String,
    },

    /// An rlib is not an archive, or holds something that is no object.
    #[error(
        "failed to read `{}`: {detail}\nhelp: the toolchain is damaged; reinstall it with `rustup toolchain uninstall` and `install`",
        rlib.display()
    )]
    DamagedRlib {
        /// The rlib.
        rlib: PathBuf,
        /// What is wrong with it.
        detail: String,
    },

    /// The linker refused the bitcode.
    #[error(
        "`{}` failed to instrument `{}` ({status}):\n{stderr}\nhelp: this toolchain's LLVM may be too old or too new; leakcheck needs rustc 1.95 or later",
        linker.display(), rlib.display()
    )]
    Linker {
        /// The linker.
        linker: PathBuf,
        /// The rlib whose bitcode it was given.
        rlib: PathBuf,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        stderr: String,
    },

    /// No directory for the cache can be named.
    #[error(
        "no place for the cache: neither LEAKCHECK_CACHE_DIR, XDG_CACHE_HOME nor HOME is set\nhelp: set LEAKCHECK_CACHE_DIR to a directory that can be written"
    )]
    NoCacheDirectory,

    /// A file operation failed.
    #[error("failed to {action} `{}`: {source}{}", path.display(), way_out(source))]
    Io {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SysrootError {
    /// Names the operation and the file of an I/O error, for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// The help line for an I/O error in the cache, empty if there is nothing to
/// say that the system did not.
fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory => {
            "\nhelp: set LEAKCHECK_CACHE_DIR to a directory that can be written"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "\nhelp: about 150 MB are needed; free some space, or set LEAKCHECK_CACHE_DIR to another disk"
        }
        _ => "",
    }
}
