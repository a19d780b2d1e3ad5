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
    /// The latest entry, then the others from the oldest on: most often no more
    /// than the latest is looked at, and that is in the same cache line as `len`.
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

/// Calls `f` with each entry of a list, the latest first and then from the
/// oldest on, until it returns something. The lock is held.
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

/// The entries of a list, from the oldest on, with room for one more.
fn all(head: &Node) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(head.len() + 1);
    each(head, |entry| {
        entries.push(entry);
        None::<()>
    });
    if !entries.is_empty() {
        entries.rotate_left(1);
    }
    entries
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
    /// It recorded the access, which races with nothing, after this one.
    Added(Cell),
    /// Nothing: that is [`access`]'s to do.
    No,
}

/// Records an access to the granule with these words, of which the last refers
/// to the list, where the latest entry tells all: it came after all others, and
/// the thread knows it.
#[inline(always)]
pub fn quickly(number: u32, words: [&AtomicU64; WORDS], new: Cell, clocks: &Clocks) -> Quick {
    let head = NODES.get(number);
    let len = head.len();
    let latest = head.entry(0);
    let last = latest.cell();
    if last.says(new) && words[WORDS - 1].load(Ordering::Relaxed) == reference(number) {
        return Quick::Recorded;
    }
    if !latest.is_after_all() || !clocks.ordered(last) {
        return Quick::No;
    }
    head.lock.lock();
    let [a, b, c, d] = words.map(|word| word.load(Ordering::Relaxed));
    let changed = a | (b ^ MORE) | c | (d ^ reference(number));
    let changed = changed | head.entry(0).bits() ^ latest.bits() | (head.len() ^ len) as u64;
    let done = if changed != 0 {
        Quick::No
    } else if last.same_stamp(new) {
        add_again(head, len, new)
    } else {
        add_after(head, len, last, new)
    };
    head.lock.unlock();
    done
}

/// As [`quickly`], the lock held, of another thread's or an earlier epoch's
/// latest entry.
#[inline(always)]
fn add_after(head: &Node, len: usize, last: Cell, new: Cell) -> Quick {
    if !last.superseded_by(new) {
        if len >= CELLS {
            return make_room(head, last, new);
        }
        head.put(len, head.entry(0));
        head.set_len(len + 1);
    }
    head.put(0, Entry::new(new, true));
    Quick::Added(last)
}

/// As [`quickly`], the lock held, of an entry of the thread's own epoch: the
/// latest entries are its own.
#[inline(never)]
fn add_again(head: &Node, len: usize, new: Cell) -> Quick {
    if len > CELLS {
        return Quick::No;
    }
    let own = std::iter::once(0).chain((1..len).rev());
    for at in own {
        let entry = head.entry(at);
        let cell = entry.cell();
        if !cell.same_stamp(new) {
            break;
        }
        if cell.says(new) {
            return Quick::Recorded;
        }
        if cell.same_access(new) {
            let cell = cell.with_mask(new.mask());
            head.put(at, Entry::new(cell, entry.is_after_all()));
            return Quick::Added(cell);
        }
    }
    add_after(head, len, head.entry(0).cell(), new)
}

/// As [`add_after`], in a list with as many entries as a node holds.
#[inline(never)]
fn make_room(head: &Node, last: Cell, new: Cell) -> Quick {
    if head.len() > CELLS {
        return Quick::No;
    }
    let mut entries = [Entry::NONE; CELLS];
    for at in 1..CELLS {
        entries[at - 1] = head.entry(at);
    }
    entries[CELLS - 1] = head.entry(0);
    let len = crowd::condense(&mut entries, new);
    if len == CELLS {
        return Quick::No;
    }
    for (at, &entry) in entries[..len].iter().enumerate() {
        head.put(at + 1, entry);
    }
    head.put(0, Entry::new(new, true));
    head.set_len(len + 1);
    Quick::Added(last)
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
        for at in 1..len {
            few[at - 1] = head.entry(at);
        }
        few[len.saturating_sub(1)] = head.entry(0);
        &mut few[..]
    } else {
        many = all(head);
        many.push(Entry::NONE);
        &mut many[..]
    };
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
    let mut place = 0;
    let (last, others) = match entries.split_last() {
        Some((last, others)) => (Some(last), others),
        None => (None, entries),
    };
    for &entry in last.into_iter().chain(others) {
        if place == CELLS {
            place = 0;
            let mut more = node.more.load(Ordering::Relaxed);
            if more == 0 {
                more = NODES.take();
                NODES.get(more).more.store(0, Ordering::Relaxed);
                node.more.store(more, Ordering::Relaxed);
            }
            node = NODES.get(more);
        }
        node.put(place, entry);
        place += 1;
    }
    head.set_len(entries.len());
}

/// Moves the cells of the words into the list.
#[inline(never)]
fn take_along(head: &Node, words: [&AtomicU64; WORDS]) {
    let mut entries = all(head);
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
