//! Notes on which executors were compiled unpatched, or in part: left by the
//! compiler's wrapper, read by the driver when the build is done.
//!
//! cargo does not compile a crate again that is fresh, so the notes stay, one
//! file for each release of a crate.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Compilation;
use crate::error::Error;

fn path(at: &Path, package: &str, version: &str) -> PathBuf {
    at.join(format!("{package}-{version}.unseen"))
}

/// Notes what goes unseen of a crate, or that nothing does.
///
/// # Errors
/// If the note cannot be written.
pub fn write(at: &Path, of: &Compilation<'_>, unseen: &[&str]) -> Result<(), Error> {
    let path = path(at, of.package, of.version);
    let written = if unseen.is_empty() {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    } else {
        fs::create_dir_all(at).and_then(|()| fs::write(&path, unseen.join("\n")))
    };
    written.map_err(|source| Error::Write { path, source })
}

/// What goes unseen of a crate, sorted.
#[must_use]
pub fn read(at: &Path, package: &str, version: &str) -> Vec<String> {
    let text = fs::read_to_string(path(at, package, version)).unwrap_or_default();
    let mut unseen: Vec<String> = text.lines().map(str::to_owned).collect();
    unseen.sort();
    unseen.dedup();
    unseen
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::overlay::Compilation;

    #[test]
    fn a_note_is_read_back_and_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("overlay");
        let of = Compilation {
            package: "tokio",
            version: "9.0.0",
            krate: "tokio",
        };
        assert!(read(&at, "tokio", "9.0.0").is_empty());
        write(&at, &of, &["b", "a", "b"]).unwrap();
        assert_eq!(read(&at, "tokio", "9.0.0"), ["a", "b"]);
        assert!(read(&at, "tokio", "9.0.1").is_empty());
        write(&at, &of, &[]).unwrap();
        write(&at, &of, &[]).unwrap();
        assert!(read(&at, "tokio", "9.0.0").is_empty());
    }
}
