//! Which channel an end belongs to.
//!
//! Both ends of a channel hold the address of what they share. Which of its
//! words that is, is the same for all ends of a type, and is learned from two
//! ends that are surely of one channel, because they were just made together:
//! the only word that is an address and is in both. For std's channels the
//! library makes such pairs itself.
//!
//! An end whose type was not learned, a handle or an iterator, and one whose
//! word is empty, are of *some* channel that carries the type. No order is
//! lost between the two kinds: what an unknown end publishes is known to all
//! that carry the type, and what any end publishes, to unknown ends.
//!
//! What it misses: ends whose constructor is in code that is not tracked, and
//! not std's, are known by what they carry; so are copies of one handle, such
//! as a `WaitGroup`'s. An address that is used again stands for both channels.
//! Each hides races and invents none.

use std::sync::{OnceLock, mpsc};

use super::engine::Key;
use super::identity::{WORDS, words};
use super::object::{self, Class, Known};
use super::sharded::Sharded;

/// Which word of an end is the address of what it shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// This one.
    Is(usize),
    /// It cannot be told.
    Unknown,
}

/// By the type of an end.
static LEARNED: Sharded<u64, Word> = Sharded::new();

/// An end of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// What it carries.
    carries: u64,
    /// The address of what it shares; zero if it is not known.
    shares: usize,
}

impl End {
    /// The end `value`, whose type is known to be one.
    pub fn of<T: ?Sized>(value: &T, known: &Known) -> Self {
        learn_std();
        let word = LEARNED.with(&known.end, |learned| learned.get(&known.end).copied());
        let shares = match word {
            Some(Word::Is(at)) => words(value)[at],
            Some(Word::Unknown) | None => 0,
        };
        Self {
            carries: known.carries,
            shares: if is_address(shares) { shares } else { 0 },
        }
    }

    /// An end of the channel that shares what is at this address; zero if it is
    /// not known.
    pub const fn sharing(shares: usize, carries: u64) -> Self {
        Self { carries, shares }
    }

    /// The address of what it shares; zero if it is not known.
    pub const fn shares(self) -> usize {
        self.shares
    }

    /// All that carry the type.
    const fn all(self) -> Key {
        Key::Carried(self.carries)
    }

    /// Those of them that are not known.
    const fn unknown(self) -> Key {
        of_unknown(self.carries)
    }

    /// Into what it publishes.
    pub const fn releases(self) -> [Key; 2] {
        if self.shares == 0 {
            [self.all(), self.unknown()]
        } else {
            [self.all(), Key::Address(self.shares)]
        }
    }

    /// From what it learns.
    pub const fn acquires(self) -> [Key; 2] {
        if self.shares == 0 {
            [self.all(), self.all()]
        } else {
            [self.unknown(), Key::Address(self.shares)]
        }
    }
}

/// What all publish into that carry this, and of which is not known which
/// channel they belong to. They publish into [`Key::Carried`] besides.
pub const fn of_unknown(carries: u64) -> Key {
    Key::Carried(!carries)
}

/// Neither a number nor a tag.
const fn is_address(word: usize) -> bool {
    word >= 1 << 16 && word.is_multiple_of(align_of::<usize>())
}

/// Two values were made together. If they are the ends of a channel, they
/// share it.
pub fn made<A: ?Sized, B: ?Sized>(one: &A, other: &B) {
    let a = object::known(std::any::type_name::<A>());
    let b = object::known(std::any::type_name::<B>());
    if a.class == Class::Channel && b.class == Class::Channel && a.carries == b.carries {
        learn((a.end, words(one)), (b.end, words(other)));
    }
}

/// The words at which two ends of one channel have the same address, if there
/// is one such pair.
fn common(one: &[usize; WORDS], other: &[usize; WORDS]) -> Option<(usize, usize)> {
    let mut pairs = (0..WORDS).flat_map(|a| (0..WORDS).map(move |b| (a, b)));
    let mut same = pairs
        .by_ref()
        .filter(|&(a, b)| one[a] == other[b] && is_address(one[a]));
    let first = same.next()?;
    same.next().is_none().then_some(first)
}

fn learn(one: (u64, [usize; WORDS]), other: (u64, [usize; WORDS])) {
    let (a, b) = match common(&one.1, &other.1) {
        Some((a, b)) => (Word::Is(a), Word::Is(b)),
        None => (Word::Unknown, Word::Unknown),
    };
    for (end, word) in [(one.0, a), (other.0, b)] {
        LEARNED.with(&end, |learned| {
            let before = learned.entry(end).or_insert(word);
            if *before != word {
                *before = Word::Unknown;
            }
        });
    }
}

/// Learns of std's channels, of each kind: they are the same for all types
/// that they carry ([`Known::end`]).
fn learn_std() {
    static LEARNED: OnceLock<()> = OnceLock::new();
    LEARNED.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<u8>();
        made(&sender, &receiver);
        for bound in [0, 1] {
            let (sender, receiver) = mpsc::sync_channel::<u8>(bound);
            made(&sender, &receiver);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    fn end<T>(value: &T) -> End {
        End::of(value, object::known(std::any::type_name::<T>()))
    }

    #[test]
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    fn ends_of_one_channel_are_known_by_it() {
        let (one, its_end) = mpsc::channel::<String>();
        let (other, _others_end) = mpsc::channel::<String>();
        let copy = Box::new(one.clone());
        assert_eq!(end(&one), end(&its_end));
        assert_eq!(end(&one), end(&*copy));
        assert_ne!(end(&one), end(&other));
        assert_ne!(end(&one).shares, 0);
        let (bounded, its_end) = mpsc::sync_channel::<[u64; 9]>(3);
        assert_eq!(end(&bounded), end(&its_end));
        let moved = its_end;
        assert_eq!(end(&bounded), end(&moved));
    }

    #[test]
    fn what_has_no_word_orders_with_all() {
        let (sender, receiver) = mpsc::channel::<i8>();
        let iterator = receiver.iter();
        let (known, unknown) = (end(&sender), end(&iterator));
        assert_eq!(unknown.shares, 0);
        let orders = |from: End, to: End| {
            let published = from.releases();
            to.acquires().iter().any(|key| published.contains(key))
        };
        assert!(orders(known, unknown) && orders(unknown, known));
        assert!(orders(known, known) && orders(unknown, unknown));
    }

    #[test]
    fn only_one_common_address_is_believed() {
        let shared = 0x7000_0000_1000;
        let other = 0x7000_0000_2000;
        assert_eq!(common(&[1, shared, 0, 0], &[shared, 1, 0, 0]), Some((1, 0)));
        assert_eq!(common(&[1, 8, 0, 0], &[1, 8, 0, 0]), None, "numbers");
        assert_eq!(common(&[shared, other, 0, 0], &[shared, other, 0, 0]), None);
        assert_eq!(common(&[shared, 0, 0, 0], &[other, 0, 0, 0]), None);
    }

    /// Ends as a library might have them.
    #[test]
    fn ends_that_contradict_what_was_learned_are_unknown() {
        let shared = Arc::new(0_u8);
        let address = Arc::as_ptr(&shared).addr();
        let (a, b) = (u64::MAX - 1, u64::MAX - 2);
        learn((a, [address, 0, 0, 0]), (b, [5, address, 0, 0]));
        let word = |end: u64| LEARNED.with(&end, |learned| learned.get(&end).copied());
        assert_eq!((word(a), word(b)), (Some(Word::Is(0)), Some(Word::Is(1))));
        learn((a, [0, address, 0, 0]), (b, [5, address, 0, 0]));
        assert_eq!((word(a), word(b)), (Some(Word::Unknown), Some(Word::Is(1))));
        learn((a, [address, 0, 0, 0]), (b, [5, 6, 0, 0]));
        assert_eq!(
            (word(a), word(b)),
            (Some(Word::Unknown), Some(Word::Unknown))
        );
    }
}
