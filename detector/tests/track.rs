//! What tracked code tells the library: variables and tasks by their names,
//! and accesses to many values at once.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "what is unsafe here races on purpose"
)]

use std::future::{Future, pending};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Waker};
use std::thread;

use leakcheck::report::source::Finding;
use leakcheck::track;

#[track]
mod counters {
    use super::{Finding, ptr, thread};

    #[track(name = "hit counter")]
    static mut HITS: u32 = 0;

    #[track(allow(data_race, reason = "a guess is enough"))]
    static mut GUESS: u32 = 0;

    #[track(skip)]
    static mut LEFT: u32 = 0;

    static mut FROM: [u8; 16] = [1; 16];
    static mut TO: [u8; 16] = [0; 16];

    pub fn hit() -> Vec<Finding> {
        let one = thread::spawn(|| unsafe { HITS += 1 });
        let other = thread::spawn(|| unsafe { HITS += 1 });
        one.join().unwrap();
        other.join().unwrap();
        leakcheck::check()
    }

    pub fn guess() -> Vec<Finding> {
        let one = thread::spawn(|| unsafe { GUESS += 1 });
        let other = thread::spawn(|| unsafe { GUESS += 1 });
        one.join().unwrap();
        other.join().unwrap();
        leakcheck::check()
    }

    pub fn leave() -> Vec<Finding> {
        let one = thread::spawn(|| unsafe { LEFT += 1 });
        let other = thread::spawn(|| unsafe { LEFT += 1 });
        one.join().unwrap();
        other.join().unwrap();
        leakcheck::check()
    }

    /// The last byte that is copied is written by another thread.
    pub fn copy(count: usize) -> Vec<Finding> {
        let one = thread::spawn(move || unsafe {
            ptr::copy(&raw const FROM[0], &raw mut TO[0], count);
        });
        let other = thread::spawn(|| unsafe { FROM[8] = 1 });
        one.join().unwrap();
        other.join().unwrap();
        leakcheck::check()
    }
}

#[test]
fn a_variable_is_called_by_its_name() {
    let found = leakcheck_scope(counters::hit);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].title, "data race on `hit counter: u32`");
}

#[test]
fn what_is_allowed_of_a_variable_is_let_through() {
    assert_eq!(leakcheck_scope(counters::guess), []);
}

#[test]
fn a_variable_that_is_skipped_is_left_alone() {
    assert_eq!(leakcheck_scope(counters::leave), []);
}

/// Copies of different lengths, in this order: each race is told once.
#[test]
fn a_copy_reads_all_that_it_copies() {
    assert_eq!(leakcheck_scope(|| counters::copy(8)), []);
    let found = leakcheck_scope(|| counters::copy(9));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].title.contains("[u8; 16]") || found[0].title.contains("u8"));
}

/// In a scope, whose races the function has taken out.
fn leakcheck_scope(f: impl FnOnce() -> Vec<Finding>) -> Vec<Finding> {
    leakcheck::scope(f)
}

/// Takes any future, as executors do.
struct Executor(Vec<Pin<Box<dyn Future<Output = ()>>>>);

impl Executor {
    fn spawn<F: Future<Output = ()> + 'static>(&mut self, future: F) {
        self.0.push(Box::pin(future));
    }

    fn poll(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for task in &mut self.0 {
            assert!(task.as_mut().poll(&mut context).is_pending());
        }
    }
}

#[track]
async fn work() {
    pending::<()>().await;
}

#[track(name = "worker")]
fn start(executor: &mut Executor) {
    executor.spawn(work());
}

#[test]
fn the_result_of_a_call_is_spawned() {
    let mut executor = Executor(Vec::new());
    start(&mut executor);
    executor.poll();
    let all = leakcheck::snapshot();
    let worker = all
        .entries
        .iter()
        .find(|entry| entry.name.as_deref() == Some("worker"))
        .expect("the task is known");
    assert_eq!(worker.spawned.text, "executor.spawn(work())");
    assert_eq!(worker.awaits[0].text, "pending::<()>().await");
    assert_eq!(worker.polls, 1);
}
