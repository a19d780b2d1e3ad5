//! SIGINT and SIGTERM stop a run in good order: what was found so far is
//! still reported. A second signal ends leakcheck at once.

use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use super::process::{Stop, StopReason};
use crate::error::Error;

/// The handler; removed when dropped.
#[derive(Debug)]
pub struct Handler(Handle);

impl Handler {
    /// Lets the signals request a stop.
    ///
    /// # Errors
    /// If the handler cannot be installed.
    pub fn install(stop: &Arc<Stop>) -> Result<Self, Error> {
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(Error::Signals)?;
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

impl Drop for Handler {
    fn drop(&mut self) {
        self.0.close();
    }
}
