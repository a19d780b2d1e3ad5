//! Where tasks let others go first when other schedules are to be seen:
//! `--explore`.
//!
//! What [`crate::explore`] does with threads, in the same sense, but a task
//! cannot be made to pause: it is polled again after those that are ready now,
//! so many *turns*. It may so at each poll and, in tokio, at each operation, as
//! if the budget of its task were used up there. An odd seed has a manner, and five
//! that follow each other have all of them; an even one leaves tasks as they are.
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
/// Turns of a task that is late, at each point.
const LATE: u32 = 12;
/// Turns of a task that is late at one point.
const LATE_ONCE: u32 = 40;

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
    /// Of its parent's children, which it is: from 1.
    number: u64,
}

impl Place {
    /// Of the child with this number of `parent`, or of no task.
    pub fn new(parent: Option<Self>, number: u64) -> Self {
        let above = parent.map_or(0, |parent| parent.path);
        Self {
            path: mix(above ^ mix(number)),
            number,
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
            self.turns = turns(seed, place, point, self.points).min(MOST - self.given);
            self.given += self.turns;
            self.points += 1;
            self.at = point;
        }
        self.turns > 0
    }
}

/// How many turns a task gives at the point with this number.
fn turns(seed: u64, place: Place, point: Point, number: u64) -> u32 {
    let task = mix(seed ^ place.path);
    let late_child = |rest: u64| {
        let is_late = place.number % 2 == rest && number >= task % 4;
        if is_late { LATE } else { 0 }
    };
    match seed % 10 {
        // Tasks take turns.
        1 => u32::from(point == Point::Wait || number == 0),
        3 => [0, 0, 0, 0, 1, 2, 3, 4][(mix(task ^ number) % 8) as usize],
        5 => late_child(1),
        7 => late_child(0),
        9 if number == task % 8 => LATE_ONCE,
        // As they are.
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: u64 = 1;
    const LATE_FIRST: u64 = 5;

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
    fn tasks_take_turns_at_each_wait() {
        let place = Place::new(None, 1);
        let mut ways = Ways::default();
        assert!(ways.gives_way(TURNS, place, Point::Poll));
        assert!(!ways.gives_way(TURNS, place, Point::Poll));
        assert_eq!([(); 3].map(|()| at_a_wait(&mut ways, TURNS, place)), [1; 3]);
    }

    #[test]
    fn one_child_in_two_is_late() {
        let late = |number| {
            let place = Place::new(None, number);
            let mut ways = Ways::default();
            let turns = (0..8).map(|_| at_a_wait(&mut ways, LATE_FIRST, place));
            turns.max()
        };
        assert_eq!(
            [1, 2, 3, 4].map(late),
            [Some(12), Some(0), Some(12), Some(0)]
        );
    }

    #[test]
    fn a_task_comes_to_its_end() {
        for (seed, number) in [(1, 1), (3, 1), (5, 1), (7, 2), (9, 1)] {
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
        let all: Vec<Vec<u32>> = [1, 3, 5, 9].map(of).to_vec();
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{all:?}");
        }
        let none = [0, 2, 4, 6, 8].map(of);
        assert!(none.iter().flatten().all(|turns| *turns == 0));
    }
}
