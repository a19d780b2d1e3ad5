//! Where tasks let others go first when other schedules are to be seen:
//! `--explore`.
//!
//! What [`crate::explore`] does with threads, in the same sense, but a task
//! cannot be made to pause: it is polled again after those that are ready now,
//! so many *turns*. It may so at each poll and, in tokio, at each operation, as
//! if the budget of its task were used up there. With an odd seed dice tell where,
//! from the seed and the task's place in the tree of spawns: seldom and for long,
//! or often and for a turn. An even seed leaves tasks as they are.
//!
//! Pure: the caller knows the tasks.
//!
//! What it misses: a task that waits for something else meanwhile is in no
//! queue, so turns are a guess at how late a task must be. The future that a
//! runtime blocks on never lets others go first: tests ask there what is ready
//! at once. Of other executors than tokio, only polls are points.

use crate::explore::mix;

/// Turns that a task gives in all, at most: it must come to its end.
const MOST: u32 = 400;

/// What a task is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// It is polled.
    Poll,
    /// It would take what it waits for.
    Wait,
}

/// A task's place in the tree of spawns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    path: u64,
}

impl Place {
    /// Of the child with this number of `parent`, or of no task.
    pub fn new(parent: Option<Self>, number: u64) -> Self {
        let above = parent.map_or(0, |parent| parent.path);
        Self {
            path: mix(above ^ mix(number)),
        }
    }
}

/// Where a task has let others go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// Points that it came to.
    points: u64,
    /// Turns that it still gives at this one.
    turns: u32,
    /// It has given those of the wait that comes.
    passes: bool,
    at: Point,
    given: u32,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            points: 0,
            turns: 0,
            passes: false,
            at: Point::Poll,
            given: 0,
        }
    }
}

impl Ways {
    /// True if the task with this place is to be polled again, after others.
    pub fn gives_way(&mut self, seed: u64, place: Place, point: Point) -> bool {
        if self.turns > 0 {
            self.turns -= 1;
            self.passes = self.turns == 0 && self.at == Point::Wait;
        } else if point == Point::Wait && self.passes {
            self.passes = false;
        } else {
            self.turns = turns(seed, place, self.points).min(MOST - self.given);
            self.given += self.turns;
            self.points += 1;
            self.at = point;
        }
        self.turns > 0
    }
}

/// How many turns a task gives at the point with this number.
fn turns(seed: u64, place: Place, number: u64) -> u32 {
    let task = mix(seed ^ place.path);
    let dice = mix(task ^ number);
    let dice_of = |one_in: u64, most: u64| match dice.is_multiple_of(one_in) {
        true => 1 + (dice >> 32) as u32 % most as u32,
        false => 0,
    };
    match seed % 10 {
        1 => dice_of(2, 4),
        3 => dice_of(3, 4),
        5 => dice_of(2, 1),
        7 => dice_of(4, 8),
        9 => dice_of(2, 12),
        // As they are.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it gives way before it goes on from a wait.
    fn at_a_wait(ways: &mut Ways, seed: u64, place: Place) -> u32 {
        let mut times = 0;
        while ways.gives_way(seed, place, Point::Wait) {
            times += 1;
            while ways.gives_way(seed, place, Point::Poll) {
                times += 1;
            }
        }
        times
    }

    #[test]
    fn a_task_gives_way_at_some_waits_and_then_goes_on() {
        for seed in [1, 3, 5, 7, 9] {
            let mut ways = Ways::default();
            let turns = (0..100).map(|_| at_a_wait(&mut ways, seed, Place::new(None, 1)));
            let gave = turns.take(40).filter(|turns| *turns > 0).count();
            assert!((4..36).contains(&gave), "{seed}: {gave}");
        }
    }

    #[test]
    fn a_task_comes_to_its_end() {
        for (seed, number) in [(1, 1), (3, 1), (5, 1), (7, 2), (9, 2)] {
            let place = Place::new(Some(Place::new(None, 2)), number);
            let mut ways = Ways::default();
            let given: u32 = (0..1000).map(|_| at_a_wait(&mut ways, seed, place)).sum();
            assert!((1..=MOST).contains(&given), "{seed}: {given}");
        }
    }

    #[test]
    fn ten_seeds_have_all_manners() {
        let of = |seed| {
            let mut ways = Ways::default();
            let place = Place::new(None, 1);
            let turns = (0..8).map(|_| at_a_wait(&mut ways, seed, place));
            turns.collect::<Vec<_>>()
        };
        let all: Vec<Vec<u32>> = [1, 3, 5, 7, 9].map(of).to_vec();
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{all:?}");
        }
        let none = [0, 2, 4, 6, 8].map(of);
        assert!(none.iter().flatten().all(|turns| *turns == 0));
    }
}
