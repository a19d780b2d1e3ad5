//! Since when a task has been in each call of what it awaits.
//!
//! Each time a task leaves its waker in another place than before, the calls that
//! the two places have in common go on, and the others begin. A call that has
//! ended and begun again at the same place, as in a loop, is not told from one that
//! goes on.
//!
//! Pure, but for the table of stacks.

use std::cell::RefCell;

use crate::stack::{self, StackId};

/// What a task awaits: one way for each branch, and for each call of it the
/// nanosecond since when, outermost first.
#[derive(Debug, Default)]
pub struct Trail {
    ways: Vec<Way>,
}

#[derive(Debug, Clone)]
struct Way {
    chain: StackId,
    since: Vec<u64>,
}

/// How two stacks compare.
#[derive(Debug, Clone, Copy)]
pub struct Common {
    /// Calls that they have in common, from the outermost on.
    shared: usize,
    /// All calls of the second.
    len: usize,
}

/// Pairs of stacks kept by a thread.
const PAIRS: usize = 32;

thread_local! {
    static COMMON: RefCell<[Option<(StackId, StackId, Common)>; PAIRS]> =
        const { RefCell::new([None; PAIRS]) };
}

impl Common {
    /// Of two stacks, innermost call first.
    fn of(before: &[u64], now: &[u64]) -> Self {
        let pairs = before.iter().rev().zip(now.iter().rev());
        Self {
            shared: pairs.take_while(|(before, now)| before == now).count(),
            len: now.len(),
        }
    }

    /// Of two in the table, as a rule one that the thread has compared before.
    pub fn between(before: StackId, now: StackId) -> Self {
        let look = || Self::of(&stack::get(before), &stack::get(now));
        let place = (before.0.wrapping_mul(31) ^ now.0) as usize % PAIRS;
        let known = COMMON.try_with(|common| {
            let mut common = common.try_borrow_mut().ok()?;
            match common[place] {
                Some((first, second, known)) if (first, second) == (before, now) => Some(known),
                Some(_) | None => {
                    let new = look();
                    common[place] = Some((before, now, new));
                    Some(new)
                }
            }
        });
        known.ok().flatten().unwrap_or_else(look)
    }
}

impl Trail {
    /// The task awaits a place that it did not await before. `valid` are those that it
    /// has awaited in this poll or the last.
    pub fn moved(
        &mut self,
        chain: StackId,
        valid: &[StackId],
        now: u64,
        common: impl Fn(StackId, StackId) -> Common,
    ) {
        self.ways.retain(|way| valid.contains(&way.chain));
        let best = self
            .ways
            .iter()
            .map(|way| (common(way.chain, chain), way))
            .max_by_key(|(common, _)| common.shared);
        let mut since = Vec::new();
        let len = match best {
            Some((common, way)) => {
                since.extend_from_slice(&way.since[..common.shared.min(way.since.len())]);
                common.len
            }
            None => common(StackId(0), chain).len,
        };
        since.resize(len, now);
        self.ways.push(Way { chain, since });
    }

    /// Since when the task has been in each call of this one, innermost first;
    /// nothing if that is not known.
    pub fn since(&self, chain: StackId) -> Vec<u64> {
        let known = self.ways.iter().find(|way| way.chain == chain);
        known.map_or_else(Vec::new, |way| way.since.iter().rev().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stacks by number, innermost call first.
    fn stack(id: StackId) -> &'static [u64] {
        match id.0 {
            1 => &[30, 20, 10],
            2 => &[31, 20, 10],
            3 => &[40, 31, 20, 10],
            4 => &[50, 11],
            _ => &[],
        }
    }

    fn common(before: StackId, now: StackId) -> Common {
        Common::of(stack(before), stack(now))
    }

    #[test]
    fn what_two_places_have_in_common_goes_on() {
        let mut trail = Trail::default();
        trail.moved(StackId(1), &[], 100, common);
        assert_eq!(trail.since(StackId(1)), [100, 100, 100]);
        trail.moved(StackId(2), &[StackId(1)], 200, common);
        assert_eq!(trail.since(StackId(2)), [200, 100, 100]);
        trail.moved(StackId(3), &[StackId(2)], 300, common);
        assert_eq!(trail.since(StackId(3)), [300, 200, 100, 100]);
        assert!(trail.since(StackId(1)).is_empty());
        trail.moved(StackId(4), &[StackId(3)], 400, common);
        assert_eq!(trail.since(StackId(4)), [400, 400]);
    }

    #[test]
    fn a_branch_goes_on_where_it_has_most_in_common() {
        let mut trail = Trail::default();
        trail.moved(StackId(4), &[], 100, common);
        trail.moved(StackId(1), &[StackId(4)], 200, common);
        trail.moved(StackId(2), &[StackId(4), StackId(1)], 300, common);
        assert_eq!(trail.since(StackId(2)), [300, 200, 200]);
        assert_eq!(trail.since(StackId(4)), [100, 100]);
    }

    #[test]
    fn what_is_older_than_the_last_poll_is_over() {
        let mut trail = Trail::default();
        trail.moved(StackId(1), &[], 100, common);
        trail.moved(StackId(2), &[StackId(4)], 200, common);
        assert_eq!(trail.since(StackId(2)), [200, 200, 200]);
    }
}
