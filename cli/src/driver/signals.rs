//! SIGINT and SIGTERM stop a run in good order: what was found so far is
//! still reported. A second signal ends leakcheck at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

use super::process::{Stop, StopReason};
use crate::error::Error;

/// The handler; removed when dropped.
#[derive(Debug)]
pub struct Handler(Handle);

impl Handler {
    /// For a program that shares our terminal: SIGINT reaches it without us,
    /// so we only wait for its end; SIGTERM is for us, and ends it.
    ///
    /// # Errors
    /// If the handler cannot be installed.
    pub fn install_for_program(stop: &Arc<Stop>) -> Result<Self, Error> {
        let interrupted = Arc::new(AtomicBool::new(false));
        // In this order: the second SIGINT meets a flag that is set.
        flag::register_conditional_default(SIGINT, Arc::clone(&interrupted))
            .and_then(|_| flag::register(SIGINT, interrupted))
            .map_err(Error::Signals)?;
        Self::listen(&[SIGTERM], stop)
    }

    /// For another runner that shares our terminal and ends its tests in good
    /// order: a SIGINT from the terminal reaches it without us, one that was
    /// sent to us alone is handed on to it; SIGTERM ends it. The flag says
    /// whether there was a SIGINT.
    ///
    /// # Errors
    /// If the handler cannot be installed.
    pub fn install_for_runner(
        stop: &Arc<Stop>,
        runner: Pid,
    ) -> Result<(Self, Arc<AtomicBool>), Error> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Signals)?;
        let handle = signals.handle();
        let (stop, flag) = (Arc::clone(stop), Arc::clone(&interrupted));
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if signal != SIGINT {
                    stop.request(StopReason::Signal);
                } else if !flag.swap(true, Ordering::SeqCst) && !of_terminal() {
                    // An error means that it has ended.
                    let _ = kill_process(runner, Signal::INT);
                }
            }
        });
        Ok((Self(handle), interrupted))
    }

    /// Lets the signals request a stop.
    ///
    /// # Errors
    /// If the handler cannot be installed.
    pub fn install(stop: &Arc<Stop>) -> Result<Self, Error> {
        Self::listen(&[SIGINT, SIGTERM], stop)
    }

    fn listen(signals: &[i32], stop: &Arc<Stop>) -> Result<Self, Error> {
        let mut signals = Signals::new(signals).map_err(Error::Signals)?;
        let handle = signals.handle();
        let stop = Arc::clone(stop);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if stop.reason().is_some() {
                    // Does not return for these signals.
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                stop.request(StopReason::Signal);
            }
        });
        Ok(Self(handle))
    }
}

/// Whether an interrupt is one that was typed, which all processes in the
/// foreground of the terminal get.
fn of_terminal() -> bool {
    let terminal = std::fs::File::open("/dev/tty");
    terminal.is_ok_and(|terminal| tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}

/// A signal that is for the program does nothing to us.
///
/// # Errors
/// If the handler cannot be installed.
pub fn leave_to_the_program(signal: i32) -> Result<(), Error> {
    flag::register(signal, Arc::new(AtomicBool::new(false)))
        .map(drop)
        .map_err(Error::Signals)
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.0.close();
    }
}
