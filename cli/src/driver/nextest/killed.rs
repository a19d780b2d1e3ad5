//! A test that nextest has killed together with its runner: what the runtime
//! had written by then is read afterwards.
//!
//! The runner leaves a note before it starts the test. The executable is kept
//! beside it, since that of an archive is gone when nextest ends.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Fragment, of_report};
use crate::collect::{CollectOptions, Collector};
use crate::error::Error;
use crate::gate::Gate;
use crate::model::TestId;
use crate::symbolize::FileSymbols;

/// An attempt at a test that has begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Started {
    /// The test.
    pub test: TestId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Where the runtime writes.
    pub wire_dir: PathBuf,
    /// The executable.
    pub program: PathBuf,
    /// A copy of it that stays.
    pub kept: PathBuf,
}

/// Keeps an executable below `dir`: by a link, or by one copy for all tests of
/// a binary where that is on another file system.
///
/// # Errors
/// If there is no place for it.
pub fn keep(program: &Path, dir: &Path) -> Result<PathBuf, Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    let metadata = std::fs::metadata(program).map_err(|source| Error::Read {
        path: program.to_owned(),
        source,
    })?;
    let programs = dir.join("programs");
    std::fs::create_dir_all(&programs).map_err(failed(&programs))?;
    let kept = programs.join(format!(
        "{:x}-{:x}-{:x}",
        metadata.dev(),
        metadata.ino(),
        metadata.mtime_nsec()
    ));
    match std::fs::hard_link(program, &kept) {
        Ok(()) => return Ok(kept),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(kept),
        // Another file system, or one without links.
        Err(_) => {}
    }
    let copy = tempfile::NamedTempFile::new_in(&programs).map_err(failed(&programs))?;
    std::fs::copy(program, copy.path()).map_err(failed(copy.path()))?;
    copy.persist(&kept)
        .map_err(|error| failed(&kept)(error.error))?;
    Ok(kept)
}

/// What can still be said of an attempt that was killed.
///
/// # Errors
/// If what the runtime wrote cannot be read at all.
pub fn recover(
    started: &Started,
    options: &CollectOptions,
    gate: &mut Gate,
) -> Result<Fragment, Error> {
    let copies = HashMap::from([(started.program.clone(), started.kept.clone())]);
    let mut collector = Collector::with_symbols(options.clone(), FileSymbols::with_copies(copies));
    let mut report = collector
        .look(&started.test, &started.wire_dir)
        .map_err(|source| Error::Wire {
            path: started.wire_dir.clone(),
            reason: source.to_string(),
        })?;
    for finding in &mut report.findings {
        gate.judge(finding, &started.test);
    }
    let mut fragment = of_report(&started.test, started.attempt, "timeout", 0.0, &report);
    fragment.test.reason = Some("killed by nextest before it could end".to_owned());
    fragment.matched = gate.matched();
    Ok(fragment)
}

#[cfg(test)]
mod tests {
    use super::keep;

    #[test]
    fn an_executable_is_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("bank");
        std::fs::write(&program, "ELF").unwrap();
        let kept = keep(&program, dir.path()).unwrap();
        assert_eq!(keep(&program, dir.path()).unwrap(), kept);
        std::fs::remove_file(&program).unwrap();
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "ELF");
        let left = std::fs::read_dir(dir.path().join("programs")).unwrap();
        assert_eq!(left.count(), 1);
    }
}
