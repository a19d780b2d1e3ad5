//! Granules with more accesses than four words hold: a list of cells.
//!
//! The last word of the granule then refers to the list, which holds all cells
//! of the granule (see [`super::crowd`]); the other words are empty, but for
//! what a thread stores there that found no list yet: who comes next takes it
//! along. The list grows by nodes of fourteen cells and stays until the memory
//! ends. Cells go in and out only under the list's lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::crowd::{self, Entry};
use super::word::{Cell, MORE, WORDS};
use crate::rt::lock::SpinWord;
use crate::rt::pool::{Pool, Zeroed};
use crate::session;
use crate::sync::Clocks;

const CELLS: usize = 14;

#[repr(C, align(128))]
struct Node {
    /// Of the whole list; used in its first node, as `len` is.
    lock: SpinWord,
    /// Entries of the list.
    len: AtomicU32,
    /// The next node, or 0.
    more: AtomicU32,
    cells: [AtomicU64; CELLS],
}

// SAFETY: all fields are atomics, for which zero is valid.
unsafe impl Zeroed for Node {}

static NODES: Pool<Node> = Pool::new();

impl Node {
    /// An entry of this node.
    #[inline(always)]
    fn entry(&self, at: usize) -> Entry {
        Entry::from_bits(self.cells[at].load(Ordering::Relaxed))
    }

    #[inline(always)]
    fn put(&self, at: usize, entry: Entry) {
        self.cells[at].store(entry.bits(), Ordering::Relaxed);
    }

    /// How many entries the list has of which this is the first node.
    #[inline(always)]
    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) as usize
    }

    #[inline(always)]
    fn set_len(&self, len: usize) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "as few as threads and bytes allow"
        )]
        self.len.store(len as u32, Ordering::Relaxed);
    }
}

/// What an access to an overflowed granule came to.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// A recorded access that it races with.
    pub race: Option<Cell>,
    /// True if it was not recorded before.
    pub changed: bool,
}

const RECORDED: Outcome = Outcome {
    race: None,
    changed: false,
};

/// Begins a list in the last word of a granule, with the cell that is there.
/// If it is not `last` any more, nothing happens.
pub fn begin(word: &AtomicU64, last: Cell) {
    let number = NODES.take();
    let node = NODES.get(number);
    node.more.store(0, Ordering::Relaxed);
    node.put(0, Entry::new(last, false));
    node.set_len(1);
    let begun = word
        .compare_exchange(
            last.bits(),
            reference(number),
            Ordering::SeqCst,
            Ordering::Relaxed,
        )
        .is_ok();
    if !begun {
        NODES.put_many(&[number]);
    }
}

/// The word that refers to a list.
#[inline(always)]
fn reference(number: u32) -> u64 {
    Cell::overflow(number).bits()
}

/// Calls `f` with each entry of a list, the lock held, until it returns
/// something.
fn each<R>(head: &Node, mut f: impl FnMut(Entry) -> Option<R>) -> Option<R> {
    let (mut node, mut left) = (head, head.len());
    loop {
        for at in 0..left.min(CELLS) {
            if let Some(result) = f(node.entry(at)) {
                return Some(result);
            }
        }
        left = left.saturating_sub(CELLS);
        if left == 0 {
            return None;
        }
        node = NODES.get(node.more.load(Ordering::Relaxed));
    }
}

/// The first cell of a list that `f` holds of.
pub fn find(number: u32, mut f: impl FnMut(Cell) -> bool) -> Option<Cell> {
    let head = NODES.get(number);
    head.lock.lock();
    let found = each(head, |entry| Some(entry.cell()).filter(|&cell| f(cell)));
    head.lock.unlock();
    found
}

/// What [`quickly`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quick {
    /// Nothing: it is recorded already.
    Recorded,
    /// It recorded the access, which races with nothing.
    Added,
    /// Nothing: that is [`access`]'s to do.
    No,
}

/// Records an access to the granule with these words, of which the last refers
/// to the list, where the last entry tells all: it came after all others, and
/// the thread knows it. `met` is told of it, if it is another thread's.
#[inline(always)]
pub fn quickly(
    number: u32,
    words: [&AtomicU64; WORDS],
    new: Cell,
    clocks: &Clocks,
    met: impl Fn(Cell),
) -> Quick {
    let head = NODES.get(number);
    let len = head.len().wrapping_sub(1);
    let Some(latest) = head.cells.get(len) else {
        return Quick::No;
    };
    let entry = Entry::from_bits(latest.load(Ordering::Relaxed));
    let last = entry.cell();
    if last.says(new) && words[WORDS - 1].load(Ordering::Relaxed) == reference(number) {
        return Quick::Recorded;
    }
    if !entry.is_after_all() || !clocks.ordered(last) {
        return Quick::No;
    }
    head.lock.lock();
    let [a, b, c, d] = words.map(|word| word.load(Ordering::Relaxed));
    let here = a | (b ^ MORE) | c | (d ^ reference(number)) == 0;
    let done = if here && head.len() == len + 1 && head.entry(len) == entry {
        add_last(head, len, new)
    } else {
        Quick::No
    };
    head.lock.unlock();
    if done == Quick::Added && !last.same_slot(new) {
        met(last);
    }
    done
}

/// As [`quickly`], the entry at `last` being the last one, and the lock held.
#[inline(always)]
fn add_last(head: &Node, last: usize, new: Cell) -> Quick {
    let cell = head.entry(last).cell();
    if cell.same_stamp(new) {
        // The thread's own of this epoch are the last ones.
        let mut at = last;
        loop {
            let entry = head.entry(at);
            let cell = entry.cell();
            if !cell.same_stamp(new) {
                break;
            }
            if cell.says(new) {
                return Quick::Recorded;
            }
            if cell.same_access(new) {
                head.put(
                    at,
                    Entry::new(cell.with_mask(new.mask()), entry.is_after_all()),
                );
                return Quick::Added;
            }
            if at == 0 {
                break;
            }
            at -= 1;
        }
    }
    if cell.superseded_by(new) {
        head.put(last, Entry::new(new, true));
    } else if last + 1 < CELLS {
        head.put(last + 1, Entry::new(new, true));
        head.set_len(last + 2);
    } else {
        return Quick::No;
    }
    Quick::Added
}

/// Checks and records an access to the granule with these words, of which the
/// last refers to the list; `met` is told of the cells of other threads, if the
/// thread has none. None if the granule has left the list meanwhile: look again.
#[inline(never)]
pub fn access(
    number: u32,
    words: [&AtomicU64; WORDS],
    new: Cell,
    clocks: &Clocks,
    met: impl Fn(Cell),
) -> Option<Outcome> {
    let head = NODES.get(number);
    head.lock.lock();
    let [a, b, c, d] = words.map(|word| word.load(Ordering::Relaxed));
    let outcome = (d == reference(number)).then(|| {
        if a | (b ^ MORE) | c != 0 {
            take_along(head, words);
        }
        slowly(head, new, clocks, &met)
    });
    head.lock.unlock();
    outcome
}

/// As [`access`], the lock held.
fn slowly(head: &Node, new: Cell, clocks: &Clocks, met: impl Fn(Cell)) -> Outcome {
    let len = head.len();
    let mut few = [Entry::NONE; CELLS + 1];
    let mut many;
    let entries = if len <= CELLS {
        &mut few[..]
    } else {
        many = vec![Entry::NONE; len + 1];
        &mut many[..]
    };
    if len <= CELLS {
        for (entry, cell) in entries.iter_mut().zip(&head.cells[..len]) {
            *entry = Entry::from_bits(cell.load(Ordering::Relaxed));
        }
    } else {
        let mut at = 0;
        each(head, |entry| {
            entries[at] = entry;
            at += 1;
            None::<()>
        });
    }
    let added = crowd::add(entries, len, new, |cell| clocks.ordered(cell));
    if added.len == 0 {
        return RECORDED;
    }
    if !added.own {
        each(head, |entry| {
            met(entry.cell());
            None::<()>
        });
    }
    let mut len = added.len;
    if len >= CELLS {
        let gone = |cell: Cell| !cell.same_slot(new) && session::dead(cell);
        len = crowd::drop_gone(&mut entries[..len], gone);
    }
    store(head, &entries[..len]);
    Outcome {
        race: added.race,
        changed: true,
    }
}

/// Replaces the entries of a list.
fn store(head: &Node, entries: &[Entry]) {
    let mut node = head;
    let mut chunks = entries.chunks(CELLS).peekable();
    while let Some(chunk) = chunks.next() {
        for (at, &entry) in chunk.iter().enumerate() {
            node.put(at, entry);
        }
        if chunks.peek().is_some() {
            let mut more = node.more.load(Ordering::Relaxed);
            if more == 0 {
                more = NODES.take();
                NODES.get(more).more.store(0, Ordering::Relaxed);
                node.more.store(more, Ordering::Relaxed);
            }
            node = NODES.get(more);
        }
    }
    head.set_len(entries.len());
}

/// Moves the cells of the words into the list.
#[inline(never)]
fn take_along(head: &Node, words: [&AtomicU64; WORDS]) {
    let mut entries = Vec::new();
    each(head, |entry| {
        entries.push(entry);
        None::<()>
    });
    for (at, word) in words.into_iter().enumerate().take(WORDS - 1) {
        let bits = word.load(Ordering::Relaxed);
        let rest = if at == 1 { MORE } else { 0 };
        // What its owner has changed meanwhile is there for the next one.
        let moved = bits != rest
            && word
                .compare_exchange(bits, rest, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok();
        let cell = Cell::from_bits(bits & !MORE);
        if moved && !cell.says_nothing() {
            entries.push(Entry::new(cell, false));
        }
    }
    store(head, &entries);
}

/// Frees the list of a granule that no longer refers to it. Called by who took
/// the reference away.
pub fn free(number: u32) {
    let head = NODES.get(number);
    head.lock.lock();
    head.set_len(0);
    head.lock.unlock();
    let mut numbers = vec![number];
    let mut at = head.more.load(Ordering::Relaxed);
    while at != 0 {
        numbers.push(at);
        at = NODES.get(at).more.load(Ordering::Relaxed);
    }
    NODES.put_many(&numbers);
}
