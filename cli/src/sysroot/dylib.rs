//! `libstd-*.so`, which crates of the type `dylib` and programs that depend on
//! them link instead of the rlibs.
//!
//! `rustc` itself makes the library: an empty crate of the type `dylib` that
//! contains the instrumented std has the same exported symbols as the shipped
//! library. It then gets the shipped library's name and crate metadata, which
//! are what `rustc` recognises it by.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::{Object, ObjectSection};

use super::SysrootError;

/// The section of a Rust shared library that holds its crate metadata.
const METADATA_SECTION: &str = ".rustc";

/// What a shared library is made with.
pub(super) struct Kit<'a> {
    /// The compiler.
    pub(super) rustc: &'a Path,
    /// The sysroot that is being built; its rlibs are finished.
    pub(super) sysroot: &'a Path,
    /// `rust-objcopy` of the toolchain.
    pub(super) objcopy: &'a Path,
    /// Where `rust-objcopy` finds LLVM.
    pub(super) libraries: PathBuf,
    /// Where intermediate files go.
    pub(super) work: &'a Path,
}

impl Kit<'_> {
    /// Makes the instrumented counterpart of `shipped` at `path`.
    pub(super) fn build(&self, shipped: &Path, path: &Path) -> Result<(), SysrootError> {
        let metadata = self.work.join("metadata");
        fs::write(&metadata, metadata_of(shipped)?)
            .map_err(SysrootError::io("write", &metadata))?;
        let source = self.work.join("empty.rs");
        fs::write(&source, "").map_err(SysrootError::io("write", &source))?;

        let name = path.file_name().unwrap_or_default();
        let linked = self.work.join(name);
        let mut command = Command::new(self.rustc);
        command
            .args(["--edition=2024", "--crate-type=dylib", "--crate-name=empty"])
            .args(["-Cprefer-dynamic=no", "-Clink-arg=-Xlinker"])
            .arg(joined("-Clink-arg=-soname=", name.as_ref()))
            .arg("--sysroot")
            .args([self.sysroot, &source])
            .arg("-o")
            .arg(&linked);
        run(command, self.rustc, shipped)?;

        let mut command = Command::new(self.objcopy);
        command
            .env("LD_LIBRARY_PATH", &self.libraries)
            .arg(format!("--remove-section={METADATA_SECTION}"))
            .arg(joined(
                &format!("--add-section={METADATA_SECTION}="),
                &metadata,
            ))
            .args([&*linked, path]);
        run(command, self.objcopy, shipped)
    }
}

/// The linker arguments by which a program finds the instrumented
/// `libstd-*.so` of `library` before the shipped one: cargo names the latter's
/// directory in `LD_LIBRARY_PATH`, which only the older kind of entry outranks.
pub(super) fn link_args(library: &Path) -> [OsString; 3] {
    [
        "-Clink-arg=-Wl,--disable-new-dtags".into(),
        "-Clink-arg=-Xlinker".into(),
        joined("-Clink-arg=-rpath=", library),
    ]
}

/// The crate metadata of a Rust shared library.
fn metadata_of(library: &Path) -> Result<Vec<u8>, SysrootError> {
    let data = fs::read(library).map_err(SysrootError::io("read", library))?;
    let damaged = |detail: String| SysrootError::DamagedLibrary {
        path: library.to_owned(),
        detail,
    };
    let file = object::File::parse(&*data).map_err(|error| damaged(error.to_string()))?;
    let section = file
        .section_by_name(METADATA_SECTION)
        .ok_or_else(|| damaged(format!("it has no section {METADATA_SECTION}")))?;
    let metadata = section.data().map_err(|error| damaged(error.to_string()))?;
    Ok(metadata.to_vec())
}

/// Runs a tool on behalf of the library `shipped`.
fn run(mut command: Command, tool: &Path, shipped: &Path) -> Result<(), SysrootError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(SysrootError::io("run", tool))?;
    if output.status.success() {
        return Ok(());
    }
    Err(SysrootError::tool_failed(tool, shipped, &output))
}

/// An option and a path as one argument.
fn joined(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}
