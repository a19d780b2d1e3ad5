//! Whether a call that was announced is the one that entered a tracked function.
//!
//! Which method a call names cannot be told from the type of its receiver and
//! the method's name: a type may have several of one name, of traits or of its
//! own, and one that is not tracked may call one that is. What called the
//! function that is entered is on the stack, so both ends of the call are noted
//! there, once for each place and type: what announces must be the function that
//! calls, or one around it. Between them only std's code may be, and the
//! library's own. The names are looked up once a race would be certain.
//!
//! Where the stack does not show every call nothing is taken for direct: in
//! optimised code, where one function is part of another and a last call takes
//! its caller's frame, and in a program without symbols. Without debug
//! information a function that is always part of its caller is not seen.

use std::ffi::c_void;
use std::hash::Hasher as _;
use std::panic::Location;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use super::sharded::{Mix, Sharded, lock};

/// Frames that are looked at: those of the hooks, of a format, and two more.
const FRAMES: usize = 64;

/// What tells one announcement from others: its place, and what is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    /// Of the announcement of a method with this number, of a type with that one,
    /// at a place.
    pub fn of(at: &'static Location<'static>, of_type: u64, method: u64) -> Self {
        let mut words = Mix::default();
        words.write_usize(std::ptr::from_ref(at).addr());
        words.write_u64(of_type);
        words.write_u64(method);
        Self(words.finish())
    }

    /// One of so many places, which depends on all of it.
    pub const fn place(self, places: usize) -> usize {
        (self.0 >> 32) as usize % places
    }
}

/// An announcement: it is taken for that of the function which is entered next, if
/// the numbers say so, until somebody asks.
#[derive(Debug)]
pub struct Announcement {
    key: Key,
    /// The stack on which it was made first, and that of the first entry.
    announced: Stack,
    entered: OnceLock<Stack>,
    /// One of the three below.
    verdict: AtomicU8,
    /// When code last ran, in the sequence of accesses, that is not tracked if
    /// another function was announced.
    last: AtomicU64,
}

const UNKNOWN: u8 = 0;
const DIRECT: u8 = 1;
const INDIRECT: u8 = 2;

/// Where the innermost frames go on.
type Stack = Box<[usize]>;

static ANNOUNCED: Sharded<Key, &'static Announcement> = Sharded::new();

/// Announcements about which something is open: those that nobody has asked
/// about, and those that others than the function entered were meant by.
static OPEN: Mutex<Open> = Mutex::new(Open {
    unknown: Vec::new(),
    indirect: Vec::new(),
});

struct Open {
    unknown: Vec<&'static Announcement>,
    indirect: Vec<&'static Announcement>,
}

fn stack() -> Stack {
    let mut stack = Vec::with_capacity(FRAMES);
    backtrace::trace(|frame| {
        stack.push(frame.ip().addr());
        stack.len() < FRAMES
    });
    stack.into()
}

/// A call is announced here.
pub fn announce(key: Key) -> &'static Announcement {
    let known = ANNOUNCED.with(&key, |all| all.get(&key).copied());
    known.unwrap_or_else(|| {
        // Not under the lock: who looks at the stack takes the loader's.
        let announced = stack();
        ANNOUNCED.with(&key, |all| {
            // They are as many as there are calls in the program's text.
            *all.entry(key).or_insert_with(|| {
                Box::leak(Box::new(Announcement {
                    key,
                    announced,
                    entered: OnceLock::new(),
                    verdict: AtomicU8::new(UNKNOWN),
                    last: AtomicU64::new(0),
                }))
            })
        })
    })
}

impl Announcement {
    /// True if it was made with this key.
    #[inline]
    pub fn is(&self, key: Key) -> bool {
        self.key == key
    }

    /// True unless it is known that it was of the function that is entered after it.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.verdict.load(Ordering::Relaxed) != DIRECT
    }

    /// At `now` a function is entered that may be the one that was announced, or who
    /// called it goes on. False if it is known that another was announced.
    #[inline]
    pub fn is_answered(&'static self, now: u64) -> bool {
        match self.verdict.load(Ordering::Relaxed) {
            DIRECT => true,
            INDIRECT => false,
            _ => {
                self.is_to_be_asked(now);
                true
            }
        }
    }

    fn is_to_be_asked(&'static self, now: u64) {
        self.last.fetch_max(now, Ordering::Relaxed);
        if self.entered.get().is_none() {
            let entered = stack();
            // Both under the lock: who finds it there finds it among the unknown.
            let mut open = lock(&OPEN);
            if self.entered.set(entered).is_ok() {
                open.unknown.push(self);
            }
        }
    }

    fn ask(&self) -> u8 {
        let entered = self.entered.get().map_or(&[][..], |stack| stack);
        let verdict = if calls_directly(&self.announced, entered) {
            DIRECT
        } else {
            INDIRECT
        };
        self.verdict.store(verdict, Ordering::Relaxed);
        verdict
    }
}

/// True if no announcement was of another function than the one that was entered
/// after it, later than `sequence`.
///
/// Debug information is read for that, by the program's own allocator: so nobody
/// should ask who does not need to know.
pub fn all_since(sequence: u64) -> bool {
    // Under the lock, so that all who ask wait for the answer.
    let mut open = lock(&OPEN);
    let unknown = std::mem::take(&mut open.unknown);
    let indirect = unknown.into_iter().filter(|one| one.ask() == INDIRECT);
    open.indirect.extend(indirect);
    let mut indirect = open.indirect.iter();
    !indirect.any(|one| one.last.load(Ordering::Relaxed) > sequence)
}

fn calls_directly(announced: &[usize], entered: &[usize]) -> bool {
    let (_, announced) = innermost(announced);
    let (hook, entered) = innermost(entered);
    let (Some(announces), Some(callee), Some(caller)) =
        (announced.first(), entered.first(), entered.get(1))
    else {
        return false;
    };
    let alone = [announces, callee, caller].map(Frame::only);
    let [Some(announces), Some(_), Some(caller)] = alone else {
        return false;
    };
    keeps_calls(hook.as_ref()) && is_within(caller, announces)
}

/// True for the same function, and for a closure in it.
fn is_within(function: &str, around: &str) -> bool {
    let rest = function.strip_prefix(around);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::{"))
}

/// The two innermost frames of the program, as far as it is known whose they are,
/// and what they called: those of what looks at the stack are before the
/// library's.
fn innermost(stack: &[usize]) -> (Option<Frame>, Vec<Frame>) {
    let mut program = Vec::with_capacity(2);
    let mut called = None;
    let frames = stack.iter().copied().map(Frame::at);
    for frame in frames
        .skip_while(|frame| frame.whose != Whose::Own)
        .take_while(|frame| frame.whose != Whose::Unknown)
    {
        if frame.whose == Whose::Program {
            program.push(frame);
            if program.len() == 2 {
                break;
            }
        } else if program.is_empty() {
            called = Some(frame);
        }
    }
    (called, program)
}

/// True if functions keep frames of their own: the hook that a tracked function
/// calls first is generic and short, and part of it wherever one is of another.
fn keeps_calls(hook: Option<&Frame>) -> bool {
    let name = hook.and_then(Frame::only);
    name.is_some_and(|name| name.contains("track::hooks::entered"))
}

/// A frame of the stack.
#[derive(Debug)]
struct Frame {
    whose: Whose,
    /// The functions that are in it, from the innermost.
    names: Vec<String>,
}

impl Frame {
    /// The one that goes on there.
    fn at(address: usize) -> Self {
        let mut frame = Self {
            whose: Whose::Unknown,
            names: Vec::new(),
        };
        let address = std::ptr::without_provenance_mut::<c_void>(address);
        backtrace::resolve(address, |symbol| {
            let name = symbol
                .name()
                .map_or_else(String::new, |it| format!("{it:#}"));
            let file = symbol.filename().and_then(Path::to_str);
            frame.whose = file.map_or_else(|| Whose::named(&name), Whose::of);
            frame.names.push(name);
        });
        frame
    }

    /// The name of its function, if that is the only one in it.
    fn only(&self) -> Option<&str> {
        match &*self.names {
            [name] => Some(name),
            _ => None,
        }
    }
}

/// Whose code a frame runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The library's.
    Own,
    /// Std's.
    Std,
    /// The program's, its dependencies' included.
    Program,
    /// It has no name.
    Unknown,
}

impl Whose {
    /// By the file that it was compiled from.
    fn of(file: &str) -> Self {
        const HERE: &str = file!();
        let file = file.replace('\\', "/");
        let own = HERE.replace('\\', "/");
        let is_std = file.contains("/rustc/") && file.contains("/library/")
            || file.contains("/rustlib/src/rust/library/");
        if file.contains(own.trim_end_matches("track/direct.rs")) {
            Self::Own
        } else if is_std {
            Self::Std
        } else {
            Self::Program
        }
    }

    /// By its name, where there is no debug information: what std gives to all
    /// types names none of them.
    fn named(name: &str) -> Self {
        let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let mut crates = name
            .split(|c| !is_path(c))
            .filter_map(|path| path.split_once("::"))
            .map(|(first, _)| first)
            .filter(|first| !first.is_empty());
        let (first, own) = (crates.clone().next(), "leakcheck");
        if first == Some(own) || name.contains(" as leakcheck::") {
            Self::Own
        } else if first.is_none() {
            Self::Unknown
        } else if crates.all(|name| ["core", "alloc", "std"].contains(&name)) {
            Self::Std
        } else {
            Self::Program
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Whose, is_within};

    #[test]
    fn a_closure_is_within_its_function() {
        assert!(is_within("a::f", "a::f"));
        assert!(is_within("a::f::{{closure}}", "a::f"));
        assert!(is_within("a::f::{closure#0}::{closure#1}", "a::f"));
        assert!(!is_within("a::f", "a::f::{{closure}}"));
        assert!(!is_within("a::f::g", "a::f") && !is_within("a::ff", "a::f"));
    }

    #[test]
    fn a_file_is_someones() {
        assert_eq!(Whose::of("/home/me/project/src/lib.rs"), Whose::Program);
        assert_eq!(Whose::of("/rustc/5980/library/core/src/x.rs"), Whose::Std);
        let source = "/toolchain/lib/rustlib/src/rust/library/std/src/x.rs";
        assert_eq!(Whose::of(source), Whose::Std);
        assert_eq!(Whose::of(r"C:\rustc\59\library\core\x.rs"), Whose::Std);
        let hooks = file!().replace("direct.rs", "hooks/mod.rs");
        assert_eq!(Whose::of(&format!("/home/me/{hooks}")), Whose::Own);
    }

    #[test]
    fn a_name_is_someones() {
        let all = [
            ("leakcheck::track::hooks::entered_of", Whose::Own),
            ("<leakcheck::Hook as core::ops::Drop>::drop", Whose::Own),
            ("<T as leakcheck::track::probe::Probe>::ask", Whose::Own),
            ("core::option::Option<T>::map", Whose::Std),
            ("<&T as core::fmt::Display>::fmt", Whose::Std),
            ("<a::T as core::fmt::Display>::fmt", Whose::Program),
            ("<u32 as core::ops::arith::Add<a::T>>::add", Whose::Program),
            ("a::f::{{closure}}", Whose::Program),
            ("start_thread", Whose::Unknown),
            ("", Whose::Unknown),
        ];
        for (name, whose) in all {
            assert_eq!(Whose::named(name), whose, "{name}");
        }
    }
}
