//! How sure a race is of which the earlier thread has ended, or has not.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "what is unsafe here races on purpose"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use leakcheck::report::kind::Certainty;
use leakcheck::report::source::Finding;
use leakcheck::track;

fn certainties(found: &[Finding]) -> Vec<Certainty> {
    found.iter().map(|finding| finding.certainty).collect()
}

#[track]
mod relaxed {
    use super::{AtomicBool, Finding, Ordering, thread};

    static mut MESSAGE: u32 = 0;
    static SENT: AtomicBool = AtomicBool::new(false);
    static READ: AtomicBool = AtomicBool::new(false);

    /// The writer stays until the message has been read.
    pub fn publish() -> Vec<Finding> {
        let writer = thread::spawn(|| {
            unsafe { MESSAGE = 7 }
            SENT.store(true, Ordering::Relaxed);
            while !READ.load(Ordering::Acquire) {
                thread::yield_now();
            }
        });
        while !SENT.load(Ordering::Acquire) {
            thread::yield_now();
        }
        std::hint::black_box(unsafe { MESSAGE });
        READ.store(true, Ordering::Release);
        writer.join().unwrap();
        leakcheck::check()
    }
}

#[test]
fn a_relaxed_store_publishes_nothing() {
    let found = leakcheck::scope(relaxed::publish);
    assert_eq!(certainties(&found), [Certainty::Observed], "{found:?}");
}

/// Joins a thread, where the attribute does not see it, and says so.
struct Joiner(mpsc::Sender<JoinHandle<()>>);

impl Joiner {
    fn start(joined: &'static AtomicBool) -> Self {
        let (sender, receiver) = mpsc::channel::<JoinHandle<()>>();
        thread::spawn(move || {
            receiver.recv().unwrap().join().unwrap();
            joined.store(true, Ordering::Release);
        });
        Self(sender)
    }
}

static JOINED: AtomicBool = AtomicBool::new(false);

#[track]
mod ended {
    use super::{AtomicBool, Finding, JOINED, JoinHandle, Ordering, mpsc, thread};

    static mut MESSAGE: u32 = 0;
    static GO: AtomicBool = AtomicBool::new(false);

    /// Another thread waits for the writer's end, and tells of it by an atomic.
    ///
    /// The writer goes on after all else that the reader does but to load: what
    /// ends after the write, as a `send` may, could have waited for its end.
    pub fn wait(joiner: &mpsc::Sender<JoinHandle<()>>) -> Vec<Finding> {
        let writer = thread::spawn(|| {
            while !GO.load(Ordering::Acquire) {
                thread::yield_now();
            }
            unsafe { MESSAGE = 7 }
        });
        joiner.send(writer).unwrap();
        GO.store(true, Ordering::Release);
        while !JOINED.load(Ordering::Acquire) {
            thread::yield_now();
        }
        std::hint::black_box(unsafe { MESSAGE });
        leakcheck::check()
    }
}

/// What was ordered by code that is not seen is told as possible, and no more.
#[test]
fn an_end_that_somebody_else_has_waited_for_may_order() {
    let joiner = Joiner::start(&JOINED);
    let found = leakcheck::scope(|| ended::wait(&joiner.0));
    assert_eq!(certainties(&found), [Certainty::Potential], "{found:?}");
}
