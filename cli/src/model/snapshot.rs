//! All threads and tasks of a process at one moment.

use super::finding::{Finding, Leg};

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Deadlocks that are proved, and cycles of those that wait at that moment.
    pub cycles: Vec<Finding>,
    /// The threads, then the tasks.
    pub present: Vec<Leg>,
}

impl Snapshot {
    /// How many threads there are, and how many tasks.
    pub fn numbers(&self) -> (usize, usize) {
        let tasks = self.present.iter().filter(|leg| leg.task.is_some());
        let tasks = tasks.count();
        (self.present.len() - tasks, tasks)
    }
}
