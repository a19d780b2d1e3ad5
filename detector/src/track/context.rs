//! Contexts: the tests and scopes that what is spawned belongs to.
//!
//! A context is a node of a tree; what is spawned in one belongs to it and to
//! all contexts around it, wherever it runs. So a leak is told to the test
//! whose tree it hangs in, also when tests run side by side.

use std::sync::{Mutex, PoisonError};

/// A test or scope. The root is the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextId(u32);

impl ContextId {
    /// What is outside of every test and scope.
    pub const ROOT: Self = Self(0);
}

/// The context around each, from context 1 on.
static AROUND: Mutex<Vec<ContextId>> = Mutex::new(Vec::new());

/// A new context in `around`.
pub fn create(around: ContextId) -> ContextId {
    let mut contexts = AROUND.lock().unwrap_or_else(PoisonError::into_inner);
    contexts.push(around);
    ContextId(u32::try_from(contexts.len()).unwrap_or(u32::MAX))
}

/// True if `inner` is `outer`, or lies in it.
pub fn within(inner: ContextId, outer: ContextId) -> bool {
    let contexts = AROUND.lock().unwrap_or_else(PoisonError::into_inner);
    let mut at = inner;
    loop {
        if at == outer {
            return true;
        }
        if at == ContextId::ROOT {
            return false;
        }
        at = contexts[at.0 as usize - 1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_in_a_scope_hangs_in_its_test() {
        let test = create(ContextId::ROOT);
        let other = create(ContextId::ROOT);
        let scope = create(test);
        assert!(within(scope, test));
        assert!(within(scope, ContextId::ROOT));
        assert!(!within(test, scope));
        assert!(!within(scope, other));
    }
}
