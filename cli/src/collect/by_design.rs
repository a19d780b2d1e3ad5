//! Races that a library documents as its design.
//!
//! A seqlock reads memory that may be written, and throws the value away if it
//! was. The memory model calls that a race all the same, so it is told, as a
//! warning. Each rule is a function with its reason.

use leakcheck::report::kind::Kind;

use crate::model::{Frame, FrameClass, Stack};

/// A rule that names a race by design.
#[derive(Debug)]
pub struct DesignRule {
    /// Why it is by design.
    pub reason: &'static str,
    applies: fn(&Frame) -> bool,
}

/// All rules.
const RULES: &[DesignRule] = &[
    DesignRule {
        reason: "crossbeam's AtomicCell reads optimistically and checks a sequence lock after",
        applies: atomic_cell,
    },
    DesignRule {
        reason: "crossbeam-deque reads a slot before it knows that no other thread took it",
        applies: deque_buffer,
    },
    DesignRule {
        reason: "the seqlock crate reads optimistically and checks the sequence after",
        applies: seqlock,
    },
];

/// The rule for a race, if one of its accesses is by design. A free or a
/// return is never covered: those rules are about values that are thrown away.
pub fn by_design<'a>(
    kind: Kind,
    legs: impl IntoIterator<Item = &'a Stack>,
) -> Option<&'static DesignRule> {
    if !matches!(kind, Kind::DataRace | Kind::VolatileRace) {
        return None;
    }
    legs.into_iter().find_map(|stack| {
        stack
            .frames()
            .iter()
            .take_while(|frame| frame.class != FrameClass::User)
            .find_map(|frame| RULES.iter().find(|rule| (rule.applies)(frame)))
    })
}

/// `crossbeam_utils::atomic::AtomicCell` of a type without a native atomic.
fn atomic_cell(frame: &Frame) -> bool {
    frame
        .function
        .is_within("crossbeam_utils::atomic::atomic_cell")
        || frame
            .function
            .is_within("crossbeam_utils::atomic::seq_lock")
}

/// `Buffer::read` and `Buffer::write` of `crossbeam_deque`.
fn deque_buffer(frame: &Frame) -> bool {
    frame.function.is("crossbeam_deque", &["Buffer", "read"])
        || frame.function.is("crossbeam_deque", &["Buffer", "write"])
}

/// `seqlock::SeqLock`.
fn seqlock(frame: &Frame) -> bool {
    frame.function.is("seqlock", &["SeqLock", "read"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_leg_can_be_by_design() {
        let push = Stack::of_test(&[
            ("core::ptr::write_volatile", FrameClass::Std),
            (
                "crossbeam_deque::deque::Buffer<T>::write",
                FrameClass::Dependency,
            ),
            (
                "crossbeam_deque::deque::Worker<T>::push",
                FrameClass::Dependency,
            ),
        ]);
        let other = Stack::of_test(&[("bank::run", FrameClass::User)]);
        assert!(by_design(Kind::DataRace, [&other, &push]).is_some());
        assert!(by_design(Kind::DataRace, [&other]).is_none());
    }

    #[test]
    fn a_free_is_never_by_design() {
        let read = Stack::of_test(&[(
            "crossbeam_deque::deque::Buffer<T>::read",
            FrameClass::Dependency,
        )]);
        assert!(by_design(Kind::RaceWithFree, [&read]).is_none());
    }

    #[test]
    fn a_callback_of_the_user_is_not_by_design() {
        let called = Stack::of_test(&[
            ("bank::init", FrameClass::User),
            (
                "crossbeam_utils::atomic::atomic_cell::AtomicCell<T>::fetch_update",
                FrameClass::Dependency,
            ),
        ]);
        assert!(by_design(Kind::DataRace, [&called]).is_none());
    }
}
