//! Whether a function is run as a test: where `#[test]` stands above
//! `#[track]`, the compiler has taken it off before the attribute sees it.
//!
//! libtest runs a test on a thread that has its name, or on the main thread
//! if there is but one at a time: there the stack tells who calls. What it
//! misses: a program without symbols whose tests run on the main thread, and
//! harnesses other than libtest.

use std::backtrace::Backtrace;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use super::scope::Test;

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

/// A function without arguments that may be a test.
#[derive(Debug)]
pub struct MaybeTest {
    /// Its path, with the crate.
    path: &'static str,
    /// Whether it is a test when the main thread runs it.
    on_main: AtomicU8,
}

impl MaybeTest {
    /// The function of this path.
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        Self {
            path,
            on_main: AtomicU8::new(UNKNOWN),
        }
    }

    /// The function begins: a test, if it runs as one.
    #[must_use]
    pub fn begin(&self) -> Option<Test> {
        if !Test::may_begin() {
            return None;
        }
        let thread = thread::current();
        let name = thread.name()?;
        let in_crate = self.path.split_once("::").map_or("", |(_, path)| path);
        let runs = name == in_crate || name == "main" && self.is_called_by_main();
        runs.then(Test::begin)
    }

    fn is_called_by_main(&self) -> bool {
        match self.on_main.load(Ordering::Relaxed) {
            UNKNOWN => {
                let stack = Backtrace::force_capture().to_string();
                let is_test = is_run_by_libtest(&stack, self.path);
                self.on_main
                    .store(if is_test { YES } else { NO }, Ordering::Relaxed);
                is_test
            }
            known => known == YES,
        }
    }
}

/// The functions of a stack as std prints it, the innermost first.
fn functions(stack: &str) -> impl Iterator<Item = &str> {
    stack.lines().filter_map(|line| {
        let (number, function) = line.trim_start().split_once(": ")?;
        number
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then_some(function)
    })
}

/// True if libtest itself calls the function of this path.
fn is_run_by_libtest(stack: &str, path: &str) -> bool {
    let mut outside = functions(stack).skip_while(|function| !is_it(function, path));
    let callers = outside.by_ref().skip(1);
    for caller in callers {
        // The closure that `#[test]` makes, and calls through pointers.
        let passes = caller
            .strip_suffix("::{{closure}}")
            .or_else(|| caller.strip_suffix("::closure$0"))
            .is_some_and(|function| is_it(function, path))
            || caller.contains("call_once");
        if !passes {
            return caller.starts_with("test::");
        }
    }
    false
}

/// With or without the hash of its crate.
fn is_it(function: &str, path: &str) -> bool {
    function == path || function.starts_with(path) && function[path.len()..].starts_with("::h")
}

#[cfg(test)]
mod tests {
    use super::is_run_by_libtest;

    const RUN: &str = "   \
   0: std::backtrace::Backtrace::create
             at /rustc/library/std/src/backtrace.rs:331:13
   1: leakcheck::track::harness::MaybeTest::begin
   2: shop::tests::sells
             at ./src/lib.rs:4:5
   3: shop::tests::sells::{{closure}}
             at ./src/lib.rs:3:11
   4: core::ops::function::FnOnce::call_once
   5: <fn() -> core::result::Result<(), String> as core::ops::function::FnOnce<()>>::call_once
   6: test::__rust_begin_short_backtrace
   7: test::run_test_in_process
   8: main
";

    #[test]
    fn a_test_is_called_by_libtest() {
        assert!(is_run_by_libtest(RUN, "shop::tests::sells"));
    }

    #[test]
    fn what_a_test_calls_is_no_test() {
        let stack = RUN.replace(
            "   2: shop::tests::sells\n",
            "   1: shop::helper\n   2: shop::tests::sells\n",
        );
        assert!(!is_run_by_libtest(&stack, "shop::helper"));
        assert!(!is_run_by_libtest("", "shop::helper"));
        assert!(!is_run_by_libtest(RUN, "shop::tests::sell"));
    }
}
