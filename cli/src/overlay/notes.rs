//! Notes on which executors were compiled unpatched, or in part: left by the
//! compiler's wrapper, read by the driver when the build is done.
//!
//! cargo does not compile a crate again that is fresh, so the notes stay, one
//! file for each release of a crate.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Compilation;
use super::executors::OVERLAYS;
use crate::error::Error;
use crate::model::{Gap, GapReason};

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

/// As a gap of a run.
#[must_use]
pub fn gap(package: &str, version: &str, unseen: &str) -> Gap {
    Gap {
        reason: GapReason::UnseenTasks,
        detail: Some(format!("{package} {version}: {unseen}")),
        count: 1,
    }
}

/// The packages of a lock file.
#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// What goes unseen of the project in this directory, where another program has
/// called cargo and nobody has told which crates it built: of the executors that the
/// lock file has, those that were compiled here once.
#[must_use]
pub fn of_project(at: &Path, project: &Path) -> Vec<Gap> {
    let text = fs::read_to_string(project.join("Cargo.lock")).unwrap_or_default();
    // cargo has read it before.
    let lock: Lock = toml::from_str(&text).unwrap_or(Lock {
        package: Vec::new(),
    });
    let is_executor =
        |package: &&Package| OVERLAYS.iter().any(|overlay| overlay.krate == package.name);
    let executors = lock.package.iter().filter(is_executor);
    executors
        .flat_map(|Package { name, version }| {
            let unseen = read(at, name, version).into_iter();
            unseen.map(move |unseen| gap(name, version, &unseen))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{of_project, read, write};
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

    #[test]
    fn only_releases_of_the_lock_file_count() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9.0.0", "9.0.1"] {
            let of = Compilation {
                package: "tokio",
                version,
                krate: "tokio",
            };
            write(dir.path(), &of, &["all"]).unwrap();
        }
        assert!(of_project(dir.path(), dir.path()).is_empty());
        let lock = "version = 4\n[[package]]\nname = \"tokio\"\nversion = \"9.0.1\"\n\
                    [[package]]\nname = \"serde\"\nversion = \"9.0.0\"\n";
        std::fs::write(dir.path().join("Cargo.lock"), lock).unwrap();
        let gaps = of_project(dir.path(), dir.path());
        let details: Vec<_> = gaps.iter().map(|gap| gap.detail.as_deref()).collect();
        assert_eq!(details, [Some("tokio 9.0.1: all")]);
    }
}
