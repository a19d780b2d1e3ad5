//! Which function a path or a method names, by names of types.
//!
//! A function that is tracked is known by its owner, a type or a module, and
//! its own name: what calls it computes the same number from the type of the
//! path ([`Callee::of`]) or of the receiver ([`method`]). So another function of
//! that name is never taken for it.
//!
//! A path also says of which trait the function is, and of no method is that known:
//! a number has bits for it.
//!
//! What it cannot tell apart: where a method is called, those of one type with one
//! name, of several traits or of none, and those of a pointer from those of what it
//! points to. There the stack says which it was: see [`super::direct`].

use std::panic::Location;

use super::direct::Key;
use super::foreign::{is_foreign, is_known};
use super::hooks::hash;
use super::local::Call;
use super::methods::hashes;
use super::object::{self, name_hash};
use super::own_crates;

/// The last name of a function that a tracked one has inside.
const HERE: &str = "::__leakcheck_here";

/// The bits of a number that say of which trait a function is: zero where that is
/// not known.
const TRAIT: u64 = 0xffff << 16;
/// Those that say how the first type begins that the trait is given, if any is.
const FIRST: u64 = 0xff << 8;
/// Those that say what it is given: zero in a function that is generic.
const GIVEN: u64 = 0xff;
/// Its trait is given something, so that a type may have the trait more than once.
const ARGUMENTS: u64 = 1 << 33;
/// All that says of which trait it is.
const WHICH: u64 = TRAIT | FIRST | GIVEN | ARGUMENTS;
/// Of a function that is of no trait.
const OF_NONE: u64 = 1 << 16;

/// What is known of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callee {
    /// It may run code that is not known.
    runs: bool,
    /// Its number.
    pub number: u64,
    /// What a number says of the trait that has it, if one has.
    of_trait: u64,
    /// How it must be called for an expansion to tell what it does: the last two
    /// names of the path; empty if there is nothing to tell.
    told: &'static [u64],
}

/// Functions of which an expansion tells what they do, as they are called there.
const TOLD: &[(&str, &[u64])] = &[
    ("drop", &hashes(["drop", "mem::drop"])),
    ("fence", &hashes(["fence", "atomic::fence"])),
    ("park", &hashes(["thread::park"])),
    ("park_timeout", &hashes(["thread::park_timeout"])),
    ("scope", &hashes(["thread::scope", "rayon::scope"])),
    ("scope_fifo", &hashes(["rayon::scope_fifo"])),
    ("in_place_scope", &hashes(["rayon::in_place_scope"])),
    ("join", &hashes(["rayon::join"])),
    (
        "spawn",
        &hashes([
            "spawn",
            "thread::spawn",
            "rayon::spawn",
            "tokio::spawn",
            "smol::spawn",
            "async_std::spawn",
            "task::spawn",
        ]),
    ),
    ("spawn_fifo", &hashes(["spawn_fifo", "rayon::spawn_fifo"])),
    ("spawn_local", &hashes(["spawn_local", "task::spawn_local"])),
    (
        "spawn_blocking",
        &hashes(["spawn_blocking", "task::spawn_blocking"]),
    ),
];

impl Callee {
    /// By the name of its type.
    pub fn of(type_name: &str) -> Self {
        let here = type_name.strip_suffix(HERE);
        if let Some(function) = here {
            own_crates::entered(function);
        }
        let function = here.unwrap_or(type_name);
        let Some((owner, name)) = parts(function) else {
            return Self {
                runs: true,
                number: hash(function),
                of_trait: 0,
                told: &[],
            };
        };
        let told = TOLD.iter().find(|(of, _)| *of == name);
        Self {
            runs: !is_inert(function, owner, name),
            number: member(owned(owner), hash(name)) | trait_of(function).map_or(OF_NONE, bits),
            of_trait: bits(owner) & TRAIT,
            told: told.map_or(&[], |(_, told)| told),
        }
    }

    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        runs: true,
        number: 1,
        of_trait: 0,
        told: &[],
    };

    /// True if it may run code that is not known where it is called by this name.
    #[inline]
    pub fn may_run(&self, written: u64) -> bool {
        self.runs || !self.told.is_empty() && !self.told.contains(&written)
    }
}

/// The number of what has methods, by the name of its type.
pub fn owned(type_name: &str) -> u64 {
    // Which lifetime it borrows for does not tell it apart.
    name_hash(&type_name.replace("'_, ", "").replace("<'_>", ""))
}

/// The number of a function of this name that something has.
const fn member(owner: u64, name: u64) -> u64 {
    let number = (owner.rotate_left(7) ^ name).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Zero stands for no function.
    (number | 1 << 32) & !WHICH
}

/// What a number says of a trait with this name.
fn bits(of: &str) -> u64 {
    let of = of.replace("'_, ", "").replace("<'_>", "");
    let (name, given) = of.split_once('<').unwrap_or((&of, ""));
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let is_generic = given.split(|c| !is_path(c)).any(|word| word == "_");
    let first = match given.find(|c| !is_path(c)) {
        // A tuple, a reference.
        Some(0) => &given[..1],
        Some(end) => &given[..end],
        None => "",
    };
    let hash_of = |text: &str| name_hash(text) >> 40;
    // No trait is none, and nothing that is given is nothing.
    let mut bits = (hash_of(name) << 16 & TRAIT) | OF_NONE << 1;
    if !["", "_"].contains(&first) {
        bits |= (hash_of(first) << 8 & FIRST) | 1 << 8;
    }
    if !given.is_empty() {
        bits |= ARGUMENTS;
        if !is_generic {
            bits |= (hash_of(given) & GIVEN) | 1;
        }
    }
    bits
}

/// True if a tracked function of the second number may be the one that was called
/// by the first. A method's call says of no trait that it is that one, and in a
/// generic function one of each instance, so it is answered by none of a trait
/// that a type may have more than once.
pub const fn answers(called: u64, entered: u64) -> bool {
    let differs = called ^ entered;
    let is_first = differs & FIRST == 0 || entered & FIRST == 0;
    let is_given = differs & GIVEN == 0 || entered & GIVEN == 0;
    let is_which = if called & TRAIT == 0 {
        entered & ARGUMENTS == 0
    } else {
        differs & TRAIT == 0 && is_first && is_given
    };
    differs == 0 || differs & !WHICH == 0 && is_which
}

/// The number of `T`'s own function of this name, in which `F` is.
#[inline]
pub fn of_type<T: ?Sized, F>(name: u64) -> u64 {
    let here = of_value::<F>().number & WHICH;
    member(object::known(std::any::type_name::<T>()).itself, name) | here
}

/// As that, of a function that a trait gives to all its types.
#[inline]
pub fn of_default<T: ?Sized, F>(name: u64) -> u64 {
    let here = of_value::<F>().of_trait;
    member(object::known(std::any::type_name::<T>()).itself, name) | here
}

/// As that, of a trait that is given something.
#[inline]
pub fn of_given_default<T: ?Sized, F>(name: u64) -> u64 {
    of_default::<T, F>(name) | ARGUMENTS
}

/// The call of a method of this name on a `T`, by whoever calls this function.
#[inline]
#[track_caller]
pub fn method<T: ?Sized>(name: u64) -> Call {
    let known = object::known(std::any::type_name::<T>());
    let number = member(known.behind, name);
    let announced = Key::of(Location::caller(), known.itself, number);
    Call::method(number, announced)
}

/// What a function, given as a value, is.
#[inline]
pub fn of_value<F>() -> Callee {
    object::known(std::any::type_name::<F>()).callee
}

/// Where a character is that is outside of all brackets, from the end.
fn rfind_outside(name: &str, text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let bytes = name.as_bytes();
    for at in (0..bytes.len()).rev() {
        match bytes[at] {
            // The arrow of a function's type is no bracket.
            b'>' if at == 0 || bytes[at - 1] != b'-' => depth += 1,
            b')' | b']' => depth += 1,
            b'<' | b'(' | b'[' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 && bytes[at..].starts_with(text.as_bytes()) {
            return Some(at);
        }
    }
    None
}

/// Without the arguments at the end: `f` of `f<u8>`.
fn without_arguments(name: &str) -> &str {
    if !name.ends_with('>') {
        return name;
    }
    rfind_outside(name, "<").map_or(name, |at| &name[..at])
}

/// Whose a function is, and its name: `("a::T<u8>", "f")` of `a::T<u8>::f<u8>`,
/// `<a::T<u8> as b::Trait>::f` and `a::m::<impl b::Trait for a::T<u8>>::f`.
fn parts(function: &str) -> Option<(&str, &str)> {
    let function = without_arguments(function);
    let at = rfind_outside(function, "::")?;
    let (owner, name) = (&function[..at], &function[at + 2..]);
    Some((owner_of(owner), name))
}

fn owner_of(path: &str) -> &str {
    let last = rfind_outside(path, "::").map_or(path, |at| &path[at + 2..]);
    let inside = |text: &str, begin: &str| -> Option<usize> {
        (text.starts_with(begin) && text.ends_with('>')).then_some(begin.len())
    };
    if let Some(begin) = inside(last, "<impl ") {
        let of = &last[begin..last.len() - 1];
        return rfind_outside(of, " for ").map_or(of, |at| &of[at + " for ".len()..]);
    }
    if let Some(begin) = inside(path, "<") {
        let of = &path[begin..path.len() - 1];
        return rfind_outside(of, " as ").map_or(of, |at| &of[..at]);
    }
    path
}

fn is_std(path: &str) -> bool {
    ["core::", "alloc::", "std::"]
        .iter()
        .any(|krate| path.starts_with(krate))
}

/// The trait that a function is of, if its path says so.
fn trait_of(function: &str) -> Option<&str> {
    let function = without_arguments(function);
    let path = &function[..rfind_outside(function, "::")?];
    let last = rfind_outside(path, "::").map_or(path, |at| &path[at + 2..]);
    if let Some(of) = last.strip_prefix("<impl ") {
        let of = of.strip_suffix('>')?;
        return rfind_outside(of, " for ").map(|at| &of[..at]);
    }
    let of = path.strip_prefix('<')?.strip_suffix('>')?;
    rfind_outside(of, " as ").map(|at| &of[at + " as ".len()..])
}

/// Functions of modules, by how these begin, that run no code of others.
const FUNCTIONS: &[(&[&str], &[&str])] = &[
    (
        &["core::ptr", "core::intrinsics"],
        &[
            "addr_of",
            "copy",
            "copy_nonoverlapping",
            "from_mut",
            "from_ref",
            "null",
            "null_mut",
            "read",
            "read_unaligned",
            "read_volatile",
            "replace",
            "swap",
            "swap_nonoverlapping",
            "write",
            "write_bytes",
            "write_unaligned",
            "write_volatile",
        ],
    ),
    (
        &["core::mem"],
        &[
            "align_of",
            "align_of_val",
            "drop",
            "forget",
            "needs_drop",
            "replace",
            "size_of",
            "size_of_val",
            "swap",
            "take",
        ],
    ),
    (&["core::hint"], &["black_box", "spin_loop"]),
    (&["core::sync::atomic"], &["compiler_fence", "fence"]),
    (
        &["std::thread"],
        &[
            "current",
            "park",
            "park_timeout",
            "scope",
            "sleep",
            "spawn",
            "yield_now",
        ],
    ),
    (
        &["tokio", "async_std", "smol", "async_global_executor"],
        &["spawn", "spawn_local", "spawn_blocking"],
    ),
    (
        &["rayon", "rayon_core"],
        &[
            "spawn",
            "spawn_fifo",
            "join",
            "scope",
            "scope_fifo",
            "in_place_scope",
        ],
    ),
];

/// Types that are known, and their functions that run no code of others.
const OF_TYPES: &[(&str, &[&str])] = &[
    ("Arc", &["new", "clone", "downgrade", "as_ptr", "ptr_eq"]),
    ("Rc", &["new", "clone"]),
    ("Box", &["new", "into_raw", "leak"]),
    ("Vec", &["new", "with_capacity"]),
    ("String", &["new", "from"]),
    ("HashMap", &["new"]),
    ("BTreeMap", &["new"]),
    ("VecDeque", &["new"]),
    ("Cell", &["new"]),
    ("RefCell", &["new"]),
    ("UnsafeCell", &["new", "raw_get"]),
    ("Mutex", &["new"]),
    ("RwLock", &["new"]),
    ("Condvar", &["new"]),
    ("Barrier", &["new"]),
    (
        "Duration",
        &[
            "new",
            "from_millis",
            "from_secs",
            "from_micros",
            "from_nanos",
        ],
    ),
    ("Instant", &["now"]),
    ("Builder", &["new"]),
    ("RawWaker", &["new"]),
    ("RawWakerVTable", &["new"]),
];

/// True for a function that runs no code but its own, and waits for nobody
/// unless the expansion tells of that.
fn is_inert(function: &str, owner: &str, name: &str) -> bool {
    if name == "{{constructor}}" {
        return true;
    }
    if own_crates::has(function) {
        return false;
    }
    // What it makes may be of any type, and made by that type's code.
    if ["from", "take"].contains(&name) && is_foreign(function) {
        return false;
    }
    // A trait of the program's own may give a function to a type that is known.
    if trait_of(function).is_some_and(|of| !is_std(of)) {
        return false;
    }
    let bare = without_arguments(owner);
    let of = bare.rsplit("::").next().unwrap_or_default();
    let is_module = !of.starts_with(|c: char| c.is_uppercase());
    if is_module {
        return FUNCTIONS.iter().any(|(modules, names)| {
            let is_inside = |module: &&str| {
                let after = owner.strip_prefix(*module);
                after.is_some_and(|after| after.is_empty() || after.starts_with("::"))
            };
            modules.iter().any(is_inside) && names.contains(&name)
        });
    }
    let is_of_type = |(one, names): &(&str, &[&str])| *one == of && names.contains(&name);
    is_known(owner)
        && (of.starts_with("Atomic") && name == "new" || OF_TYPES.iter().any(is_of_type))
}

#[cfg(test)]
mod tests {
    use std::any::type_name_of_val;
    use std::sync::{Arc, Mutex};

    use super::{ARGUMENTS, Callee, HERE, answers, member, owned, parts};
    use crate::track::hooks::hash;

    mod other {
        use super::super::Callee;

        pub struct Own<T>(pub T);
        pub trait Named {
            fn act(&self) -> u8;
            fn made(&self) -> u8 {
                1
            }
        }

        impl Named for Vec<u8> {
            fn act(&self) -> u8 {
                3
            }
        }

        impl<T> Named for Own<T> {
            fn act(&self) -> u8 {
                2
            }
        }

        pub fn act<T>(_: T) -> Callee {
            fn __leakcheck_here() {}
            Callee::of(std::any::type_name_of_val(&__leakcheck_here))
        }
    }
    use other::{Named, Own};

    impl<T> Own<T> {
        fn new(of: T) -> Self {
            Self(of)
        }
    }

    #[test]
    fn a_function_is_someones() {
        let all = [
            ("a::f", "a", "f"),
            ("a::f<u8>", "a", "f"),
            ("a::T<u8>::f<b::C<u8>>", "a::T<u8>", "f"),
            ("<a::T<u8> as b::Trait<u8>>::f", "a::T<u8>", "f"),
            ("a::m::<impl b::Trait for a::T<u8>>::f", "a::T<u8>", "f"),
            ("a::m::<impl a::T<u8>>::f<u8>", "a::T<u8>", "f"),
            ("<fn(u8) -> a::T as b::Trait>::f", "fn(u8) -> a::T", "f"),
        ];
        for (function, owner, name) in all {
            assert_eq!(parts(function), Some((owner, name)));
        }
        assert_eq!(parts("f"), None);
    }

    /// Whichever way it is named, it has one number.
    #[test]
    fn a_function_answers_to_its_path() {
        let of = |name: &str| Callee::of(name).number;
        assert_eq!(
            other::act(1_u8).number,
            of(type_name_of_val(&other::act::<u8>))
        );
        let act = type_name_of_val(&<Own<u8> as Named>::act);
        let own = std::any::type_name::<Own<u8>>();
        let number = |name: &str| member(owned(own), hash(name));
        assert!(answers(number("act"), of(act)));
        let made = type_name_of_val(&<Own<u8> as Named>::made);
        assert!(answers(number("made"), of(made)));
        let new = type_name_of_val(&Own::<u8>::new);
        assert!(answers(number("new"), of(new)));
        assert_ne!(of(act), other::act(1_u8).number);
        assert_eq!(Own::new(1).0 + Own(1).act() + Own(1).made(), 4);
    }

    /// A path says of which trait a function is; a method call does not.
    #[test]
    fn a_function_answers_for_its_trait() {
        let of = |name: &str| Callee::of(name).number;
        let entered = |function: &str| {
            let here = of(&format!("{function}{HERE}"));
            move |called: &str| answers(of(called), here)
        };
        let from = entered("a::m::<impl core::convert::From<u8> for a::T>::from");
        assert!(from("<a::T as core::convert::From<u8>>::from"));
        assert!(!from("<a::T as core::convert::From<a::Own>>::from"));
        assert!(!from("a::T::from") && !from("<a::T as a::From<u8>>::from"));
        let generic = entered("a::<impl core::convert::From<a::Own<_>> for a::T>::from");
        assert!(generic("<a::T as core::convert::From<a::Own<u8>>>::from"));
        assert!(!generic(
            "<a::T as core::convert::From<a::Other<u8>>>::from"
        ));
        let blanket = entered("a::<impl core::convert::From<_> for a::T>::from");
        assert!(blanket("<a::T as core::convert::From<a::Own<u8>>>::from"));
        let tuple = entered("a::<impl core::convert::From<(_, u8)> for a::T>::from");
        assert!(tuple("<a::T as core::convert::From<(u16, u8)>>::from"));
        assert!(!tuple("<a::T as core::convert::From<u8>>::from"));
        let own = entered("a::T::from");
        assert!(own("a::T::from") && own("a::m::<impl a::T>::from"));
        assert!(!own("<a::T as core::convert::From<u8>>::from"));
        let default = Callee::of("a::Trait::from::__leakcheck_here").of_trait;
        let default = member(owned("a::T"), hash("from")) | default;
        assert!(answers(of("<a::T as a::Trait<u8>>::from"), default));
        assert!(!answers(of("a::T::from"), default) && !answers(0, default));
        // A method's call says nothing of the trait.
        let method = member(owned("a::T"), hash("from"));
        assert!(answers(method, default) && !answers(method, default | ARGUMENTS));
        let one = entered("<a::T as a::Trait>::from");
        assert!(answers(method, of("<a::T as a::Trait>::from")) && one("<a::T as a::Trait>::from"));
        assert!(!answers(method, of("<a::T as a::Trait<u8>>::from")));
        assert!(answers(
            of("<a::T as a::Trait<u8>>::from"),
            default | ARGUMENTS
        ));
    }

    #[test]
    fn functions_of_std_run_nothing() {
        fn sleep() {}
        fn runs<F>(_: F) -> bool {
            Callee::of(std::any::type_name::<F>()).runs
        }
        let park = Callee::of(type_name_of_val(&std::thread::park));
        assert!(!park.may_run(hash("thread::park")) && park.may_run(hash("park")));
        assert!(!runs(std::thread::sleep));
        assert!(!runs(std::thread::yield_now));
        assert!(!runs(std::thread::current));
        assert!(!runs(std::thread::spawn::<fn(), ()>));
        assert!(!runs(Mutex::<Own<u8>>::new));
        assert!(!runs(<Arc<Own<u8>> as Clone>::clone));
        assert!(!runs(std::hint::black_box::<Own<u8>>));
        assert!(!runs(std::mem::take::<u8>));
        assert!(!runs(std::ptr::read::<Own<u8>>));
        assert!(!runs(std::sync::atomic::fence));
        assert!(!runs(std::sync::atomic::AtomicU8::new));
        assert!(!runs(<String as From<&str>>::from));
        assert!(!runs(std::time::Instant::now));
        assert!(!runs(std::thread::Builder::new));
        assert!(!runs(Some::<u8>));
        assert!(!runs(Own::<u8>));
        assert!(runs(std::mem::take::<Own<u8>>) && runs(sleep) && runs(|| ()));
        assert!(runs(<Vec<u8> as Named>::made) && runs(std::fs::read::<&str>));
        assert!(runs(Own::<u8>::new) && runs(sleep as fn()));
        sleep();
    }

    impl Default for Own<u8> {
        fn default() -> Self {
            Self(1)
        }
    }
}
