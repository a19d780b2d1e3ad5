//! Where threads pause when other schedules are to be seen: `--explore`.
//!
//! Most bugs of schedules need few threads to be late at few places (Burckhardt
//! et al., *A Randomized Scheduler with Probabilistic Guarantees of Finding
//! Bugs*, ASPLOS 2010). So a seed has a *manner*, the next seed the next one:
//! at which points threads pause, and who goes on first. A pause is over when no
//! other thread can go on, so that being late does not depend on how fast the
//! machine is. In most manners threads take turns: each goes to its next lock,
//! then waits until all others are at theirs; that alone finds most of what
//! there is. A manner then has some thread *late*: from some point on it goes
//! only if no other can, as where the paper lowers a priority. Ten seeds that
//! follow each other have all the manners, and what a manner leaves open is
//! thrown by dice, from the seed, the thread's place in the tree of spawns, the
//! place in the program, and how often the thread has been there. The same seed
//! pauses the same threads at the same places.
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
/// The tree of spawns down to the threads of a test: the main thread, the
/// harness's own, and what that one spawns.
const OUTER: u8 = 2;

/// What a thread is about to do, or has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// It begins.
    Begin,
    /// It is about to take a lock, or something like one.
    Take {
        /// It has one already.
        holding: bool,
    },
    /// It has given one back.
    GaveBack,
}

/// Who of several that pause until no other thread can go on goes first: the
/// least. Those that are equal go in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    late: bool,
    order: u64,
}

/// Where threads pause, and who goes on first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manner {
    begin: bool,
    take: Takes,
    /// When they have given back a lock.
    after: bool,
    order: Order,
    late: Late,
}

/// Before which locks threads pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    None,
    /// While they have another.
    More,
    All,
}

/// In what order those that pause go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// In which they came.
    Came,
    /// The last that came first, but for those that begin.
    LastCame,
    Dice,
}

/// Which threads go only if no other can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    Nobody,
    /// The test's threads when they begin, unless they are deep in the tree.
    WhoBegins,
    /// Of the children of a thread of the test the first, the third and so on,
    /// or the others; from a lock on.
    EveryOther {
        first: bool,
        /// Of those that it takes: with none it is late from its begin on.
        from: u64,
    },
    /// One in four, from a point that dice tell.
    Some,
}

/// Threads take turns.
const TURNS: Manner = Manner {
    begin: true,
    take: Takes::All,
    after: false,
    order: Order::Came,
    late: Late::Nobody,
};

/// Threads pause where a second lock may close a cycle.
const HOLDING: Manner = Manner {
    take: Takes::More,
    ..TURNS
};

const MANNERS: [Manner; 10] = [
    Manner {
        begin: false,
        after: true,
        order: Order::Dice,
        ..TURNS
    },
    Manner {
        order: Order::LastCame,
        ..HOLDING
    },
    TURNS,
    HOLDING,
    Manner {
        late: Late::EveryOther {
            first: true,
            from: 2,
        },
        ..TURNS
    },
    Manner {
        take: Takes::None,
        ..TURNS
    },
    Manner {
        late: Late::EveryOther {
            first: false,
            from: 2,
        },
        ..TURNS
    },
    Manner {
        late: Late::WhoBegins,
        ..TURNS
    },
    Manner {
        late: Late::Some,
        ..TURNS
    },
    Manner {
        late: Late::EveryOther {
            first: true,
            from: 0,
        },
        ..TURNS
    },
];

impl Manner {
    fn of_seed(seed: u64) -> &'static Self {
        &MANNERS[(seed % MANNERS.len() as u64) as usize]
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
    /// Of its parent's, which it is.
    number: u64,
    /// Locks that it held when it last spawned a thread: those of whoever calls
    /// a test, as a rule, and of no other thread's interest.
    held_at_spawn: usize,
    left: Duration,
    /// Locks that it was about to take.
    takes: u64,
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
            number: 0,
            held_at_spawn: 0,
            left: MOST,
            takes: 0,
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
            number: self.children,
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
    /// at which a thread may, until no other thread can go on; and with what
    /// rank among those that do.
    pub fn pause(&mut self, seed: u64, place: u64, point: Point, arrival: u64) -> Option<Rank> {
        let visits = &mut self.visits[(mix(place) % PLACES as u64) as usize];
        let visit = *visits;
        *visits = visit.saturating_add(1);
        self.takes += u64::from(matches!(point, Point::Take { .. }));
        if self.left.is_zero() {
            return None;
        }
        let manner = Manner::of_seed(seed);
        let thread = mix(seed ^ self.path);
        let dice = mix(thread ^ mix(place ^ u64::from(visit) << 56));
        let late = self.is_late(manner.late, point, thread);
        let often = late || dice.is_multiple_of(seldom(visit));
        let pauses = match point {
            Point::Begin => manner.begin,
            Point::GaveBack => manner.after && often,
            Point::Take { holding } => match manner.take {
                Takes::None => false,
                Takes::More => holding && often,
                Takes::All => often,
            },
        };
        let begins = point == Point::Begin;
        let arrival = if begins { self.born } else { arrival };
        let order = match manner.order {
            Order::Came => arrival,
            Order::LastCame if begins => arrival,
            Order::LastCame => u64::MAX - arrival,
            Order::Dice => dice,
        };
        pauses.then_some(Rank { late, order })
    }

    fn is_late(&self, late: Late, point: Point, thread: u64) -> bool {
        match late {
            Late::Nobody => false,
            Late::WhoBegins => point == Point::Begin && self.depth <= OUTER,
            Late::EveryOther { first, from } => {
                let is_one = self.number.is_multiple_of(2) != first;
                self.depth >= OUTER && is_one && self.takes >= from
            }
            Late::Some => thread.is_multiple_of(4) && self.takes >= thread / 4 % 8,
        }
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
pub(crate) fn mix(mut word: u64) -> u64 {
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
    /// Of each manner, by what it is about.
    const DICE: u64 = 0;
    const HOLDING_LATEST: u64 = 1;
    const TURNS: u64 = 2;
    const HOLDING: u64 = 3;
    const FIRST_LATE: u64 = 4;
    const BEGIN: u64 = 5;
    const LATE_BEGIN: u64 = 7;
    const SOME_LATE: u64 = 8;

    fn pauses(seed: u64, mut steps: Steps) -> Vec<Option<Rank>> {
        (0..100)
            .map(|place| steps.pause(seed, place, TAKE_MORE, place))
            .collect()
    }

    #[test]
    fn a_seed_pauses_the_same_places_again() {
        assert_eq!(
            pauses(DICE, Steps::of_main()),
            pauses(DICE, Steps::of_main())
        );
        let different = (1..10)
            .filter(|n| pauses(DICE + 10 * n, Steps::of_main()) != pauses(DICE, Steps::of_main()))
            .count();
        assert_eq!(different, 9);
    }

    #[test]
    fn ten_seeds_have_all_manners() {
        let all: Vec<&Manner> = (7..17).map(Manner::of_seed).collect();
        assert!(MANNERS.iter().all(|manner| all.contains(&manner)));
        let twice = |manner| MANNERS.iter().filter(|other| **other == manner).count() > 1;
        assert!(!MANNERS.into_iter().any(twice));
    }

    #[test]
    fn some_are_late_for_their_second_lock_only() {
        for (seed, latest_first) in [(HOLDING_LATEST, true), (HOLDING, false)] {
            let mut steps = Steps::of_main();
            let begin = steps.pause(seed, 1, Point::Begin, 1);
            assert_eq!(steps.pause(seed, 2, TAKE, 2), None);
            assert_eq!(steps.pause(seed, 3, Point::GaveBack, 3), None);
            let (first, second) = (
                steps.pause(seed, 4, TAKE_MORE, 4).unwrap(),
                steps.pause(seed, 5, TAKE_MORE, 5).unwrap(),
            );
            assert_eq!(second < first, latest_first);
            assert!(begin.unwrap() < first, "all are there before one has two");
        }
    }

    #[test]
    fn threads_take_turns() {
        let (mut one, mut other) = (Steps::of_main(), Steps::of_main());
        let ranks = [
            one.pause(TURNS, 1, TAKE, 1),
            other.pause(TURNS, 1, TAKE, 2),
            one.pause(TURNS, 2, TAKE, 3),
            other.pause(TURNS, 2, TAKE, 4),
        ];
        assert!(ranks.iter().all(Option::is_some) && ranks.is_sorted());
    }

    #[test]
    fn a_late_thread_goes_after_all_others() {
        let mut test = Steps::of_main().child(0);
        let (mut first, mut second) = (test.child(0), test.child(1));
        let begins = first.pause(FIRST_LATE, 1, Point::Begin, 2).unwrap();
        let its_first = first.pause(FIRST_LATE, 2, TAKE, 3).unwrap();
        let its_second = first.pause(FIRST_LATE, 3, TAKE, 4).unwrap();
        let other = second.pause(FIRST_LATE, 4, TAKE, 5).unwrap();
        assert!(begins < its_first && its_first < other && other < its_second);
    }

    #[test]
    fn some_threads_become_late() {
        let late = |seed: u64| {
            let ranks = pauses(seed, Steps::of_main());
            ranks.into_iter().flatten().any(|rank| rank.late)
        };
        let seeds = (0..400).map(|n| SOME_LATE + 10 * n);
        let late = seeds.filter(|seed| late(*seed)).count();
        assert!((50..150).contains(&late), "{late} of 400");
    }

    #[test]
    fn those_deep_in_the_tree_begin_before_others() {
        let mut test = Steps::of_main().child(0);
        let mut worker = test.child(0);
        let mut helper = worker.child(0);
        let late = |steps: &mut Steps| {
            let rank = steps.pause(LATE_BEGIN, 1, Point::Begin, 1);
            rank.unwrap().late
        };
        assert_eq!(
            [late(&mut test), late(&mut worker), late(&mut helper)],
            [true, true, false]
        );
    }

    #[test]
    fn a_thread_is_as_old_as_its_spawn() {
        let mut main = Steps::of_main();
        let mut child = main.child(1);
        let parent_goes_on = main.pause(TURNS, 1, TAKE, 2).unwrap();
        let child_begins = child.pause(TURNS, 2, Point::Begin, 3).unwrap();
        assert!(child_begins < parent_goes_on);
        assert_eq!(child.pause(BEGIN, 3, TAKE, 4), None);
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
        let seeds = (0..400).map(|n| TURNS + 10 * n);
        let paused = |visit: u8| {
            seeds
                .clone()
                .filter(|seed| {
                    let mut steps = Steps::of_main();
                    for _ in 0..visit {
                        _ = steps.pause(*seed, 1, TAKE, 1);
                    }
                    steps.pause(*seed, 1, TAKE, 1).is_some()
                })
                .count()
        };
        assert_eq!(paused(0), 400);
        let old = paused(100);
        assert!((1..30).contains(&old), "{old} of 400");
    }

    #[test]
    fn the_pauses_of_a_thread_are_bounded() {
        let all = |seed| -> Duration {
            let mut steps = Steps::of_main();
            let mut all = Duration::ZERO;
            for place in 0..100_000 {
                if steps.pause(seed, place, TAKE_MORE, place).is_some() {
                    let time = Duration::from_millis(1);
                    steps.paused(time);
                    all += time;
                }
            }
            all
        };
        assert_eq!(all(TURNS), MOST);
        assert!((0..20).map(all).max() <= Some(MOST));
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
            _ = steps.pause(TURNS, 1, TAKE, 1);
        }
        assert!(steps.visits.contains(&u8::MAX));
    }
}
