//! One execution of one test binary, in a directory of its own for what it
//! writes and what the runtime finds.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use leakcheck::report::wire::{
    EXPLORE_ENV, GRACE_ENV, GUARDS_STAY_ENV, NO_TASK_RACES_ENV, SUPERVISOR_ENV, WIRE_DIR_ENV,
};

use super::env;
use super::explore::Exploration;
use super::libtest;
use super::process::{Ended, Group, Slow, Stop, supervise};
use super::record::Call;
use crate::error::Error;

/// How long the last output of an ended process may take to arrive while
/// another process holds its pipe.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// After how long a running test is mentioned.
pub const LONG: Duration = Duration::from_secs(30);

/// How much of a test's output is kept: its end.
const KEPT_OUTPUT: u64 = 1024 * 1024;

/// What all executions of a run share.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a> {
    /// The user's own target runner.
    pub runner: &'a [String],
    /// parking_lot was built without `send_guard`: its guards stay with the
    /// threads that took them.
    pub guards_stay: bool,
    /// For `--grace`.
    pub grace: Option<u64>,
    /// Not with `--no-task-races`.
    pub task_races: bool,
    /// For `--explore`.
    pub exploration: Option<Exploration>,
    /// For `--timeout`.
    pub limit: Option<Duration>,
    /// For `--run-timeout` and signals.
    pub stop: &'a Stop,
    /// Where output goes.
    pub output: OutputMode,
}

/// Where the output of a test goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputMode {
    /// Into a file, both streams in the order of their writes.
    Captured,
    /// To our own standard output and error, while it is written.
    Live,
    /// To our own standard error, while it is written.
    LiveOnStderr,
}

/// An execution that is over.
#[derive(Debug)]
pub struct Executed {
    /// How it ended.
    pub ended: Ended,
    /// What it wrote, if that was captured.
    pub output: String,
    /// Whether libtest said its last word.
    pub reached_its_end: bool,
    /// Where the runtime wrote.
    pub wire_dir: PathBuf,
}

/// Runs `call` with other arguments, in the directory `own`, which is made;
/// with the pauses of a seed, if there is one.
///
/// # Errors
/// If it cannot be started or waited for.
pub fn execute(
    call: &Call,
    args: &[OsString],
    own: &Path,
    seed: Option<u64>,
    conditions: &Conditions<'_>,
    tell_slow: &dyn Fn(),
) -> Result<Executed, Error> {
    let slow = || {
        Some(Slow {
            after: LONG,
            tell: tell_slow,
        })
    };
    let wire_dir = own.join("wire");
    std::fs::create_dir_all(&wire_dir).map_err(|source| Error::Write {
        path: wire_dir.clone(),
        source,
    })?;
    let mut command = command(call, args, conditions.runner);
    command.env(WIRE_DIR_ENV, &wire_dir);
    command.env(SUPERVISOR_ENV, std::process::id().to_string());
    if conditions.guards_stay {
        command.env(GUARDS_STAY_ENV, "1");
    }
    if let Some(grace) = conditions.grace {
        command.env(GRACE_ENV, grace.to_string());
    }
    if !conditions.task_races {
        command.env(NO_TASK_RACES_ENV, "1");
    }
    if let Some(seed) = seed {
        command.env(EXPLORE_ENV, seed.to_string());
    }
    command.stdin(Stdio::null()).process_group(0);

    match conditions.output {
        OutputMode::Captured => {
            let path = own.join("output");
            captures(&mut command, &path)?;
            let child = spawn(&mut command)?;
            let ended = supervise(child, Group::Own, conditions.limit, conditions.stop, slow())?;
            let output = captured(path)?;
            let reached_its_end = libtest::reached_its_end(&output);
            Ok(Executed {
                ended,
                output,
                reached_its_end,
                wire_dir,
            })
        }
        OutputMode::Live | OutputMode::LiveOnStderr => {
            command.stdout(Stdio::piped());
            let mut child = spawn(&mut command)?;
            let copy = Copy::start(child.stdout.take(), conditions.output);
            let ended = supervise(child, Group::Own, conditions.limit, conditions.stop, slow())?;
            let reached_its_end = copy.finish();
            Ok(Executed {
                ended,
                output: String::new(),
                reached_its_end,
                wire_dir,
            })
        }
    }
}

/// The command of `call`, under the user's runner, with our own variables.
#[must_use]
pub fn command(call: &Call, args: &[OsString], runner: &[String]) -> Command {
    let mut command = match runner.split_first() {
        Some((runner, runner_args)) => {
            let mut command = Command::new(runner);
            command.args(runner_args).arg(&call.program);
            command
        }
        None => Command::new(&call.program),
    };
    call.environment.apply(&mut command);
    command
        .args(args)
        .current_dir(&call.dir)
        .env(env::ACTIVE, "1");
    command
}

/// Sends all that a command prints to a file.
///
/// # Errors
/// If the file cannot be written.
pub fn captures(command: &mut Command, path: &Path) -> Result<(), Error> {
    let write = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .append(true)
        .create(true)
        .open(path)
        .map_err(write)?;
    command
        .stdout(file.try_clone().map_err(write)?)
        .stderr(file);
    Ok(())
}

/// What a command has printed to its file: the last part, if it is long.
///
/// # Errors
/// If the file cannot be read.
pub fn captured(path: PathBuf) -> Result<String, Error> {
    last_part(&path).map_err(|source| Error::Read { path, source })
}

/// The text of a file, or the end of a long one.
fn last_part(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let left_out = file.metadata()?.len().saturating_sub(KEPT_OUTPUT);
    file.seek(SeekFrom::Start(left_out))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(if left_out == 0 {
        text.into_owned()
    } else {
        format!("({left_out} bytes before this are left out)\n{text}")
    })
}

/// Starts a command.
///
/// # Errors
/// If it cannot be started.
pub fn spawn(command: &mut Command) -> Result<Child, Error> {
    command.spawn().map_err(|source| Error::Spawn {
        program: command.get_program().into(),
        source,
    })
}

/// A thread that lets the output of a process through and looks for libtest's
/// last word in it.
struct Copy {
    seen: Arc<AtomicBool>,
    over: mpsc::Receiver<()>,
}

impl Copy {
    fn start(from: Option<impl Read + Send + 'static>, mode: OutputMode) -> Self {
        let seen = Arc::new(AtomicBool::new(false));
        let (done, over) = mpsc::channel();
        if let Some(from) = from {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || {
                let mut from = BufReader::new(from);
                let mut line = Vec::new();
                while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                    if line.starts_with(b"test result: ") {
                        seen.store(true, Ordering::Relaxed);
                    }
                    // Where nobody reads our output, the test goes on.
                    let _ = match mode {
                        OutputMode::LiveOnStderr => std::io::stderr().write_all(&line),
                        OutputMode::Captured | OutputMode::Live => {
                            std::io::stdout().write_all(&line)
                        }
                    };
                    line.clear();
                }
                drop(done);
            });
        }
        Self { seen, over }
    }

    fn finish(self) -> bool {
        // Ends at once when the thread drops its sender.
        let _ = self.over.recv_timeout(LAST_OUTPUT);
        self.seen.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_OUTPUT, last_part};

    #[test]
    fn the_end_of_a_long_output_is_kept() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "all of it").unwrap();
        assert_eq!(last_part(file.path()).unwrap(), "all of it");
        let long = "x".repeat(KEPT_OUTPUT as usize) + "test result: ok";
        std::fs::write(file.path(), long).unwrap();
        let kept = last_part(file.path()).unwrap();
        assert!(kept.starts_with("(15 bytes before this are left out)\n"));
        assert!(kept.ends_with("xtest result: ok"));
    }
}
