//! One child process under supervision: it ends by itself, or its time is up,
//! or the whole run is stopped.
//!
//! Nothing here polls: a pidfd tells the end of the process, and the read end
//! of a pipe tells the stop. The process is not reaped before the last signal
//! is sent, so that no signal meets a stranger with a reused id.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use crate::error::Error;

/// How long a process may take to end after SIGTERM, before SIGKILL.
const TERMINATION: Duration = Duration::from_secs(2);

/// Why a whole run stops early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// SIGINT or SIGTERM came.
    Signal,
    /// `--run-timeout` is over.
    RunTimeout,
}

/// Stops everything that is running, and everything that would be started.
#[derive(Debug)]
pub struct Stop {
    reason: Mutex<(Option<StopReason>, Option<PipeWriter>)>,
    closed: PipeReader,
    deadline: Option<Instant>,
    patience: Duration,
}

impl Stop {
    /// A run that may take until `deadline`.
    ///
    /// # Errors
    /// If there are no file descriptors left.
    pub fn new(deadline: Option<Instant>) -> Result<Self, Error> {
        let (closed, writer) = std::io::pipe().map_err(Error::Wait)?;
        Ok(Self {
            reason: Mutex::new((None, Some(writer))),
            closed,
            deadline,
            patience: TERMINATION,
        })
    }

    /// For processes that may take this long to end after SIGTERM.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Stops the run; the first reason counts.
    pub fn request(&self, reason: StopReason) {
        let mut guard = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.get_or_insert(reason);
        guard.1 = None;
    }

    /// Whether and why the run is stopped.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            self.request(StopReason::RunTimeout);
        }
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

/// What a supervised process belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// It leads a process group of its own, which ends with it when its time
    /// is up.
    Own,
    /// It shares ours.
    Ours,
}

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// By itself.
    Itself,
    /// Its time was up.
    TimeLimit,
    /// The run was stopped.
    Stopped(StopReason),
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// Why.
    pub cause: Cause,
    /// After how long.
    pub elapsed: Duration,
}

/// What is done once about a process that takes long.
pub struct Slow<'a> {
    /// What long is.
    pub after: Duration,
    /// What to do.
    pub tell: &'a dyn Fn(),
}

/// Waits for the end of `child`, and brings it about if need be.
///
/// # Errors
/// If the kernel cannot wait for it.
pub fn supervise(
    mut child: Child,
    group: Group,
    limit: Option<Duration>,
    stop: &Stop,
    mut slow: Option<Slow<'_>>,
) -> Result<Ended, Error> {
    let start = Instant::now();
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| Error::Wait(e.into()))?;
    let own_deadline = limit.map(|limit| start + limit);

    let cause = loop {
        if let Some(reason) = stop.reason() {
            break Cause::Stopped(reason);
        }
        let now = Instant::now();
        if own_deadline.is_some_and(|deadline| now >= deadline) {
            break Cause::TimeLimit;
        }
        if let Some(slow) = slow.take_if(|slow| start.elapsed() >= slow.after) {
            (slow.tell)();
        }
        let slow_at = slow.as_ref().map(|slow| start + slow.after);
        let next = [own_deadline, stop.deadline, slow_at]
            .into_iter()
            .flatten()
            .min();
        let mut waits = [
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::from_borrowed_fd(stop.closed.as_fd(), PollFlags::IN),
        ];
        wait(
            &mut waits,
            next.map(|next| next.saturating_duration_since(now)),
        )?;
        if waits[0].revents().contains(PollFlags::IN) {
            break Cause::Itself;
        }
    };
    if cause != Cause::Itself {
        signal(pid, group, Signal::TERM);
        let mut waits = [PollFd::new(&pidfd, PollFlags::IN)];
        wait(&mut waits, Some(stop.patience))?;
        signal(pid, group, Signal::KILL);
    }
    let status = child.wait().map_err(Error::Wait)?;
    Ok(Ended {
        status,
        cause,
        elapsed: start.elapsed(),
    })
}

fn wait(waits: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<(), Error> {
    let timeout = timeout.map(|t| {
        Timespec::try_from(t).unwrap_or(Timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        })
    });
    match poll(waits, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(Error::Wait(errno.into())),
    }
}

/// An error means that the process has ended and left nobody in its group.
fn signal(pid: Pid, group: Group, signal: Signal) {
    let _ = match group {
        Group::Own => kill_process_group(pid, signal),
        Group::Ours => kill_process(pid, signal),
    };
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::{Cause, Group, Slow, Stop, StopReason, supervise};

    fn shell(script: &str) -> Child {
        Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_process_ends_by_itself() {
        let stop = Stop::new(None).unwrap();
        let ended = supervise(shell("exit 7"), Group::Own, None, &stop, None).unwrap();
        assert_eq!((ended.cause, ended.status.code()), (Cause::Itself, Some(7)));
    }

    #[test]
    fn a_slow_process_is_told_once() {
        let stop = Stop::new(None).unwrap();
        // It ends when its input does, which is when it was told.
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new("cat").stdin(reader).spawn().unwrap();
        let told = Cell::new(0);
        let writer = Cell::new(Some(writer));
        let tell = || {
            told.set(told.get() + 1);
            drop(writer.take());
        };
        let slow = Slow {
            after: Duration::from_millis(1),
            tell: &tell,
        };
        let ended = supervise(child, Group::Ours, None, &stop, Some(slow)).unwrap();
        assert_eq!((ended.cause, told.get()), (Cause::Itself, 1));
    }

    #[test]
    fn its_time_is_up() {
        let stop = Stop::new(None).unwrap();
        let limit = Some(Duration::from_millis(1));
        let ended = supervise(shell("exec sleep 1000"), Group::Own, limit, &stop, None).unwrap();
        assert_eq!(
            (ended.cause, ended.status.signal()),
            (Cause::TimeLimit, Some(15))
        );
    }

    #[test]
    fn the_whole_group_is_ended() {
        let stop = Stop::new(None).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new("sh")
            .args(["-c", "trap '' TERM; sleep 1000 & wait"])
            .stdout(writer)
            .process_group(0)
            .spawn()
            .unwrap();
        let limit = Some(Duration::from_millis(1));
        let ended = supervise(child, Group::Own, limit, &stop, None).unwrap();
        assert_eq!(ended.cause, Cause::TimeLimit);
        // The grandchild holds the pipe too: this ends when both are gone.
        assert_eq!(std::io::read_to_string(reader).unwrap(), "");
    }

    #[test]
    fn a_stop_ends_what_runs_and_what_would() {
        let stop = Stop::new(None).unwrap();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                supervise(shell("exec sleep 1000"), Group::Own, None, &stop, None).unwrap()
            });
            stop.request(StopReason::Signal);
            stop.request(StopReason::RunTimeout);
            assert_eq!(
                running.join().unwrap().cause,
                Cause::Stopped(StopReason::Signal)
            );
        });
        let ended = supervise(shell("exec sleep 1000"), Group::Own, None, &stop, None).unwrap();
        assert_eq!(ended.cause, Cause::Stopped(StopReason::Signal));
    }

    #[test]
    fn the_runs_deadline_stops_it() {
        let stop = Stop::new(Some(Instant::now() + Duration::from_millis(1))).unwrap();
        let ended = supervise(shell("exec sleep 1000"), Group::Own, None, &stop, None).unwrap();
        assert_eq!(ended.cause, Cause::Stopped(StopReason::RunTimeout));
        assert_eq!(stop.reason(), Some(StopReason::RunTimeout));
    }
}
