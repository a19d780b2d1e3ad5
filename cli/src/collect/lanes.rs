//! When the threads and tasks of a process lived, for a timeline.

use std::collections::{BTreeMap, HashMap};

use leakcheck::report::wire::{self, ThreadId};

use super::read::Process;
use super::resolve::Resolver;
use crate::model::{Lane, LaneId, LaneKind, Place};

/// The lanes of a test's nth process, in the order in which they started.
pub fn lanes(number: usize, process: &Process, resolver: &mut Resolver<'_>) -> Vec<Lane> {
    // Thousands of threads have few spawn sites.
    let mut places: HashMap<&wire::Stack, Option<Place>> = HashMap::new();
    // What is written at the end replaces what a finding said of some before.
    let latest: BTreeMap<ThreadId, &wire::Lane> = process
        .lanes
        .iter()
        .map(|lane| (lane.thread, lane))
        .collect();
    latest
        .into_values()
        .map(|lane| {
            let spawned = places
                .entry(&lane.spawned_at)
                .or_insert_with(|| resolver.stack(&lane.spawned_at).primary()?.place.clone());
            Lane {
                id: LaneId::thread(number, lane.thread),
                kind: if lane.task.is_some() {
                    LaneKind::Task
                } else {
                    LaneKind::Thread
                },
                name: resolver.lane_name(lane),
                parent: lane.parent.map(|parent| LaneId::thread(number, parent)),
                spawned: spawned.clone(),
                started_us: lane.started_us,
                ended_us: lane.ended_us,
            }
        })
        .collect()
}
