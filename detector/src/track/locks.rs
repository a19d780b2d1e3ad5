//! Who has which lock, as far as is seen, and what a lock orders.
//!
//! A guard's type is not changed, so its end is seen only where the attribute
//! sees the variable or the temporary that holds it. Who has a lock whose
//! release is not seen has it until somebody takes it who could not have it
//! beside; who takes it then knows all that the holder has done up to then. That
//! orders too much, and hides races.
//!
//! *Claims.* A variable that is a guard, and that its scope drops, says which lock
//! it is of by its words: one of them is an address in a lock that the thread has
//! taken, of that type ([`claim`]). From there on its release is seen, wherever
//! it was taken: by a function that returned it, in a pattern, by one who handed
//! it on.
//!
//! *Too late, never too soon.* A release that is seen too soon is a false race. So
//! a lock may have several holders on one thread, and a holder goes only when its
//! own release is seen or when another has the lock alone. A writer whose release
//! is not seen may have become a reader, so it stays as one beside readers.
//!
//! What it misses: what is done after the end of a guard that no claim was made
//! for, up to when the lock is taken again; one in a struct or a collection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::engine::{self, publish};
use super::guard::{Guard, Mode};
use super::identity::{WORDS, words};
use super::sharded::Sharded;
use super::site::Site;
use super::strand::{self, State, Strand, Taken};
use crate::sync::ReleaseClock;

/// Counts in front of what an `Arc` points to, in bytes.
const SHARED_HEADER: usize = 2 * size_of::<usize>();

/// Who has a lock, as far as is seen.
#[derive(Debug, Clone)]
struct Holder {
    strand: Arc<Strand>,
    mode: Mode,
    /// The release that will be seen; zero if none will.
    release: u64,
    /// How often it was taken so, if that is not seen.
    count: u32,
    /// The guard may be on another thread by now.
    wanders: bool,
}

impl Holder {
    fn is_of(&self, strand: &Arc<Strand>) -> bool {
        Arc::ptr_eq(&self.strand, strand)
    }

    const fn is_seen(&self) -> bool {
        self.release != 0
    }
}

#[derive(Debug, Default)]
struct Lock {
    clock: ReleaseClock,
    holders: Vec<Holder>,
}

static LOCKS: Sharded<usize, Lock> = Sharded::new();
static RELEASES: AtomicU64 = AtomicU64::new(1);

/// The number of a release that will be seen: never zero.
pub fn next_release() -> u64 {
    RELEASES.fetch_add(1, Ordering::Relaxed)
}

/// How a lock is taken.
#[derive(Debug, Clone, Copy)]
pub struct Taking {
    /// The lock.
    pub addr: usize,
    /// Its size, in bytes.
    pub size: usize,
    /// What it protects, as in [`super::object::Known::guarded`].
    pub guarded: u64,
    /// As what.
    pub mode: Mode,
    /// Where.
    pub site: &'static Site,
    /// Not zero if [`unlock`] will be called with it.
    pub release: u64,
    /// The guard may be on another thread when it is dropped.
    pub wanders: bool,
}

/// The strand has acquired a lock.
pub fn lock(strand: &Arc<Strand>, taking: Taking) {
    LOCKS.with(&taking.addr, |locks| {
        let lock = locks.entry(taking.addr).or_default();
        learn_from_others(strand, lock, taking.mode);
        lock.holders
            .retain_mut(|holder| stays(strand, holder, &taking));
        let is_seen = taking.release != 0;
        let mut own = lock.holders.iter().filter(|holder| holder.is_of(strand));
        let others_seen = own.all(Holder::is_seen);
        strand.with(|state| {
            state.clocks.acquire(&lock.clock);
            let taken = Taken {
                is_seen: is_seen && others_seen,
                is_over: false,
                size: taking.size,
                guarded: taking.guarded,
                site: taking.site,
            };
            state.taken.insert(taking.addr, taken);
            if is_seen {
                state.held.push((taking.release, taking.site));
            }
        });
        let same = lock.holders.iter_mut().find(|holder| {
            !is_seen && !holder.is_seen() && holder.mode == taking.mode && holder.is_of(strand)
        });
        if let Some(same) = same {
            same.count += 1;
            same.wanders |= taking.wanders;
            return;
        }
        lock.holders.push(Holder {
            strand: Arc::clone(strand),
            mode: taking.mode,
            release: taking.release,
            count: 1,
            wanders: taking.wanders,
        });
    });
}

/// The strand knows what those have done whose hold ended before it could take
/// the lock.
fn learn_from_others(strand: &Arc<Strand>, lock: &Lock, mode: Mode) {
    let both_share = |holder: &Holder| mode == Mode::Shared && holder.mode == Mode::Shared;
    for holder in lock.holders.iter().filter(|holder| !both_share(holder)) {
        learn(strand, holder);
    }
}

/// False once a holder surely has the lock no more, since `strand` took it.
fn stays(strand: &Arc<Strand>, holder: &mut Holder, taking: &Taking) -> bool {
    if holder.is_seen() {
        // Its end is about to be told, or it has given the lock back meanwhile.
        return true;
    }
    let alone = taking.mode == Mode::Alone;
    if holder.is_of(strand) {
        // A thread that waits for itself would not have come here, unless it may
        // take the lock again.
        return !alone || taking.guarded == 0;
    }
    if alone {
        // It has come, unseen.
        holder.strand.with(|state| {
            if let Some(taken) = state.taken.get_mut(&taking.addr) {
                taken.is_seen = true;
                taken.is_over = true;
            }
        });
        return false;
    }
    if taking.mode.excludes(holder.mode) {
        // It is over, or goes on as a reader.
        holder.mode = Mode::Shared;
    }
    true
}

/// The strand knows all that the holder has done.
fn learn(strand: &Arc<Strand>, holder: &Holder) {
    let others = if holder.wanders {
        strand::live()
    } else {
        vec![Arc::clone(&holder.strand)]
    };
    for other in others {
        if Arc::ptr_eq(&other, strand) {
            continue;
        }
        let known = other.with(|state| {
            let known = state.clocks.now().to_vec();
            // What it does next is not among it.
            state.tick();
            known
        });
        if let Some(known) = known {
            strand.with(|state| state.clocks.learn(&known));
        }
    }
}

/// A lock that `taker` took, whose release is seen, was released, or will be
/// before anything else happens.
pub fn unlock(strand: &Arc<Strand>, taker: &Arc<Strand>, addr: usize, release: u64) {
    taker.with(|state| {
        state.held.retain(|(held, _)| *held != release);
    });
    LOCKS.with(&addr, |locks| {
        let Some(lock) = locks.get_mut(&addr) else {
            return;
        };
        let is_it = |holder: &Holder| holder.release == release;
        if lock.holders.iter().any(is_it) {
            lock.holders.retain(|holder| !is_it(holder));
            publish(strand, &mut lock.clock);
        }
        taker.with(|state| settle(state, taker, addr, lock));
    });
}

/// What is still to come of a lock that the strand has taken.
fn settle(state: &mut State, strand: &Arc<Strand>, addr: usize, lock: &Lock) {
    let own = lock.holders.iter().filter(|holder| holder.is_of(strand));
    let (any, is_seen) = own.fold((false, true), |(_, is_seen), holder| {
        (true, is_seen && holder.is_seen())
    });
    match state.taken.get_mut(&addr) {
        Some(taken) if any => taken.is_seen = is_seen,
        _ => _ = state.taken.remove(&addr),
    }
}

/// The strand is about to wait for something that may give locks back meanwhile.
pub fn waits(strand: &Strand) {
    strand.with(|state| state.taken.retain(|_, taken| !taken.is_over));
}

/// The strand waited. If that `releases` locks, it has them again.
pub fn relock(strand: &Arc<Strand>, releases: bool) {
    for addr in taken(strand) {
        LOCKS.with(&addr, |locks| {
            let Some(lock) = locks.get_mut(&addr) else {
                return;
            };
            for holder in &lock.holders {
                learn(strand, holder);
            }
            let again = strand.with(|state| {
                state.clocks.acquire(&lock.clock);
                let taken = state.taken.get_mut(&addr);
                taken.is_some_and(|taken| {
                    let again = releases && taken.is_over;
                    if again {
                        taken.is_over = false;
                        taken.is_seen = false;
                    }
                    again
                })
            });
            if again == Some(true) {
                lock.holders.push(Holder {
                    strand: Arc::clone(strand),
                    mode: Mode::Alone,
                    release: 0,
                    count: 1,
                    wanders: false,
                });
            }
        });
    }
}

/// A variable of this thread's is a guard, which its scope drops: the lock, and the
/// number with which [`unlock`] is to be called. None if no lock that the strand has
/// taken, and whose release is not seen yet, can be it, or more than one.
pub fn claim<T: ?Sized>(strand: &Arc<Strand>, kind: Guard, guard: &T) -> Option<(usize, u64)> {
    let words = words(guard);
    let (addr, site) = strand.with(|state| of_words(state, kind, &words, Some(false)))??;
    let release = next_release();
    let is_claimed = LOCKS.with(&addr, |locks| {
        let lock = locks.get_mut(&addr)?;
        let unseen = |holder: &Holder| !holder.is_seen() && holder.is_of(strand);
        let alike = |holder: &Holder| unseen(holder) && holder.mode == kind.mode;
        let at = lock.holders.iter().position(alike);
        let at = at.or_else(|| lock.holders.iter().position(unseen))?;
        if lock.holders[at].mode < kind.mode {
            // It waited for those that it could have it beside.
            learn_from_others(strand, lock, kind.mode);
            strand.with(|state| state.clocks.acquire(&lock.clock));
        }
        let mut claimed = Holder {
            mode: kind.mode,
            release,
            count: 1,
            ..lock.holders[at].clone()
        };
        let unseen = &mut lock.holders[at];
        if unseen.count > 1 {
            unseen.count -= 1;
            lock.holders.push(claimed);
        } else {
            std::mem::swap(unseen, &mut claimed);
        }
        strand.with(|state| {
            state.held.push((release, site));
            settle(state, strand, addr, lock);
        });
        Some(())
    });
    is_claimed.map(|()| (addr, release))
}

/// A guard of this thread's is about to be dropped, and nothing happens before:
/// told at once, unless the strand may have the lock by another one as well.
pub fn unlock_guard<T: ?Sized>(strand: &Arc<Strand>, kind: Guard, guard: &T) {
    let words = words(guard);
    let found = strand.with(|state| of_words(state, kind, &words, None));
    let Some((addr, _)) = found.flatten() else {
        return;
    };
    LOCKS.with(&addr, |locks| {
        let Some(lock) = locks.get_mut(&addr) else {
            return;
        };
        let mut own = lock.holders.iter().filter(|holder| holder.is_of(strand));
        let (
            Some(Holder {
                release, count: 1, ..
            }),
            None,
        ) = (own.next(), own.next())
        else {
            return;
        };
        let release = *release;
        lock.holders.retain(|holder| !holder.is_of(strand));
        publish(strand, &mut lock.clock);
        strand.with(|state| {
            state.held.retain(|(held, _)| *held != release);
            settle(state, strand, addr, lock);
        });
    });
}

/// The lock that a guard with these words is of, if its release is to be so.
fn of_words(
    state: &State,
    kind: Guard,
    words: &[usize; WORDS],
    is_seen: Option<bool>,
) -> Option<(usize, &'static Site)> {
    let mut found = state.taken.iter().filter(|(addr, taken)| {
        let first = *addr - if kind.is_owned { SHARED_HEADER } else { 0 };
        let size = if kind.is_owned { 1 } else { taken.size };
        let is_in = |word: &usize| word.wrapping_sub(first) < size;
        taken.guarded == kind.guarded
            && is_seen.is_none_or(|is_seen| taken.is_seen == is_seen)
            && words.iter().any(is_in)
    });
    let (addr, taken) = found.next()?;
    found.next().is_none().then_some((*addr, taken.site))
}

/// True if the strand has taken a lock whose release is not seen; none if it has
/// ended.
pub fn has_unseen(strand: &Strand) -> Option<bool> {
    strand.with(|state| state.taken.values().any(|taken| !taken.is_seen))
}

/// The thread of this strand ends. The locks that it has not given back as far
/// as is known publish what it has done.
pub fn end(strand: &Arc<Strand>) {
    for addr in taken(strand) {
        LOCKS.with(&addr, |locks| {
            let Some(lock) = locks.get_mut(&addr) else {
                return;
            };
            if lock.holders.iter().any(|holder| holder.is_of(strand)) {
                publish(strand, &mut lock.clock);
                lock.holders.retain(|holder| !holder.is_of(strand));
            }
        });
    }
    strand.end(engine::sequence());
}

fn taken(strand: &Strand) -> Vec<usize> {
    let taken = strand.with(|state| state.taken.keys().copied().collect());
    taken.unwrap_or_default()
}

#[cfg(all(
    test,
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_pointer_width = "64",
    not(miri)
))]
mod tests {
    use std::any::type_name;
    use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard};

    use super::*;
    use crate::track::object::known;
    use crate::track::strand::RESERVED;

    static SITE: Site = Site::new("a.rs", 1, 1, "f", "lock.lock()");

    fn begin() -> Arc<Strand> {
        Strand::begin(&std::thread::current(), &[0; RESERVED])
    }

    fn take<T>(strand: &Arc<Strand>, taken: &T, mode: Mode) -> usize {
        let addr = std::ptr::from_ref(taken).addr();
        let taking = Taking {
            addr,
            size: size_of::<T>(),
            guarded: known(type_name::<T>()).guarded,
            mode,
            site: &SITE,
            release: 0,
            wanders: false,
        };
        lock(strand, taking);
        addr
    }

    fn claims<T>(strand: &Arc<Strand>, guard: &T) -> Option<(usize, u64)> {
        claim(strand, known(type_name::<T>()).guard?, guard)
    }

    /// By an address in it, of two that lie side by side, and of two of which one
    /// is in the other.
    #[test]
    fn a_guard_says_which_lock_it_is_of() {
        let strand = begin();
        let all = [const { Mutex::new(Mutex::new(1_u8)) }; 2];
        let [_, outer] = &all;
        take(&strand, &all[0], Mode::Alone);
        let of_outer = take(&strand, outer, Mode::Alone);
        let guard: MutexGuard<'_, Mutex<u8>> = outer.lock().unwrap();
        let of_inner = take(&strand, &*guard, Mode::Alone);
        let inner: MutexGuard<'_, u8> = guard.lock().unwrap();
        let claimed = [claims(&strand, &inner), claims(&strand, &guard)];
        let addrs = claimed.map(|it| it.map(|(addr, _)| addr));
        assert_eq!(addrs, [Some(of_inner), Some(of_outer)]);
        assert_eq!(claims(&strand, &guard), None, "it is known");
        assert_eq!(has_unseen(&strand), Some(true), "the first is not");
        for (addr, release) in claimed.into_iter().flatten() {
            unlock(&strand, &strand, addr, release);
        }
        assert_eq!(taken(&strand), [std::ptr::from_ref(&all[0]).addr()]);
        end(&strand);
    }

    #[test]
    fn another_reader_stays() {
        let (strand, writer) = (begin(), begin());
        let both = RwLock::new(1_u8);
        take(&strand, &both, Mode::Shared);
        take(&strand, &both, Mode::Shared);
        let guard: RwLockReadGuard<'_, u8> = both.read().unwrap();
        let (addr, release) = claims(&strand, &guard).unwrap();
        unlock(&strand, &strand, addr, release);
        assert_eq!(has_unseen(&strand), Some(true));
        let before = strand.stamp();
        // Who writes has waited for the other one.
        take(&writer, &both, Mode::Alone);
        assert_ne!(strand.stamp(), before, "it was learned from");
        assert_eq!(has_unseen(&strand), Some(false));
        end(&strand);
        end(&writer);
    }

    /// A writer may have become a reader, beside others.
    #[test]
    fn a_writer_stays_beside_readers() {
        let (strand, reader, writer) = (begin(), begin(), begin());
        let lock = RwLock::new(1_u8);
        take(&strand, &lock, Mode::Alone);
        take(&reader, &lock, Mode::Shared);
        let before = strand.stamp();
        take(&writer, &lock, Mode::Alone);
        assert_ne!(strand.stamp(), before, "it was learned from");
        for strand in [strand, reader, writer] {
            end(&strand);
        }
    }
}
