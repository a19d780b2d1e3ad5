//! Runs the cases of a suite, several at a time, and tells each end to the one
//! thread that reports.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

use super::execute::{Conditions, Executed, LONG, execute};
use super::explore::Next;
use super::libtest::BinaryArgs;
use super::status;
use super::suite::{Case, Suite};
use super::teller::say;
use crate::error::Error;

/// A case that was run.
#[derive(Debug)]
pub struct Finished<'a> {
    /// Which.
    pub case: &'a Case,
    /// Its place in the suite.
    pub number: usize,
    /// Which of its runs, from 0.
    pub run: u32,
    /// How it went.
    pub executed: Executed,
    /// What it left; to be removed when it was read.
    pub dir: PathBuf,
}

/// Runs all cases with `threads` processes at a time, and calls `report` for
/// each, on this thread, in the order in which they end. What is explored is
/// run again until `report` has settled it. After a stop, those not yet started
/// are left out.
///
/// # Errors
/// The first error of an execution or of `report`; what runs then is still
/// waited for.
pub fn run<'a>(
    suite: &'a Suite,
    args: &BinaryArgs,
    threads: usize,
    scratch: &Path,
    conditions: &Conditions<'_>,
    mut report: impl FnMut(Finished<'a>) -> Result<Next, Error>,
) -> Result<(), Error> {
    let runs = conditions.exploration.map_or(1, |explored| explored.runs);
    let settled: Vec<AtomicBool> = suite.cases.iter().map(|_| AtomicBool::new(false)).collect();
    let queue = Mutex::new(
        suite
            .cases
            .iter()
            .enumerate()
            .flat_map(|(number, case)| (0..runs).map(move |run| (number, case, run)))
            .filter(|(number, _, _)| !settled[*number].load(Ordering::Relaxed)),
    );
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(suite.cases.len()) {
            let (sender, queue) = (sender.clone(), &queue);
            scope.spawn(move || {
                while conditions.stop.reason().is_none() {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((number, case, run)) = next else {
                        break;
                    };
                    let dir = scratch.join(format!("test-{number}-{run}"));
                    let seed = conditions.exploration.map(|explored| explored.seed_of(run));
                    let finished =
                        execute_case(suite, case, args, &dir, seed, conditions).map(|executed| {
                            Finished {
                                case,
                                number,
                                run,
                                executed,
                                dir,
                            }
                        });
                    // An error elsewhere has ended the run.
                    if sender.send(finished).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        // Consumed, so that after an error the workers find nobody to tell.
        receiver.into_iter().try_for_each(|finished| {
            let finished = finished?;
            let number = finished.number;
            if report(finished)? == Next::Settled {
                settled[number].store(true, Ordering::Relaxed);
            }
            Ok(())
        })
    })
}

fn execute_case(
    suite: &Suite,
    case: &Case,
    args: &BinaryArgs,
    dir: &Path,
    seed: Option<u64>,
    conditions: &Conditions<'_>,
) -> Result<Executed, Error> {
    let conditions = &Conditions {
        grace: case.grace,
        limit: case.limit,
        ..*conditions
    };
    let call = &suite.binary(case.binary).call;
    // Where nobody reads it, the test goes on.
    let tell_slow = || drop(say(&status::slow(LONG, &suite.id(case))));
    match &case.test {
        Some(name) => {
            let words = args.run_command(name);
            execute(call, &words, dir, seed, conditions, &tell_slow)
        }
        None => execute(call, &call.args, dir, seed, conditions, &tell_slow),
    }
}
