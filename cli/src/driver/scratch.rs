//! The directory of one run, for output and wire files. It goes when the run
//! is over; what a killed run has left goes with the next one.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;

const PREFIX: &str = "run-";

/// A new directory inside `parent`.
///
/// # Errors
/// If it cannot be made.
pub fn create(parent: &Path) -> Result<TempDir, Error> {
    remove_abandoned(parent);
    let write = |source| Error::Write {
        path: parent.to_owned(),
        source,
    };
    std::fs::create_dir_all(parent).map_err(write)?;
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", std::process::id()))
        .tempdir_in(parent)
        .map_err(write)
}

/// Errors are of no account here: what cannot be removed is tried again by the
/// next run.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if owner(&path).is_some_and(|pid| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// `run-PID-…`.
fn owner(path: &Path) -> Option<u32> {
    let (pid, _) = path
        .file_name()?
        .to_str()?
        .strip_prefix(PREFIX)?
        .split_once('-')?;
    pid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::create;

    #[test]
    fn a_killed_runs_directory_goes_with_the_next() {
        let parent = tempfile::tempdir().unwrap();
        // No process can have this id: it is above the kernel's limit.
        let abandoned = parent.path().join("run-4194305-abc");
        let foreign = parent.path().join("debug");
        std::fs::create_dir_all(abandoned.join("test-0")).unwrap();
        std::fs::create_dir(&foreign).unwrap();
        let first = create(parent.path()).unwrap();
        let second = create(parent.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(foreign.exists() && first.path().exists() && second.path().exists());
    }
}
