//! Crates of the program's own that have the name of one that is known: a test in
//! `tests/core.rs`, a package called `spin`.
//!
//! A type's name begins with its crate's, which nothing tells apart from another of
//! that name. So of a crate that has tracked functions no type is believed, once one
//! of them was entered; and of std's crates only what is in modules that they have.
//!
//! What it misses: a crate that is not tracked, if what is in it is where a known
//! crate has something.

use std::sync::OnceLock;

/// Names of crates, as far as they are there; of more than these all is believed.
static TRACKED: [OnceLock<Box<str>>; 64] = [const { OnceLock::new() }; 64];

/// Modules of `core` and `alloc` whose types wait for nobody.
const MODULES: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "alloc",
            "any",
            "array",
            "ascii",
            "bool",
            "borrow",
            "bstr",
            "cell",
            "char",
            "clone",
            "cmp",
            "convert",
            "default",
            "error",
            "f32",
            "f64",
            "ffi",
            "field",
            "fmt",
            "future",
            "hash",
            "hint",
            "intrinsics",
            "io",
            "iter",
            "marker",
            "mem",
            "net",
            "num",
            "ops",
            "option",
            "panic",
            "panicking",
            "pat",
            "pin",
            "ptr",
            "random",
            "range",
            "result",
            "slice",
            "str",
            "sync",
            "task",
            "time",
            "tuple",
            "unicode",
        ],
    ),
    (
        "alloc",
        &[
            "alloc",
            "borrow",
            "boxed",
            "bstr",
            "collections",
            "ffi",
            "fmt",
            "raw_vec",
            "rc",
            "slice",
            "str",
            "string",
            "sync",
            "task",
            "vec",
            "wtf8",
        ],
    ),
];

/// The crate of a path.
fn root(path: &str) -> &str {
    path.split("::").next().unwrap_or_default()
}

/// A tracked function with this path was entered. That of a trait for a type says of
/// no crate that it is its own.
pub fn entered(function: &str) {
    let root = root(function);
    if root.is_empty() || root.starts_with('<') {
        return;
    }
    for place in &TRACKED {
        if &**place.get_or_init(|| root.into()) == root {
            return;
        }
    }
}

/// True if what has this path may be the program's own, though it begins like what is
/// known.
pub fn has(path: &str) -> bool {
    let root = root(path);
    let own_module = MODULES.iter().any(|(krate, modules)| {
        let module = path.split("::").nth(1).unwrap_or_default();
        let module = module.split('<').next().unwrap_or_default();
        *krate == root && !module.is_empty() && !modules.contains(&module)
    });
    let mut tracked = TRACKED.iter().map_while(OnceLock::get);
    own_module || tracked.any(|tracked| &**tracked == root)
}

#[cfg(test)]
mod tests {
    use super::has;

    #[test]
    fn what_std_does_not_have_is_the_programs() {
        for known in [
            "core::option::Option<u8>",
            "core::sync::atomic::AtomicBool",
            "alloc::vec::Vec<a::Own>",
            "std::sync::mpsc::Sender<u8>",
            "u8",
        ] {
            assert!(!has(known), "{known}");
        }
        assert!(has("core::Own"));
        assert!(has("core::model::Own<u8>"));
        assert!(has("alloc::Own<core::option::Option<u8>>"));
    }

    #[test]
    fn of_a_crate_that_is_tracked_nothing_is_known() {
        assert!(!has("own_crate_of_a_test::Own"));
        super::entered("own_crate_of_a_test::f::__leakcheck_here");
        assert!(has("own_crate_of_a_test::Own"));
    }
}
