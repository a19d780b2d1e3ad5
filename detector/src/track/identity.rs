//! The words of a value of a type that is not known: the ends of a channel
//! hold a pointer to what they share, in a private field, and a guard one to its lock.
//!
//! The one unsafe block of the source front end. There is no safe way to it:
//! what two ends have in common, most libraries say only of two that are at
//! hand (`same_channel`), and std not at all. What a word means is decided in
//! [`super::channel`] and in [`super::locks`], and nothing is ever accessed through it.
//!
//! What it misses: on processors without a load below, under Miri and with
//! pointers of other sizes there are no words, and a channel is known by what
//! it carries.

/// Words of a value that are looked at.
pub const WORDS: usize = 4;

/// The first words of a value; zero where it has none.
pub fn words<T: ?Sized>(value: &T) -> [usize; WORDS] {
    let mut words = [0; WORDS];
    if align_of_val(value) >= align_of::<usize>() {
        let count = size_of_val(value) / size_of::<usize>();
        let first = std::ptr::from_ref(value).cast::<usize>();
        for (at, word) in words.iter_mut().enumerate().take(count) {
            *word = load(value, first.wrapping_add(at));
        }
    }
    words
}

/// The word at `at`, which is aligned and lies in `_value`.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
fn load<T: ?Sized>(_value: &T, at: *const usize) -> usize {
    let word;
    // SAFETY: the eight bytes are readable, for they lie in a value that is
    // borrowed; another thread may store to them if they are in a cell, and
    // bytes between fields may never have been written: the processor loads
    // whatever is there, in one piece, and any number is a valid answer.
    // Nothing is written, and no flag changes.
    unsafe {
        std::arch::asm!(
            "mov {word}, qword ptr [{at}]",
            at = in(reg) at,
            word = lateout(reg) word,
            options(nostack, readonly, preserves_flags),
        );
    }
    word
}

/// The word at `at`, which is aligned and lies in `_value`.
#[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(miri)))]
fn load<T: ?Sized>(_value: &T, at: *const usize) -> usize {
    let word;
    // SAFETY: as on x86-64.
    unsafe {
        std::arch::asm!(
            "ldr {word}, [{at}]",
            at = in(reg) at,
            word = lateout(reg) word,
            options(nostack, readonly, preserves_flags),
        );
    }
    word
}

/// Not known.
#[cfg(not(all(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_pointer_width = "64",
    not(miri)
)))]
fn load<T: ?Sized>(_value: &T, _at: *const usize) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn the_words_of_a_value_are_seen() {
        let shared = Box::new(1_u8);
        let address = std::ptr::from_ref(&*shared).addr();
        assert_eq!(words(&shared), [address, 0, 0, 0]);
        assert_eq!(words(&[1_usize, 2, 3, 4, 5]), [1, 2, 3, 4]);
        assert_eq!(words(&7_u32), [0; WORDS]);
        assert_eq!(words(&()), [0; WORDS]);
    }
}
