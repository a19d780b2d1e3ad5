//! Where threads pause when other schedules are to be seen: `--explore`.
//!
//! Most bugs of schedules need few threads to be late at few places (Burckhardt
//! et al., *A Randomized Scheduler with Probabilistic Guarantees of Finding
//! Bugs*, ASPLOS 2010). So a seed has a *manner*, the next seed the next one:
//! at which points threads pause, and who goes on first. A pause is over when no
//! other thread can go on, so that being late does not depend on how fast the
//! machine is. Ten seeds that follow each other have all the manners: threads
//! that are late for their second lock, that begin late, that take turns at each
//! lock; some of them throw dice, from the seed, the thread's place in the tree
//! of spawns, the place in the program, and how often the thread has been there.
//! The same seed pauses the same threads at the same places.
//!
//! Pure: the caller knows the places and sleeps.
//!
//! What it misses: a thread that goes on is the operating system's, and so is
//! one that computes or sleeps for long, so a seed makes a schedule likely and
//! does not force it. Plain accesses are no places: to pause there would not
//! change what happens before what.

use std::time::Duration;

/// Places that a thread tells apart.
const PLACES: usize = 256;
/// What a thread pauses for in all, at most: the pauses must not look like a
/// thread that does not end.
const MOST: Duration = Duration::from_millis(400);
/// The shortest pause of a given length; others are that, some times doubled.
const SHORTEST: Duration = Duration::from_micros(20);
/// How many such lengths there are.
const DOUBLINGS: u64 = 10;

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

/// A pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// So long.
    For(Duration),
    /// Until no other thread can go on, and of those that pause the one with
    /// the least rank goes first.
    UntilIdle {
        /// Its place among those that pause.
        rank: Rank,
    },
}

/// Who of several that pause goes on first: the least. Those that are equal go
/// in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u64);

/// Where threads pause, and who goes on first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// When they begin, and before they take a lock while they have another;
    /// there, the last that came goes first.
    HoldingLatest,
    /// When they begin and before each lock, in turn.
    Turns,
    /// When they begin, and before they take a lock while they have another, in
    /// turn.
    Holding,
    /// Before every other lock, and some when they begin; by dice.
    Odd,
    /// When they begin; the oldest goes first.
    Begin,
    /// When they begin and before each lock; by dice.
    Shuffled,
    /// When they begin, unless they are deep in the tree of spawns: those of the
    /// harness, of which the test is one, and those of the test.
    BeginOuter,
    /// The locks that [`Self::Odd`] leaves out.
    Even,
    /// When they begin and before each lock; some threads always go before others.
    Precedence,
    /// Here and there, and some threads never; for some time.
    Fitful,
}

impl Manner {
    const ALL: [Self; 10] = [
        Self::Fitful,
        Self::HoldingLatest,
        Self::Turns,
        Self::Holding,
        Self::Odd,
        Self::Begin,
        Self::Shuffled,
        Self::BeginOuter,
        Self::Even,
        Self::Precedence,
    ];

    fn of_seed(seed: u64) -> Self {
        Self::ALL[(seed % Self::ALL.len() as u64) as usize]
    }
}

/// Where a thread has been.
#[derive(Debug)]
pub struct Steps {
    /// Of its place in the tree of spawns.
    path: u64,
    /// Threads above it.
    depth: u8,
    /// The arrival at which it was spawned: as a thread that begins, it is no
    /// younger for a slow start.
    born: u64,
    children: u64,
    /// Locks that it held when it last spawned a thread: those of whoever calls
    /// a test, as a rule, and of no other thread's interest.
    held_at_spawn: usize,
    left: Duration,
    /// Points that it has come to.
    points: u64,
    visits: [u8; PLACES],
}

impl Steps {
    /// Of the main thread.
    pub const fn of_main() -> Self {
        Self {
            path: 0,
            depth: 0,
            born: 0,
            children: 0,
            held_at_spawn: 0,
            left: MOST,
            points: 0,
            visits: [0; PLACES],
        }
    }

    /// Of the next thread that this one spawns, which is the `arrival`-th point
    /// in the process.
    pub fn child(&mut self, arrival: u64) -> Self {
        self.children += 1;
        Self {
            path: mix(self.path ^ mix(self.children)),
            depth: self.depth.saturating_add(1),
            born: arrival,
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

    /// The thread has paused so long until no other could go on.
    pub fn paused(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// Whether to pause at this place, which is the `arrival`-th in the process
    /// at which a thread may, and how.
    pub fn pause(&mut self, seed: u64, place: u64, point: Point, arrival: u64) -> Option<Pause> {
        let visits = &mut self.visits[(mix(place) % PLACES as u64) as usize];
        let visit = *visits;
        *visits = visit.saturating_add(1);
        if self.left.is_zero() {
            return None;
        }
        let thread = mix(seed ^ self.path);
        let dice = mix(thread ^ mix(place ^ u64::from(visit) << 56));
        let takes = matches!(point, Point::Take { .. });
        if takes {
            self.points += 1;
        }
        let late = |late: bool, rank: u64| late.then_some(Pause::UntilIdle { rank: Rank(rank) });
        let begins = point == Point::Begin;
        let arrival = if begins { self.born } else { arrival };
        let takes = takes && dice.is_multiple_of(seldom(visit));
        let takes_more = takes && point == Point::Take { holding: true };
        match Manner::of_seed(seed) {
            Manner::Begin => late(begins, arrival),
            Manner::BeginOuter => late(begins && self.depth <= 2, arrival),
            Manner::Turns => late(begins || takes, arrival),
            Manner::Holding => late(begins || takes_more, arrival),
            Manner::HoldingLatest if begins => late(true, arrival),
            Manner::HoldingLatest => late(takes_more, u64::MAX - arrival),
            Manner::Shuffled => late(begins || takes, dice),
            Manner::Precedence => late(begins || takes, thread),
            Manner::Odd => late(self.is_every_other(point, 1, takes), dice),
            Manner::Even => late(self.is_every_other(point, 0, takes), dice),
            Manner::Fitful => self.fitful(point, thread, visit, dice).map(Pause::For),
        }
    }

    fn is_every_other(&self, point: Point, half: u64, takes: bool) -> bool {
        match point {
            Point::Begin => self.path / 2 % 2 == half,
            Point::Take { .. } => takes && (self.points + self.path) % 2 == half,
            Point::Spawned | Point::GaveBack => false,
        }
    }

    fn fitful(&mut self, point: Point, thread: u64, visit: u8, dice: u64) -> Option<Duration> {
        if thread.is_multiple_of(4) {
            return None;
        }
        let one_in = match point {
            // Who waits for a thread that it has spawned often finds it gone,
            // and is ordered after it.
            Point::Spawned => 8,
            Point::Begin | Point::Take { .. } | Point::GaveBack => 2,
        };
        if !dice.is_multiple_of(one_in * seldom(visit)) {
            return None;
        }
        let pause = SHORTEST * (1 << ((dice >> 32) % DOUBLINGS));
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

    fn pauses(seed: u64, mut steps: Steps) -> Vec<Option<Pause>> {
        (0..100)
            .map(|place| steps.pause(seed, place, TAKE_MORE, place))
            .collect()
    }

    fn rank(pause: Option<Pause>) -> Rank {
        match pause {
            Some(Pause::UntilIdle { rank }) => rank,
            Some(Pause::For(_)) | None => panic!("{pause:?} has no rank"),
        }
    }

    #[test]
    fn a_seed_pauses_the_same_places_again() {
        // Shuffled.
        assert_eq!(pauses(6, Steps::of_main()), pauses(6, Steps::of_main()));
        let different = (1..10)
            .filter(|n| pauses(6 + 10 * n, Steps::of_main()) != pauses(6, Steps::of_main()))
            .count();
        assert_eq!(different, 9);
    }

    #[test]
    fn ten_seeds_have_all_manners() {
        let all: Vec<Manner> = (7..17).map(Manner::of_seed).collect();
        assert!(Manner::ALL.iter().all(|manner| all.contains(manner)));
    }

    #[test]
    fn some_are_late_for_their_second_lock_only() {
        for (seed, latest_first) in [(1, true), (3, false)] {
            let mut steps = Steps::of_main();
            let begin = steps.pause(seed, 1, Point::Begin, 1);
            assert_eq!(steps.pause(seed, 2, TAKE, 2), None);
            assert_eq!(steps.pause(seed, 3, Point::GaveBack, 3), None);
            let (first, second) = (
                steps.pause(seed, 4, TAKE_MORE, 4),
                steps.pause(seed, 5, TAKE_MORE, 5),
            );
            assert_eq!(rank(second) < rank(first), latest_first);
            assert!(
                rank(begin) < rank(first),
                "all are there before one has two"
            );
        }
    }

    #[test]
    fn those_deep_in_the_tree_begin_at_once() {
        let mut main = Steps::of_main();
        let mut test = main.child(0);
        let mut worker = test.child(0);
        let mut helper = worker.child(0);
        let late = [&mut test, &mut worker, &mut helper]
            .map(|steps| steps.pause(7, 1, Point::Begin, 1).is_some());
        assert_eq!(late, [true, true, false]);
    }

    #[test]
    fn a_thread_is_as_old_as_its_spawn() {
        let mut main = Steps::of_main();
        let mut child = main.child(1);
        let parent_goes_on = main.pause(2, 1, TAKE, 2);
        let child_begins = child.pause(2, 2, Point::Begin, 3);
        assert!(rank(child_begins) < rank(parent_goes_on));
    }

    #[test]
    fn siblings_differ_and_are_the_same_again() {
        let family = || {
            let mut parent = Steps::of_main();
            [parent.child(0), parent.child(0)].map(|child| child.path)
        };
        assert_eq!(family(), family());
        assert_ne!(family()[0], family()[1]);
        let mut parent = Steps::of_main();
        let (mut first, mut second) = (parent.child(0), parent.child(0));
        assert_ne!(first.child(0).path, second.child(0).path);
    }

    #[test]
    fn new_places_are_paused_at_often_and_old_ones_seldom() {
        let seeds = (0..400).map(|n| 10 * n); // Fitful.
        let paused = |visit: u8| {
            seeds
                .clone()
                .filter(|seed| {
                    let mut steps = Steps::of_main();
                    for _ in 0..visit {
                        _ = steps.pause(*seed, 1, TAKE, 1);
                    }
                    steps.left = MOST;
                    steps.pause(*seed, 1, TAKE, 1).is_some()
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
            let mut all = Duration::ZERO;
            for place in 0..100_000 {
                match steps.pause(seed, place, TAKE_MORE, place) {
                    None => {}
                    Some(Pause::For(time)) => all += time,
                    Some(Pause::UntilIdle { .. }) => {
                        let time = Duration::from_millis(1);
                        steps.paused(time);
                        all += time;
                    }
                }
            }
            all
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
            _ = steps.pause(3, 1, TAKE, 1);
        }
        assert!(steps.visits.contains(&u8::MAX));
    }
}
