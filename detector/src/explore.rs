//! Where threads pause when other schedules are to be seen: `--explore`.
//!
//! Most bugs of schedules need few threads to be late at few places (Burckhardt
//! et al., *A Randomized Scheduler with Probabilistic Guarantees of Finding
//! Bugs*, ASPLOS 2010), and most deadlocks a thread that is late for its second
//! lock. So a seed has a *manner*, the next seed the next one: where threads
//! pause. How often and how long follows from the seed, the thread's place in
//! the tree of spawns, the place in the program, and how often the thread has
//! been there: the same seed pauses the same threads at the same places.
//!
//! Pure: the caller knows the places and sleeps.
//!
//! What it misses: the operating system still schedules, so a seed makes a
//! schedule likely and does not force it. Plain accesses are no places: to pause
//! there would not change what happens before what.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Places that a thread tells apart.
const PLACES: usize = 256;
/// What a thread pauses for in all, at most: the pauses must not look like a
/// thread that does not end.
const MOST: Duration = Duration::from_millis(250);
/// The shortest pause; others are that, some times doubled.
const SHORTEST: Duration = Duration::from_micros(20);

/// What a thread is about to do, or has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// It begins.
    Begin,
    /// It has spawned another.
    Spawned,
    /// It is about to take a lock, or something like one.
    Take {
        /// It has one already.
        holding: bool,
    },
    /// It has given one back.
    GaveBack,
}

/// Where threads pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Before they take a lock while they have another: long.
    Holding,
    /// Here and there, and some threads never.
    Fitful,
    /// When they begin, and now and then elsewhere.
    Starting,
    /// Each thread in another of these manners.
    Mixed,
}

impl Manner {
    fn of_seed(seed: u64) -> Self {
        match seed % 4 {
            0 => Self::Holding,
            1 => Self::Fitful,
            2 => Self::Starting,
            _ => Self::Mixed,
        }
    }

    /// In how many visits of a new place a thread pauses once, if at all, and
    /// how often the shortest pause is doubled.
    fn habit(self, point: Point, dice: u64) -> Option<(u64, RangeInclusive<u64>)> {
        let any = 0..=9;
        match (self, point) {
            (Self::Holding, Point::Take { holding: true }) => Some((1, 6..=9)),
            (Self::Holding, Point::Begin) => Some((4, any)),
            (Self::Holding, _) => None,
            (Self::Fitful, _) if dice.is_multiple_of(4) => None,
            // Who waits for a thread that it has spawned often finds it gone, and
            // is ordered after it.
            (Self::Fitful, Point::Spawned) => Some((8, any)),
            (Self::Fitful, _) => Some((2, any)),
            (Self::Starting, Point::Begin) => Some((2, any)),
            (Self::Starting, Point::Spawned) => Some((4, any)),
            (Self::Starting, Point::Take { .. } | Point::GaveBack) => Some((8, any)),
            (Self::Mixed, _) => match dice % 4 {
                0 => Self::Holding.habit(point, dice / 4),
                1 => Self::Starting.habit(point, dice / 4),
                _ => Self::Fitful.habit(point, dice / 4),
            },
        }
    }
}

/// Where a thread has been.
#[derive(Debug)]
pub struct Steps {
    /// Of its place in the tree of spawns.
    path: u64,
    children: u64,
    /// Locks that it held when it last spawned a thread: those of whoever calls
    /// a test, as a rule, and of no other thread's interest.
    held_at_spawn: usize,
    left: Duration,
    visits: [u8; PLACES],
}

impl Steps {
    /// Of the main thread.
    pub const fn of_main() -> Self {
        Self {
            path: 0,
            children: 0,
            held_at_spawn: 0,
            left: MOST,
            visits: [0; PLACES],
        }
    }

    /// Of the next thread that this one spawns.
    pub fn child(&mut self) -> Self {
        self.children += 1;
        Self {
            path: mix(self.path ^ mix(self.children)),
            ..Self::of_main()
        }
    }

    /// It has spawned a thread while it held so many locks.
    pub fn spawned(&mut self, locks: usize) {
        self.held_at_spawn = locks;
    }

    /// True if it has taken a lock since it spawned a thread.
    pub fn holds_more_than_at_spawn(&self, locks: usize) -> bool {
        locks > self.held_at_spawn
    }

    /// How long to pause at this place, if at all.
    pub fn pause(&mut self, seed: u64, place: u64, point: Point) -> Option<Duration> {
        let visits = &mut self.visits[(mix(place) % PLACES as u64) as usize];
        let visit = *visits;
        *visits = visit.saturating_add(1);
        let thread = mix(seed ^ self.path);
        let (one_in, doublings) = Manner::of_seed(seed).habit(point, thread)?;
        let dice = mix(thread ^ mix(place ^ u64::from(visit) << 56));
        if !dice.is_multiple_of(one_in * seldom(visit)) {
            return None;
        }
        let range = doublings.end() - doublings.start() + 1;
        let pause = SHORTEST * (1 << (doublings.start() + (dice >> 32) % range));
        self.left = self.left.checked_sub(pause)?;
        Some(pause)
    }
}

/// How much more seldom a thread pauses where it has been.
fn seldom(visit: u8) -> u64 {
    match visit {
        0..2 => 1,
        2..8 => 2,
        8..64 => 8,
        64..u8::MAX => 32,
        u8::MAX => 256,
    }
}

/// The finalizer of SplitMix64 (Steele et al., *Fast Splittable Pseudorandom
/// Number Generators*, OOPSLA 2014).
fn mix(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAKE: Point = Point::Take { holding: false };
    const TAKE_MORE: Point = Point::Take { holding: true };

    fn pauses(seed: u64, mut steps: Steps) -> Vec<Option<Duration>> {
        (0..100)
            .map(|place| steps.pause(seed, place, TAKE_MORE))
            .collect()
    }

    #[test]
    fn a_seed_pauses_the_same_places_again() {
        assert_eq!(pauses(7, Steps::of_main()), pauses(7, Steps::of_main()));
        let different = (0..10)
            .filter(|seed| pauses(*seed, Steps::of_main()) != pauses(7, Steps::of_main()))
            .count();
        assert_eq!(different, 9);
    }

    #[test]
    fn one_of_four_seeds_holds_on_to_its_locks() {
        let mut steps = Steps::of_main();
        assert_eq!(steps.pause(4, 1, TAKE), None);
        assert_eq!(steps.pause(4, 2, Point::GaveBack), None);
        assert!(steps.pause(4, 3, TAKE_MORE) >= Some(Duration::from_millis(1)));
    }

    #[test]
    fn siblings_differ_and_are_the_same_again() {
        let family = || {
            let mut parent = Steps::of_main();
            [parent.child(), parent.child()].map(|child| child.path)
        };
        assert_eq!(family(), family());
        assert_ne!(family()[0], family()[1]);
        let mut parent = Steps::of_main();
        let (mut first, mut second) = (parent.child(), parent.child());
        assert_ne!(first.child().path, second.child().path);
    }

    #[test]
    fn new_places_are_paused_at_often_and_old_ones_seldom() {
        let seeds = (0..400).map(|n| 4 * n + 1); // Fitful.
        let paused = |visit: u8| {
            seeds
                .clone()
                .filter(|seed| {
                    let mut steps = Steps::of_main();
                    for _ in 0..visit {
                        _ = steps.pause(*seed, 1, TAKE);
                    }
                    steps.left = MOST;
                    steps.pause(*seed, 1, TAKE).is_some()
                })
                .count()
        };
        // Three quarters of the threads, half of the places.
        let (new, old) = (paused(0), paused(100));
        assert!((100..200).contains(&new), "{new} of 400");
        assert!(old < 30, "{old} of 400");
    }

    #[test]
    fn the_pauses_of_a_thread_are_bounded() {
        let all = |seed| -> Duration {
            let mut steps = Steps::of_main();
            let pauses = (0..100_000).filter_map(|place| steps.pause(seed, place, TAKE_MORE));
            pauses.sum()
        };
        let longest = (0..20).map(all).max().unwrap();
        assert!(longest <= MOST && longest > MOST / 2);
    }

    #[test]
    fn locks_of_the_caller_do_not_count() {
        let mut steps = Steps::of_main();
        assert!(steps.holds_more_than_at_spawn(1));
        steps.spawned(1);
        assert!(!steps.holds_more_than_at_spawn(1));
        assert!(steps.holds_more_than_at_spawn(2));
    }

    #[test]
    fn the_last_visit_stays_the_last() {
        let mut steps = Steps::of_main();
        for _ in 0..1000 {
            _ = steps.pause(3, 1, TAKE);
        }
        assert!(steps.visits.contains(&u8::MAX));
    }
}
