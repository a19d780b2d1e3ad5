//! Everything that can go wrong while the sysroot or the runtime is set up.
//! Each message names the object and ends with the way out.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Output;

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

    /// The toolchain lacks a tool of its own.
    #[error(
        "no {tool} in the toolchain `{}` (looked for `{}`)\nhelp: use a toolchain installed by rustup; distribution packages leave {tool} out",
        sysroot.display(), expected.display()
    )]
    NoTool {
        /// Its name.
        tool: &'static str,
        /// The sysroot of the toolchain.
        sysroot: PathBuf,
        /// Where the tool should be.
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

    /// A library of the toolchain does not have the form that it should.
    #[error(
        "failed to read `{}`: {detail}\nhelp: the toolchain is damaged; reinstall it with `rustup toolchain uninstall` and `install`",
        path.display()
    )]
    DamagedLibrary {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },

    /// A tool of the toolchain failed.
    #[error(
        "`{}` failed to instrument `{}` ({status}):\n{stderr}\nhelp: this toolchain's LLVM may be too old or too new; leakcheck needs rustc 1.95 or later",
        tool.display(), library.display()
    )]
    ToolFailed {
        /// The tool.
        tool: PathBuf,
        /// The library that was being instrumented.
        library: PathBuf,
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
    /// What to say when `tool` ended without success.
    pub(crate) fn tool_failed(tool: &Path, library: &Path, output: &Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = stderr.lines().collect();
        Self::ToolFailed {
            tool: tool.to_owned(),
            library: library.to_owned(),
            status: output.status.to_string(),
            stderr: lines[lines.len().saturating_sub(10)..].join("\n"),
        }
    }

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
