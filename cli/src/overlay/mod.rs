//! Copies of executors that tell the runtime of their tasks.
//!
//! The compiler's wrapper sees each crate that cargo compiles. Where it is one
//! of [`executors`], it compiles a patched copy of the sources instead, made
//! below our own target directory and named by a hash of sources and patch.
//! The copy's paths are mapped back, so that reports and panics name the
//! sources as they are.
//!
//! Nothing is fetched: what is patched is what cargo would have compiled,
//! vendored, by path or from a registry. A release that the edits do not fit
//! is compiled as it is, and a note beside the copies says so ([`notes`]), for
//! the report to say that its tasks are unseen.
//!
//! What it misses: sources outside of the directory of the root module that
//! are changed while cargo considers the crate fresh. Registry crates do not
//! change; for one that is used by path, `leakcheck clean` starts anew.

pub mod executors;
pub mod notes;
pub mod patch;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use self::executors::{OVERLAYS, Overlay, overlay_of};
use self::patch::{Patched, patch};
use crate::error::Error;

/// Changes whenever a patched crate is compiled otherwise than the texts say.
const VERSION: u32 = 1;

/// A compilation, as cargo tells it by arguments and environment.
#[derive(Debug)]
pub struct Compilation<'a> {
    /// `CARGO_PKG_NAME`.
    pub package: &'a str,
    /// `CARGO_PKG_VERSION`.
    pub version: &'a str,
    /// `--crate-name`.
    pub krate: &'a str,
}

/// Names all overlays: part of the target directory's key.
#[must_use]
pub fn key() -> String {
    let mut hash = Sha256::new();
    hash.update(VERSION.to_le_bytes());
    for overlay in OVERLAYS {
        add_patch(&mut hash, overlay);
    }
    digits(hash)
}

/// Makes the arguments compile the patched copy, if there is one to make.
/// `at` is the directory of the copies.
///
/// # Errors
/// If the copy cannot be written.
pub fn redirect(args: &mut Vec<OsString>, of: &Compilation<'_>, at: &Path) -> Result<(), Error> {
    // The library of the package, not its tests and build script.
    let Some(overlay) = overlay_of(of.package).filter(|overlay| {
        overlay.krate.replace('-', "_") == of.krate && !args.iter().any(|arg| arg == "--test")
    }) else {
        return Ok(());
    };
    let Some((index, root)) = root_module(args) else {
        return Ok(());
    };
    let Some(sources) = root.parent().filter(|dir| dir.ends_with("src")) else {
        return Ok(());
    };
    let read = |file: &str| fs::read_to_string(sources.join(file)).ok();
    let patched = match patch(overlay.edits, &read) {
        Ok(patched) => patched,
        Err(_) => {
            return notes::write(at, of, &["its tasks"]);
        }
    };
    notes::write(at, of, &patched.unseen)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    let hash = hash(overlay, sources).map_err(failed(sources))?;
    let copy = at.join(format!("{}-{}-{hash}", of.package, of.version));
    if !copy.is_dir() {
        make(overlay, &patched, sources, &copy).map_err(failed(&copy))?;
    }
    let src = copy.join("src");
    args[index] = src
        .join(root.file_name().unwrap_or_default())
        .into_os_string();
    let mut remap = OsString::from("--remap-path-prefix=");
    remap.push(&src);
    remap.push("=");
    remap.push(sources);
    args.push(remap);
    Ok(())
}

/// The argument that is the root module.
fn root_module(args: &[OsString]) -> Option<(usize, PathBuf)> {
    let index = args.iter().position(|arg| {
        let text = arg.to_string_lossy();
        !text.starts_with('-') && text.ends_with(".rs")
    })?;
    Some((index, PathBuf::from(&args[index])))
}

fn add_patch(hash: &mut Sha256, overlay: &Overlay) {
    hash.update(overlay.module.as_bytes());
    hash.update(overlay.module_text().as_bytes());
    for edit in overlay.edits {
        hash.update(format!("{edit:?}").as_bytes());
    }
}

/// Names a copy: by what was copied and what was changed.
fn hash(overlay: &Overlay, sources: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    add_patch(&mut hash, overlay);
    for file in files(sources)? {
        hash.update(file.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(fs::read(sources.join(&file))?);
    }
    Ok(digits(hash))
}

fn digits(hash: Sha256) -> String {
    let mut digits = String::new();
    for byte in hash.finalize().iter().take(6) {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// All files below a directory, by their paths in it, sorted.
fn files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            if fs::metadata(entry.path())?.is_dir() {
                left.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Makes a copy, at no time half-made under its name. What is beside the
/// sources is linked to: a `README.md` that is included as documentation.
fn make(overlay: &Overlay, patched: &Patched, sources: &Path, copy: &Path) -> io::Result<()> {
    let parent = copy.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let temporary = tempfile::tempdir_in(parent)?;
    let src = temporary.path().join("src");
    for file in files(sources)? {
        let to = src.join(&file);
        fs::create_dir_all(to.parent().unwrap_or(&src))?;
        fs::copy(sources.join(&file), &to)?;
    }
    for (file, text) in &patched.files {
        let path = src.join(file);
        // The copy of a read-only file is one.
        fs::remove_file(&path)?;
        fs::write(path, text)?;
    }
    fs::write(src.join(overlay.module), overlay.module_text())?;
    if let Some(package) = sources.parent() {
        let package = if package.as_os_str().is_empty() {
            Path::new(".")
        } else {
            package
        };
        for entry in fs::read_dir(package.canonicalize()?)? {
            let entry = entry?;
            if entry.file_name() != "src" {
                let link = temporary.path().join(entry.file_name());
                std::os::unix::fs::symlink(entry.path(), link)?;
            }
        }
    }
    match fs::rename(temporary.path(), copy) {
        Ok(()) => {
            // It is under its own name now: nothing is left to remove.
            let _ = temporary.keep();
            Ok(())
        }
        // Another compilation has made it meanwhile.
        Err(_) if copy.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}
