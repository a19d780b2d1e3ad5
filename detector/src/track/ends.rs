//! What the end of a value tells others, by the name of its type.

use super::foreign::{is_guard, words};
use super::object::{Class, NAMES, classify, name_hash};

/// Types whose values are shared: their counts and what the system knows them by.
const SHARED: &[&str] = &[
    "alloc::sync::Arc",
    "alloc::sync::Weak",
    "std::fs::File",
    "std::io::pipe::",
    "std::net::",
    "std::os::",
    "std::process::",
];

/// True if a value of this type has a part that is shared with others.
pub fn shares(type_name: &str) -> bool {
    words(type_name).any(|word| {
        let is_of = |families: &[&str]| families.iter().any(|family| word.starts_with(family));
        // A cell is one thread's.
        let is_lock = is_guard(word) && !word.starts_with("core::cell::");
        is_of(SHARED) || is_of(PERMITS) || is_lock || classify(word) == Class::Channel
    })
}

/// Families of types whose drop others may wait for, though they are neither
/// locks nor channels.
const PERMITS: &[&str] = &["tokio::sync::semaphore::", "async_lock::semaphore::"];

/// What the families in a type's name carry, in the order of the name.
pub fn ends(type_name: &str) -> impl Iterator<Item = u64> {
    let channels = NAMES.iter().filter(|(_, class)| *class == Class::Channel);
    let families = channels
        .map(|(prefix, _)| *prefix)
        .chain(PERMITS.iter().copied());
    let mut found: Vec<(usize, u64)> = families
        .flat_map(|prefix| {
            type_name.match_indices(prefix).map(move |(at, _)| {
                let carried = carried(type_name.get(at..).unwrap_or_default());
                (at, name_hash(prefix) ^ name_hash(carried))
            })
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, carries)| carries)
}

/// What is between the first `<` of a type's name and its `>`.
pub fn carried(name: &str) -> &str {
    let path = name.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    let Some((start, "<")) = path.map(|at| (at + 1, name.get(at..=at).unwrap_or_default())) else {
        return "";
    };
    let inner = name.get(start..).unwrap_or_default();
    let mut depth = 1;
    let end = inner.find(|c| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0
    });
    inner.get(..end.unwrap_or(inner.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::any::type_name;
    use std::sync::{Arc, Mutex, mpsc};

    use super::super::object::known;

    #[test]
    fn who_shares_is_missed_when_it_is_dropped() {
        let shares = |name: &'static str| known(name).shares;
        assert!(shares(type_name::<Option<(u8, Arc<u8>)>>()));
        assert!(shares(type_name::<Vec<std::sync::MutexGuard<'_, u8>>>()));
        assert!(shares(type_name::<std::fs::File>()));
        assert!(shares(type_name::<mpsc::Sender<u8>>()));
        assert!(!shares(type_name::<Vec<String>>()));
        assert!(!shares(type_name::<Mutex<u8>>()));
        assert!(!shares(type_name::<std::cell::Ref<'_, u8>>()));
    }

    /// Also inside of others, and in futures.
    #[test]
    fn the_end_of_what_is_inside_is_known() {
        type Message = Vec<Option<u8>>;
        let ends = |name: &'static str| known(name).ends.clone();
        let sender = ends(type_name::<mpsc::Sender<Message>>());
        assert_eq!(sender.len(), 1);
        assert_eq!(
            sender,
            ends(type_name::<Option<mpsc::SyncSender<Message>>>())
        );
        assert_eq!(
            sender,
            ends(type_name::<Vec<(u8, mpsc::Sender<Message>)>>())
        );
        assert_ne!(sender, ends(type_name::<mpsc::Sender<u8>>()));
        assert!(ends(type_name::<Arc<Mutex<u8>>>()).is_empty());
        assert_eq!(
            ends("tokio::sync::mpsc::bounded::Receiver<u8>::recv::{{closure}}"),
            ends("tokio::sync::mpsc::bounded::Sender<u8>")
        );
        assert_eq!(
            ends("tokio::sync::notify::Notified<'_>"),
            ends("tokio::sync::notify::Notify")
        );
        assert_ne!(
            ends("tokio::sync::notify::Notify"),
            ends("crossbeam_utils::sync::parker::Parker")
        );
        assert_eq!(
            ends("tokio::sync::mpsc::bounded::Permit<'_, u8>"),
            ends("tokio::sync::mpsc::bounded::Sender<u8>")
        );
        assert_eq!(
            ends("tokio::sync::semaphore::SemaphorePermit<'_>"),
            ends("tokio::sync::semaphore::Semaphore")
        );
    }
}
