//! Old target directories of ours: each toolchain, and each version of
//! leakcheck, builds into its own, and nobody else would ever remove one.
//!
//! A run notes in its directory that it is in use. The first run into a new
//! one removes its neighbours that no run has used for [`KEPT`]. What it
//! misses: directories of projects that are not tested any more.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::Error;

/// How long an unused directory stays: people change toolchains and come back.
const KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// File whose time of change is that of the last run.
const USED: &str = "last-used";

/// A run is about to build into `current`, in `all`.
///
/// # Errors
/// If the directory cannot be made or written to.
pub(super) fn note_use(all: &Path, current: &Path) -> Result<(), Error> {
    let new = !current.exists();
    let note = current.join(USED);
    std::fs::create_dir_all(current)
        .and_then(|()| std::fs::write(&note, ""))
        .map_err(|source| Error::Write { path: note, source })?;
    if new {
        remove_unused(all, current, SystemTime::now());
    }
    Ok(())
}

/// Errors are of no account: what cannot be removed stays.
fn remove_unused(all: &Path, current: &Path, now: SystemTime) {
    let Ok(entries) = std::fs::read_dir(all) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        // What has no note is not of ours, or of a version that wrote none.
        let used = path.join(USED).metadata().and_then(|note| note.modified());
        let unused = used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > KEPT));
        if unused && path != current {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use super::{KEPT, USED, note_use};

    #[test]
    fn a_new_build_removes_what_nobody_used_for_long() {
        let all = tempfile::tempdir().unwrap();
        let dir = |name: &str| all.path().join(name);
        let age = |name: &str, age: Duration| {
            note_use(all.path(), &dir(name)).unwrap();
            fs::write(dir(name).join("artifact"), "x").unwrap();
            let note = File::options().write(true).open(dir(name).join(USED));
            note.unwrap().set_modified(SystemTime::now() - age).unwrap();
        };
        fs::create_dir(dir("foreign")).unwrap();
        age("recent", KEPT / 2);
        age("old", KEPT * 2);

        note_use(all.path(), &dir("recent")).unwrap();
        assert!(dir("old").exists(), "an old build removes nothing");
        note_use(all.path(), &dir("new")).unwrap();
        assert!(!dir("old").exists());
        for kept in ["foreign", "recent/artifact", "new"] {
            assert!(dir(kept).exists(), "{kept}");
        }
    }
}
