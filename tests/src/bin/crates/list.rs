//! The crates whose tests are run, at fixed versions: a change of the table
//! is then a change of leakcheck.

/// The tests of one crate.
pub struct Suite {
    /// Its name on crates.io.
    pub name: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// What else `leakcheck test` is told: features, and which tests if the
    /// archive holds some that cannot run.
    pub arguments: &'static [&'static str],
    /// Findings that are right.
    pub known: &'static [Known],
}

/// A finding that was looked into and is right: not a false one.
pub struct Known {
    /// The kind of finding.
    pub kind: &'static str,
    /// The test binary.
    pub binary: &'static str,
    /// The test.
    pub test: &'static str,
    /// What the test does.
    pub reason: &'static str,
}

impl Suite {
    /// Adds findings that are right.
    const fn knowing(mut self, known: &'static [Known]) -> Self {
        self.known = known;
        self
    }
}

const fn suite(
    name: &'static str,
    version: &'static str,
    arguments: &'static [&'static str],
) -> Suite {
    Suite {
        name,
        version,
        arguments,
        known: &[],
    }
}

const fn leak(binary: &'static str, test: &'static str, reason: &'static str) -> Known {
    Known {
        kind: "leaked-thread",
        binary,
        test,
        reason,
    }
}

const fn stuck(binary: &'static str, test: &'static str, reason: &'static str) -> Known {
    Known {
        kind: "leaked-task",
        binary,
        test,
        reason,
    }
}

/// Tasks that would race on two threads are a warning else.
const DENY: &str = "--deny=task-race";

/// What plain cargo does not know.
pub const OUR_OWN: [&str; 1] = [DENY];

/// Why tests of tokio's leave tasks.
const DROPPED_RUNTIME: &str =
    "a task awaits `pending()`, others wait for it, and the test is how the runtime drops them";

/// The same, of those with a future of their own.
const NO_WAKER: &str =
    "its future answers `Pending` without a word to its waker, and the runtime drops it";

/// Why the tests that crossbeam-channel took over from Go leave threads.
const ENDLESS_GOROUTINE: &str =
    "the Go program it was translated from leaves goroutines blocked on a channel";

/// All suites.
pub const ALL: &[Suite] = &[
    suite("arc-swap", "1.9.3", &["--lib", "--tests"]),
    suite("async-channel", "2.5.0", &[DENY, "--lib", "--tests"]),
    suite("concurrent-queue", "2.5.0", &["--lib", "--tests"]),
    suite("crossbeam-channel", "0.5.17", &["--lib", "--tests"]).knowing(&[
        leak("golang", "sieve1::main", ENDLESS_GOROUTINE),
        leak("golang", "chan1::main", ENDLESS_GOROUTINE),
        leak("golang", "select7::main", ENDLESS_GOROUTINE),
    ]),
    suite("crossbeam-deque", "0.8.8", &["--lib", "--tests"]),
    suite("crossbeam-epoch", "0.9.21", &["--lib", "--tests"]),
    suite("crossbeam-queue", "0.3.14", &["--lib", "--tests"]),
    suite("crossbeam-utils", "0.8.23", &["--lib", "--tests"]),
    suite("dashmap", "6.2.1", &["--lib", "--tests"]),
    suite("event-listener", "5.4.2", &[DENY, "--lib", "--tests"]),
    suite("flume", "0.12.0", &[DENY, "--lib", "--tests"]),
    suite(
        "once_cell",
        "1.21.4",
        // The test left out runs an example that it expects at a fixed path.
        &["--lib", "--tests", "--", "--skip=reentrant_init"],
    ),
    suite("oneshot", "0.1.13", &["--lib", "--tests"]),
    suite("parking_lot", "0.12.5", &["--lib", "--tests"]),
    // Not rayon-core: the rule for its idle workers is for those who use it.
    // Those left out are long loops on one thread, for minutes.
    suite(
        "rayon",
        "1.12.0",
        &["--tests", "--", "--skip=check_lengths", "--skip=octillion"],
    ),
    suite("sharded-slab", "0.1.7", &["--lib"]),
    suite("spin", "0.10.1", &["--lib", "--tests"]),
    suite("thread_local", "1.1.10", &["--lib", "--tests"]),
    // The whole of tokio takes an hour; its own synchronisation is what the
    // others have no counterpart of.
    suite(
        "tokio",
        "1.54.1",
        &[
            DENY,
            "--features=full,test-util",
            "--test=sync_barrier",
            "--test=sync_broadcast",
            "--test=sync_mpsc",
            "--test=sync_mutex",
            "--test=sync_notify",
            "--test=sync_once_cell",
            "--test=sync_oneshot",
            "--test=sync_rwlock",
            "--test=sync_semaphore",
            "--test=sync_watch",
            "--test=rt_basic",
            "--test=rt_threaded",
            "--test=task_abort",
            "--test=task_join_set",
            "--test=task_local_set",
            "--test=tcp_echo",
            "--test=time_sleep",
        ],
    )
    .knowing(&[
        stuck("rt_basic", "acquire_mutex_in_drop", DROPPED_RUNTIME),
        stuck("task_local_set", "acquire_mutex_in_drop", DROPPED_RUNTIME),
        stuck("task_local_set", "drop_cancels_tasks", DROPPED_RUNTIME),
        stuck("rt_threaded", "drop_threadpool_drops_futures", NO_WAKER),
        stuck("rt_threaded", "wake_during_shutdown", NO_WAKER),
    ]),
];

/// Crates that are tracked, besides: their own tests say little about threads,
/// but their code is of all the ways in which Rust is written.
pub const TRACKED: &[Suite] = &[
    suite("async-executor", "1.14.1", &["--lib", "--tests"]),
    suite("async-lock", "3.5.0", &["--lib", "--tests"]),
    suite("async-task", "4.7.1", &["--lib", "--tests"]),
    suite(
        "bumpalo",
        "3.20.3",
        &["--lib", "--tests", "--features=collections,boxed"],
    ),
    suite("bytes", "1.12.1", &["--lib", "--tests"]),
    suite("futures", "0.3.34", &["--lib", "--tests"]),
    suite(
        "futures-util",
        "0.3.34",
        &["--lib", "--features=channel,io,sink"],
    ),
    suite("fixedbitset", "0.5.7", &["--lib", "--tests"]),
    suite("hashbrown", "0.17.1", &["--lib", "--tests"]),
    suite("http", "1.5.0", &["--lib", "--tests"]),
    suite("indexmap", "2.14.2", &["--lib", "--tests"]),
    suite("itertools", "0.15.0", &["--lib", "--tests"]),
    suite("lock_api", "0.4.14", &["--lib", "--tests"]),
    // Of these three, all is operators.
    suite("num-bigint", "0.5.1", &["--lib", "--tests"]),
    suite("num-rational", "0.4.2", &["--lib", "--tests"]),
    suite("num-traits", "0.2.19", &["--lib", "--tests"]),
    suite("parking_lot_core", "0.9.12", &["--lib", "--tests"]),
    suite("petgraph", "0.8.3", &["--lib", "--tests"]),
    suite("scopeguard", "1.2.0", &["--lib", "--tests"]),
    suite("semver", "1.0.28", &["--lib", "--tests"]),
    suite("slab", "0.4.12", &["--lib", "--tests"]),
    suite("smallvec", "1.16.5", &["--lib", "--tests"]),
    suite(
        "tokio-util",
        "0.7.20",
        &["--lib", "--tests", "--features=full"],
    ),
    suite("tower", "0.5.3", &["--lib", "--tests", "--features=full"]),
];
