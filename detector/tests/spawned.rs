//! Functions of the program's own that have the names of those that spawn, or
//! access, keep the types that they take.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "what is written here is what programs write"
)]

use std::future::Future;
use std::pin::Pin;

use leakcheck::track;

type Work = Pin<Box<dyn Future<Output = u8> + Send>>;
type Job = Box<dyn FnOnce() -> u8 + Send>;

fn work() -> Work {
    Box::pin(async { 1 })
}

fn job() -> Job {
    Box::new(|| 2)
}

const fn count() -> u8 {
    3
}

mod futures {
    use super::{Work, track, work};

    fn spawn(work: Work) -> Work {
        work
    }

    mod task {
        pub fn spawn(work: super::Work) -> super::Work {
            work
        }
    }

    #[track]
    pub fn all(given: Work) -> Vec<Work> {
        vec![
            spawn(given),
            spawn(work()),
            spawn(Box::pin(async { 1 })),
            task::spawn(work()),
            self::task::spawn(work()),
        ]
    }
}

mod functions {
    use super::{Job, count, job, track};

    fn spawn_blocking(job: Job) -> u8 {
        job()
    }

    fn unblock(function: fn() -> u8) -> u8 {
        function()
    }

    fn spawn_local(count: u8) -> u8 {
        count
    }

    mod thread {
        pub fn spawn(job: super::Job) -> u8 {
            job()
        }
    }

    #[track]
    pub fn all(given: Job) -> Vec<u8> {
        vec![
            spawn_blocking(given),
            spawn_blocking(job()),
            spawn_blocking(Box::new(|| 2)),
            thread::spawn(job()),
            thread::spawn(Box::new(|| 2)),
            unblock(count),
            unblock(|| 3),
            spawn_local("4".parse().expect("a number")),
        ]
    }
}

mod closures {
    use super::track;

    fn join(one: &str, other: &str) -> String {
        format!("{one}{other}")
    }

    fn scope<T>(count: &mut u8, work: impl FnOnce(&mut u8) -> T) -> T {
        work(count)
    }

    struct Pool(u8);

    impl Pool {
        fn install<'p>(&'p self, work: impl FnOnce(u8) -> &'p u8) -> &'p u8 {
            work(self.0)
        }

        fn join(&self, one: fn(u8) -> u8, other: impl Fn(u8) -> u8) -> u8 {
            one(self.0) + other(self.0)
        }

        fn block_on(&self, text: &str) -> usize {
            text.len()
        }
    }

    #[track]
    pub fn all() -> usize {
        let (mut count, pool) = (1, Pool(2));
        let text = join("a", "b");
        scope(&mut count, |count| *count += 1);
        let one = *pool.install(|_| &5);
        let both = pool.join(|n| n + 1, |n| n + count);
        pool.block_on(&text) + usize::from(one + both)
    }
}

mod ptr {
    pub const unsafe fn swap(one: u8, other: u8) -> [u8; 2] {
        [other, one]
    }
}

#[track]
fn exchanged() -> [u8; 2] {
    unsafe { crate::ptr::swap(1, 2) }
}

#[test]
fn what_takes_one_type_is_given_that() {
    assert_eq!(futures::all(work()).len(), 5);
    assert_eq!(functions::all(job()), [2, 2, 2, 2, 2, 3, 3, 4]);
    assert_eq!(closures::all(), 14);
    assert_eq!(exchanged(), [2, 1]);
}
