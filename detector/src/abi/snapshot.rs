//! All live threads at one moment: what each is blocked on, which locks it
//! holds, who can wake it.
//!
//! The notes that threads keep are read while they may run. A snapshot counts
//! only once [`Snapshot::confirm`] has found every blocked thread asleep in
//! the kernel, twice, without having run in between: then all of them were
//! asleep at the moment between the two passes.

use std::sync::atomic::{AtomicBool, Ordering};

use super::kernel::{self, State};
use super::place::Place;
use super::symbols;
use crate::report::wire::{Leg, Lock, Stack, ThreadId, Wait, WaitOn};
use crate::rt::mode;
use crate::rt::thread::{Held, Thread, calls};
use crate::rt::waiting::{Blocked, Call, Seen};
use crate::session;
use crate::waits::{WaitGraph, Wakers};

/// A live thread.
pub struct Member {
    record: *const Thread,
    /// Its number.
    pub id: ThreadId,
    /// The kernel's number for it; 0 if it does not run yet.
    pub kernel_id: i32,
    /// What it is blocked on, by its own account.
    pub seen: Option<Seen>,
    held: Vec<Held>,
    stack: Stack,
    place: Place,
    /// The lock that it waits for, if that is known: one or none.
    locks: Vec<usize>,
}

/// All live threads.
pub struct Snapshot {
    members: Vec<Member>,
}

impl Member {
    fn new(record: *const Thread, exact: bool) -> Self {
        // SAFETY: records stay mapped for good; these fields are atomics, or
        // a number that is old at worst.
        let (waiting, id) = unsafe {
            (
                &(*record).waiting,
                (&raw const (*record).id).read_volatile(),
            )
        };
        let seen = waiting.look();
        Self {
            record,
            id,
            kernel_id: waiting.kernel_id(),
            seen,
            // SAFETY: a record.
            held: unsafe { Thread::peek_locks(record) },
            stack: if exact {
                stack_of(record, seen.as_ref())
            } else {
                Stack::new()
            },
            place: Place::Unknown,
            locks: Vec::new(),
        }
    }

    /// What it is blocked on, if that does not end by itself.
    pub fn untimed(&self) -> Option<&Seen> {
        self.seen
            .as_ref()
            .filter(|seen| seen.blocked.call.is_wait() && !seen.blocked.timed)
    }

    /// True if it looks whether the wait that it noted can end: it may be about
    /// to tell so.
    pub fn is_looking(&self) -> bool {
        // SAFETY: records stay mapped for good; an atomic.
        unsafe { &(*self.record).waiting }.is_looking()
    }

    /// True if it is in the wait that it noted, and has not gone on since.
    pub fn is_still(&self) -> bool {
        // SAFETY: records stay mapped for good; an atomic.
        let waiting = unsafe { &(*self.record).waiting };
        waiting.kernel_id() == self.kernel_id
            && !waiting.is_looking()
            && self.seen.is_some_and(|seen| waiting.is_still(seen.turn))
    }

    /// Its claim on parking_lot's lock as a reader: taken elsewhere than where
    /// writers take it.
    fn reads_parked(&self, lock: usize) -> impl Iterator<Item = &Held> {
        let by_writer = |held: &Held| {
            let names = held.stack().into_iter().map(symbols::name_of);
            Place::of(names).is_parked_write()
        };
        self.held
            .iter()
            .filter(move |held| held.addr == lock && !by_writer(held))
    }

    fn holds(&self, lock: usize) -> Option<&Held> {
        self.held.iter().rev().find(|held| held.addr == lock)
    }

    /// True if the kernel has it asleep in the call that it noted.
    fn sleeps(&self, state: &State) -> bool {
        let Some(seen) = self.seen else { return false };
        let call_fits = state.call.is_none_or(|call| match seen.blocked.call {
            Call::Events => call.number == libc::SYS_epoll_wait,
            Call::Futex => {
                call.number == libc::SYS_futex && call.arguments[0] == seen.blocked.addr as u64
            }
            Call::Join
            | Call::Mutex
            | Call::ReadLock
            | Call::WriteLock
            | Call::Condvar
            | Call::Other
            | Call::Sleep
            | Call::Io => call.number == libc::SYS_futex,
        });
        state.sleeps && call_fits
    }

    /// Looks up where it waits and for which lock, as far as that is known.
    fn find_locks(&mut self, all_held: &[usize]) {
        let Some(seen) = self.seen else { return };
        let addr = seen.blocked.addr;
        let held = |lock: &usize| all_held.contains(lock);
        let names = self.stack.iter().map(|&pc| symbols::name_of(pc));
        self.place = Place::of(names);
        self.locks = match seen.blocked.call {
            Call::Mutex | Call::ReadLock | Call::WriteLock => vec![addr],
            Call::Join | Call::Condvar | Call::Other | Call::Sleep | Call::Io | Call::Events => {
                vec![]
            }
            Call::Futex => match self.place {
                Place::StdMutex | Place::StdRead | Place::StdOnce => vec![addr],
                Place::StdWrite => beside(addr).into_iter().filter(held).take(1).collect(),
                Place::ParkedMutex
                | Place::ParkedRead
                | Place::ParkedWrite
                | Place::ParkedForReaders => {
                    let mut locks = parked_on(addr);
                    locks.retain(held);
                    // Two that fit: none is certain.
                    if locks.len() == 1 { locks } else { vec![] }
                }
                Place::Condvar | Place::Park | Place::Unknown => vec![],
            },
        };
    }

    /// What a report calls its wait.
    fn waits_on(&self, state: Option<&State>) -> WaitOn {
        match self.seen.map(|seen| seen.blocked.call) {
            Some(Call::Futex) => self.place.waits_on(),
            Some(Call::Join) => WaitOn::Join,
            Some(Call::Mutex) => WaitOn::Mutex,
            Some(Call::ReadLock) => WaitOn::RwLockRead,
            Some(Call::WriteLock) => WaitOn::RwLockWrite,
            Some(Call::Condvar) => WaitOn::Condvar,
            Some(Call::Sleep) => WaitOn::Sleep,
            Some(Call::Io | Call::Events) => WaitOn::Io,
            Some(Call::Other) => WaitOn::Futex,
            None => kernel::waits_on(state),
        }
    }
}

/// The stack of a thread, innermost call first: exact if it sleeps meanwhile.
fn stack_of(record: *const Thread, seen: Option<&Seen>) -> Stack {
    let pc = seen.map(|seen| seen.blocked.pc);
    if !mode::leaks_alone() {
        // SAFETY: records stay mapped for good.
        return unsafe { Thread::peek_stack(record, pc) };
    }
    let Some(pc) = pc else {
        return Stack::new();
    };
    // SAFETY: as above; what is read may be old.
    let (frame, stack) = unsafe {
        (
            (*record).waiting.frame(),
            (&raw const (*record).stack).read_volatile(),
        )
    };
    let read = |at: usize| {
        let mut bytes = [0; 2 * size_of::<usize>()];
        let read = kernel::read_memory(at, &mut bytes);
        let (words, _) = bytes.as_chunks();
        read.then(|| [words[0], words[1]].map(usize::from_ne_bytes))
    };
    let mut found = Stack::new();
    calls::walk(frame, &stack, read, |_, call| {
        if call == pc || !found.is_empty() {
            found.push(call - 1);
        }
        true
    });
    if found.is_empty() {
        found.push(pc - 1);
    }
    found
}

/// The program's parking_lot lets no guard go to another thread.
static GUARDS_STAY: AtomicBool = AtomicBool::new(false);

/// The driver has seen how parking_lot was built. Called once, at the start.
pub fn init(guards_stay: bool) {
    GUARDS_STAY.store(guards_stay, Ordering::Relaxed);
}

fn guards_may_move() -> bool {
    !GUARDS_STAY.load(Ordering::Relaxed)
}

/// What the word of parking_lot's reader-writer lock says of who has it.
enum ParkedWord {
    /// A writer.
    Written,
    /// That many readers, and a writer that lets nobody in and waits for them.
    TakenFrom(usize),
    /// Readers, an upgradable reader, or nobody.
    Other,
}

impl ParkedWord {
    fn at(lock: usize) -> Self {
        const WRITER: u32 = 8;
        const ONE_READER: u32 = 16;
        match kernel::word_at(lock) {
            Some(word) if word & WRITER == 0 => Self::Other,
            Some(word) if word < ONE_READER => Self::Written,
            Some(word) => Self::TakenFrom((word / ONE_READER) as usize),
            None => Self::Other,
        }
    }
}

/// The words beside a futex: one of them is the lock word of std's RwLock,
/// for its writers.
fn beside(addr: usize) -> [usize; 2] {
    [addr.wrapping_sub(4), addr.wrapping_add(4)]
}

/// What may be addresses of locks near the futex `addr`, in the structure that
/// parking_lot keeps for a parked thread. The low bits of the key of a
/// reader-writer lock tell its queues apart.
fn parked_on(addr: usize) -> Vec<usize> {
    const NEAR: usize = 64;
    const NO_LOCK_BELOW: usize = 4096;
    let mut bytes = [0u8; 2 * NEAR];
    if !kernel::read_memory((addr & !7).wrapping_sub(NEAR), &mut bytes) {
        return Vec::new();
    }
    let words = bytes
        .chunks_exact(8)
        .filter_map(|word| word.try_into().ok());
    let mut found: Vec<usize> = words
        .map(usize::from_ne_bytes)
        .filter(|word| *word > NO_LOCK_BELOW)
        .flat_map(|word| [word, word & !7])
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// A first look, without the kernel: may the wait that the thread has just
/// noted close a cycle of locks that stay with the thread that took them?
pub fn may_close_cycle(thread: &Thread) -> bool {
    if thread.locks().is_empty() && !thread.waiting.may_be_joined() {
        return false;
    }
    let records = session::live();
    let mut visited: Vec<*const Thread> = Vec::new();
    let mut queue: Vec<*const Thread> = vec![thread];
    while let Some(record) = queue.pop() {
        if visited.contains(&record) {
            continue;
        }
        visited.push(record);
        // SAFETY: records stay mapped for good; an atomic.
        let waiting = unsafe { &(*record).waiting };
        let Some(seen) = waiting.look().filter(Seen::is_untimed) else {
            continue;
        };
        let Blocked {
            call, addr, target, ..
        } = seen.blocked;
        let locks = match call {
            Call::Futex if guards_may_move() => beside(addr).into_iter().chain([addr]).collect(),
            Call::Futex => {
                let parked = parked_on(addr);
                beside(addr)
                    .into_iter()
                    .chain([addr])
                    .chain(parked)
                    .collect()
            }
            Call::Mutex | Call::ReadLock | Call::WriteLock => vec![addr],
            Call::Join | Call::Condvar | Call::Other | Call::Sleep | Call::Io | Call::Events => {
                vec![]
            }
        };
        for other in &records {
            let other: *const Thread = *other;
            // SAFETY: records; a number that is old at worst.
            let owns = unsafe {
                target.is_some_and(|id| (&raw const (*other).id).read_volatile() == id)
                    || locks.iter().any(|&lock| Thread::peek_holds(other, lock))
            };
            if owns && std::ptr::eq(other, thread) {
                return true;
            }
            if owns {
                queue.push(other);
            }
        }
        // Readers may wait for a writer that waits for readers.
        if call != Call::Join && call != Call::Mutex {
            let beside = |other: &*mut Thread| {
                // SAFETY: records stay mapped for good; an atomic.
                let seen = unsafe { (**other).waiting.look() };
                seen.is_some_and(|s| s.blocked.addr.abs_diff(addr) == 4)
            };
            queue.extend(
                records
                    .iter()
                    .copied()
                    .filter(beside)
                    .map(<*mut Thread>::cast_const),
            );
        }
    }
    false
}

impl Snapshot {
    /// Of the live threads except `absent`, which ends. Only with `exact`,
    /// stacks are taken, and who waits for which lock is looked up by name.
    pub fn take(absent: *const Thread, exact: bool) -> Self {
        let records = session::live();
        let mut members: Vec<Member> = records
            .into_iter()
            .filter(|record| !std::ptr::eq(*record, absent))
            .map(|record| Member::new(record, exact))
            .collect();
        let held: Vec<usize> = members
            .iter()
            .flat_map(|member| member.held.iter().map(|held| held.addr))
            .collect();
        if exact {
            for member in &mut members {
                member.find_locks(&held);
            }
        }
        Self { members }
    }

    /// The threads.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The thread with this number.
    pub fn member(&self, id: ThreadId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// True if each of `of` has been asleep at one moment during this call.
    pub fn confirm(&self, of: &[ThreadId]) -> bool {
        let members: Vec<&Member> = of.iter().filter_map(|&id| self.member(id)).collect();
        let asleep = |member: &Member| {
            let state = kernel::state(member.kernel_id)?;
            (member.is_still() && member.sleeps(&state)).then_some(state.switches)
        };
        let Some(before) = members
            .iter()
            .map(|m| asleep(m))
            .collect::<Option<Vec<u64>>>()
        else {
            return false;
        };
        members
            .iter()
            .zip(before)
            .all(|(member, switches)| asleep(member) == Some(switches))
    }

    /// True if a thread waits for this mutex of C code.
    pub fn waits_for_mutex(&self, mutex: usize) -> bool {
        self.members.iter().any(|member| {
            member
                .untimed()
                .is_some_and(|seen| seen.blocked.call == Call::Mutex && seen.blocked.addr == mutex)
        })
    }

    /// Who owns what the member waits for.
    fn owners(&self, member: &Member) -> Vec<ThreadId> {
        let &[lock] = &member.locks[..] else {
            return Vec::new();
        };
        let holders = || self.members.iter().filter(|m| m.holds(lock).is_some());
        let exclusive = || {
            // A second claim is one of them out of date: nothing is certain.
            let mut holders = holders();
            match (holders.next(), holders.next()) {
                (Some(holder), None) => vec![holder.id],
                (None | Some(_), _) => Vec::new(),
            }
        };
        let everyone = || holders().map(|holder| holder.id).collect();
        match member.seen.map(|seen| seen.blocked.call) {
            Some(Call::Mutex) => exclusive(),
            Some(Call::WriteLock) => everyone(),
            Some(Call::ReadLock) => holders()
                .filter(|m| m.holds(lock).is_some_and(|held| !held.shared))
                .map(|m| m.id)
                .collect(),
            Some(Call::Futex) => match member.place {
                Place::StdMutex | Place::StdOnce | Place::ParkedMutex => exclusive(),
                Place::StdWrite => everyone(),
                Place::StdRead => self.before_reader(lock, exclusive()),
                Place::ParkedRead => match ParkedWord::at(lock) {
                    ParkedWord::Written => exclusive(),
                    ParkedWord::TakenFrom(_) => self.writer_behind_readers(lock),
                    ParkedWord::Other => Vec::new(),
                },
                Place::ParkedWrite => match ParkedWord::at(lock) {
                    ParkedWord::TakenFrom(_) => self.writer_behind_readers(lock),
                    ParkedWord::Written => exclusive(),
                    ParkedWord::Other => Vec::new(),
                },
                Place::ParkedForReaders => match ParkedWord::at(lock) {
                    ParkedWord::TakenFrom(readers) => self.all_readers(lock, readers),
                    ParkedWord::Written | ParkedWord::Other => Vec::new(),
                },
                Place::Condvar | Place::Park | Place::Unknown => Vec::new(),
            },
            Some(
                Call::Join | Call::Condvar | Call::Other | Call::Sleep | Call::Io | Call::Events,
            )
            | None => Vec::new(),
        }
    }

    /// The writer that has taken parking_lot's lock from its readers and waits
    /// for them to leave.
    fn writer_behind_readers(&self, lock: usize) -> Vec<ThreadId> {
        self.members
            .iter()
            .filter(|m| {
                m.place == Place::ParkedForReaders && m.locks == [lock] && m.untimed().is_some()
            })
            .map(|m| m.id)
            .collect()
    }

    /// The readers of parking_lot's lock, if all of them are known.
    fn all_readers(&self, lock: usize, readers: usize) -> Vec<ThreadId> {
        let mut found: Vec<ThreadId> = self
            .members
            .iter()
            .flat_map(|m| m.reads_parked(lock).map(|_| m.id))
            .collect();
        if found.len() != readers {
            return Vec::new();
        }
        found.dedup();
        found
    }

    /// Who must act before a reader of std's RwLock goes on: the writer that
    /// has it; or, where readers have it, the writers that wait before.
    fn before_reader(&self, lock: usize, holder: Vec<ThreadId>) -> Vec<ThreadId> {
        const WRITE_LOCKED: u32 = (1 << 30) - 1;
        match kernel::word_at(lock) {
            Some(word) if word & WRITE_LOCKED == WRITE_LOCKED => holder,
            Some(_) => self
                .members
                .iter()
                .filter(|m| {
                    m.place == Place::StdWrite && m.locks == [lock] && m.untimed().is_some()
                })
                .map(|m| m.id)
                .collect(),
            None => Vec::new(),
        }
    }

    /// The wait-for graph of the threads blocked without a timeout.
    /// `others_run` tells whether anything else can wake them.
    ///
    /// Where a guard of parking_lot's may be with another thread than the one
    /// that took the lock, its owner counts only if nobody else runs.
    pub fn graph(&self, others_run: bool) -> WaitGraph {
        let mut graph = WaitGraph::new(others_run);
        for member in &self.members {
            let Some(seen) = member.untimed() else {
                continue;
            };
            let wakers = match seen.blocked.target {
                Some(target) => Wakers::All(vec![target]),
                None if others_run && member.place.is_parked_lock() && guards_may_move() => {
                    Wakers::Anyone
                }
                None => match self.owners(member) {
                    owners if owners.is_empty() => Wakers::Anyone,
                    owners => Wakers::All(owners),
                },
            };
            graph.block(member.id, wakers);
        }
        graph
    }

    /// The thread's side of a finding. `waits_for` is the thread that must
    /// act, where that is known.
    pub fn leg(&self, member: &Member, waits_for: Option<ThreadId>, state: Option<&State>) -> Leg {
        let blocked = member.seen.map(|seen| seen.blocked);
        let owner = waits_for
            .or(blocked.and_then(|blocked| blocked.target))
            .or_else(|| self.owners(member).first().copied());
        let lock = member.locks.first().copied();
        let acquired_at = owner
            .and_then(|owner| self.member(owner))
            .and_then(|owner| {
                let lock = lock?;
                if member.place == Place::ParkedForReaders {
                    owner.reads_parked(lock).next()
                } else {
                    owner.holds(lock)
                }
            })
            .map(Held::stack)
            .unwrap_or_default();
        let since = member.seen.map_or_else(kernel::now, |seen| seen.since);
        Leg {
            thread: member.id,
            stack: member.stack.clone(),
            access: None,
            locks: member
                .held
                .iter()
                .map(|held| Lock {
                    addr: held.addr as u64,
                    stack: held.stack(),
                    shared: held.shared,
                })
                .collect(),
            wait: Some(Wait {
                on: member.waits_on(state),
                for_ms: kernel::now().saturating_sub(since) / 1_000_000,
                timed: blocked.is_some_and(|blocked| blocked.timed),
                addr: lock
                    .or(blocked.map(|blocked| blocked.addr))
                    .filter(|addr| *addr != 0)
                    .map(|addr| addr as u64),
                owner,
                acquired_at,
            }),
            task: None,
        }
    }
}
