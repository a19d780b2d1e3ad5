//! Futures that `block_on` was called with, and that have completed.
//!
//! The future of an async test stays where it is, in the frame of the test's
//! function, until the runtime is dropped: what it has held lies there still,
//! though it is dropped. A search that took that for live would find every
//! channel of the test. Once it has completed, the state of an async block or
//! function holds nothing: the compiler drops its variables before, and its
//! destructor does nothing after.
//!
//! Known only where `block_on` was given a pinned reference to a trait object,
//! as the attribute `tokio::test` does: its vtable tells the size, and by its
//! destructor's name that it is an async block. Any other is searched as all
//! of the stack is, which hides leaks and invents none.

use std::cell::RefCell;
use std::ops::Range;

use crate::abi::symbols;
use crate::rt::thread::Thread;

/// A completed future.
struct Completed {
    range: Range<usize>,
    /// Of the calls as far as the function that has it in its frame.
    calls: Vec<u64>,
    /// Of its bytes: they are another's if they have changed.
    sum: u64,
}

thread_local! {
    static COMPLETED: RefCell<Vec<Completed>> = const { RefCell::new(Vec::new()) };
}

/// Futures remembered of a thread.
const MOST: usize = 8;

/// How many calls lie around that of `block_on`, from inside a function that
/// it calls.
pub fn depth(thread: &Thread) -> usize {
    thread.frames().len().saturating_sub(2)
}

/// What `block_on` was called with at that depth has completed. `future` are
/// the words of a pinned reference to a trait object.
pub fn complete(thread: &Thread, depth: usize, future: [usize; 2]) {
    let [data, vtable] = future;
    // SAFETY: a vtable begins with destructor, size and alignment.
    let [destructor, size, _] = unsafe { (vtable as *const [usize; 3]).read() };
    if destructor == 0 || !symbols::name_of(destructor as u64).is_some_and(drops_async_block) {
        return;
    }
    let range = data..data + size;
    if !thread.stack.contains(&range.start) || !thread.stack.contains(&range.end) {
        return;
    }
    let calls = thread.frames()[..depth.min(thread.frames().len())].to_vec();
    COMPLETED.with_borrow_mut(|completed| {
        completed.retain(|other| other.range.end <= data || data + size <= other.range.start);
        if completed.len() == MOST {
            completed.remove(0);
        }
        completed.push(Completed {
            sum: sum(&range),
            range,
            calls,
        });
    });
}

/// The completed futures that still lie in frames of the thread.
pub fn completed(thread: &Thread) -> Vec<Range<usize>> {
    let is_there =
        |of: &&Completed| thread.frames().starts_with(&of.calls) && sum(&of.range) == of.sum;
    COMPLETED.with_borrow(|completed| {
        let there = completed.iter().filter(is_there);
        there.map(|of| of.range.clone()).collect()
    })
}

/// A sum of all words of a range of this thread's stack.
fn sum(range: &Range<usize>) -> u64 {
    const WORD: usize = size_of::<u64>();
    (range.start.next_multiple_of(WORD)..range.end / WORD * WORD)
        .step_by(WORD)
        .fold(range.len() as u64, |sum, at| {
            // SAFETY: a word of this thread's stack.
            let word = unsafe { (at as *const u64).read_volatile() };
            (sum ^ word)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(31)
        })
}

/// True for the mangled name of the destructor of an async block or function:
/// its type is written as that of a closure, which is no future.
fn drops_async_block(name: &str) -> bool {
    let legacy =
        name.contains("drop_in_place$LT$") && name.contains("$u7b$$u7b$closure$u7d$$u7d$$GT$17h");
    let v0 = name
        .split_once("13drop_in_place")
        .is_some_and(|(_, of)| of.starts_with("NC"));
    legacy || v0
}

#[cfg(test)]
mod tests {
    use super::drops_async_block;

    #[test]
    fn destructors_of_async_blocks_are_known_by_name() {
        assert!(drops_async_block(
            "_ZN4core3ptr64drop_in_place$LT$bank..drains..$u7b$$u7b$closure$u7d$$u7d$$GT$17h0123456789abcdefE"
        ));
        assert!(drops_async_block(
            "_RINvNtCs1_4core3ptr13drop_in_placeNCNvCs2_4bank6drains0EB5_"
        ));
        assert!(!drops_async_block(
            "_ZN4core3ptr64drop_in_place$LT$bank..Journal$GT$17h0123456789abcdefE"
        ));
        assert!(!drops_async_block(
            "_RINvNtCs1_4core3ptr13drop_in_placeNtCs2_4bank7JournalEB5_"
        ));
    }
}
