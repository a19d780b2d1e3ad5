//! Shows the snapshots that a program leaves while it runs.
//!
//! The runtime writes each into a file of its own beside the wire file, and
//! gives it its name once it is whole. The kernel tells of new names in that
//! directory: nothing here polls.

use std::collections::BTreeSet;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use leakcheck::report::wire::SNAPSHOT_EXTENSION;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;

use super::teller::{human_options, say};
use crate::args::Backtrace;
use crate::collect::{CollectOptions, Collector};
use crate::error::Error;
use crate::model::TestId;
use crate::plan::SourceDirectories;
use crate::render::human::HumanOptions;
use crate::render::human::snapshot::render_snapshot;

/// Shows each snapshot of a program once.
pub struct Snapshots {
    program: TestId,
    collector: Collector,
    options: HumanOptions,
    shown: BTreeSet<PathBuf>,
}

impl Snapshots {
    /// Of the program or test `program` of a project with these sources.
    #[must_use]
    pub fn new(program: &TestId, sources: &SourceDirectories, backtrace: Backtrace) -> Self {
        let sources = sources.clone();
        Self {
            program: program.clone(),
            collector: Collector::new(CollectOptions {
                workspace_root: sources.workspace_root,
                package_dirs: sources.package_dirs,
                dependency_dirs: sources.dependency_dirs,
                rust_src: sources.rust_src,
            }),
            options: human_options(backtrace),
            shown: BTreeSet::new(),
        }
    }

    /// Shows those in the directory that were not shown yet.
    ///
    /// # Errors
    /// If one cannot be read, or standard error is closed.
    pub fn show_new(&mut self, wire_dir: &Path) -> Result<(), Error> {
        for path in files(wire_dir)? {
            if !self.shown.contains(&path) {
                show(&mut self.collector, &self.program, &path, &self.options)?;
                self.shown.insert(path);
            }
        }
        Ok(())
    }
}

/// The snapshots in a directory, in the order in which a process took them.
fn files(wire_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |source| Error::Read {
        path: wire_dir.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(wire_dir).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let is_snapshot = path
            .extension()
            .is_some_and(|extension| extension == SNAPSHOT_EXTENSION);
        if is_snapshot {
            files.push(path);
        }
    }
    files.sort_by_key(|path| number(path));
    Ok(files)
}

fn show(
    collector: &mut Collector,
    program: &TestId,
    file: &Path,
    options: &HumanOptions,
) -> Result<(), Error> {
    let snapshot = collector
        .snapshot(program, file)
        .map_err(|source| Error::Wire {
            path: file.to_owned(),
            reason: source.to_string(),
        })?;
    let name = program.to_string();
    let text = render_snapshot(&snapshot, &name, options);
    say(&format!("{text}\n"))
}

/// Shows the snapshots that a test has left.
///
/// # Errors
/// If one cannot be read, or standard error is closed.
pub fn show_all(
    collector: &mut Collector,
    test: &TestId,
    wire_dir: &Path,
    options: &HumanOptions,
) -> Result<(), Error> {
    for file in files(wire_dir)? {
        show(collector, test, &file, options)?;
    }
    Ok(())
}

/// Which of its process it is: `PID-NUMBER.snapshot`.
fn number(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    stem.split_once('-')?.1.parse().ok()
}

/// Shows snapshots while a program runs.
pub struct Watcher {
    /// Closed once the program has ended.
    running: PipeWriter,
    thread: JoinHandle<Result<(), Error>>,
}

impl Watcher {
    /// Watches the directory.
    ///
    /// # Errors
    /// If there are no file descriptors left.
    pub fn start(wire_dir: &Path, mut snapshots: Snapshots) -> Result<Self, Error> {
        let told = |error: rustix::io::Errno| Error::Wait(error.into());
        let names = inotify::init(inotify::CreateFlags::CLOEXEC).map_err(told)?;
        inotify::add_watch(&names, wire_dir, inotify::WatchFlags::MOVED_TO).map_err(told)?;
        let (ended, running) = std::io::pipe().map_err(Error::Wait)?;
        let wire_dir = wire_dir.to_owned();
        let thread = std::thread::spawn(move || {
            while next(&names, &ended).map_err(told)? {
                snapshots.show_new(&wire_dir)?;
            }
            snapshots.show_new(&wire_dir)
        });
        Ok(Self { running, thread })
    }

    /// The program has ended: shows what is left.
    ///
    /// # Errors
    /// If a snapshot could not be shown.
    pub fn finish(self) -> Result<(), Error> {
        drop(self.running);
        match self.thread.join() {
            Ok(shown) => shown,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Waits for a new name: false if the program ended before.
fn next(names: &OwnedFd, ended: &PipeReader) -> Result<bool, rustix::io::Errno> {
    /// Names that are taken at once at most: they are looked for all.
    const EVENTS: usize = 4096;
    let mut fds = [
        PollFd::from_borrowed_fd(names.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN),
    ];
    match poll(&mut fds, None) {
        Err(rustix::io::Errno::INTR) => return Ok(true),
        polled => polled?,
    };
    if !fds[0].revents().is_empty() {
        rustix::io::read(names, &mut [0; EVENTS])?;
        return Ok(true);
    }
    Ok(false)
}
