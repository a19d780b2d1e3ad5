//! Names of functions, as a person reads them and as a fingerprint keeps them.
//!
//! A [`FunctionName`] has three spellings of one demangled name:
//!
//! | spelling | of `<bank::Cache<T> as core::ops::drop::Drop>::drop` |
//! |---|---|
//! | [`full`](FunctionName::full) | as it is |
//! | [`short`](FunctionName::short) | `<bank::Cache<_> as Drop>::drop` |
//! | [`path`](FunctionName::path) | `bank::Cache::drop` |
//!
//! Both of rustc's mangling schemes give the same `path`, so that rules and
//! fingerprints need not know the scheme. Hashes and the numbers of closures
//! are gone from all of it.
//!
//! What it misses: the legacy scheme does not carry the type arguments of a
//! generic function; two of its instances have the same name.

use std::fmt;

/// A demangled function name in its three spellings.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FunctionName {
    full: String,
    short: String,
    path: String,
}

impl FunctionName {
    /// From a symbol, mangled or not.
    pub fn from_symbol(symbol: &str) -> Self {
        // `{:#}` leaves the hash out.
        match rustc_demangle::try_demangle(strip_symbol_suffix(symbol)) {
            Ok(demangled) => Self::from_demangled(&format!("{demangled:#}")),
            Err(_) => Self::from_demangled(symbol),
        }
    }

    /// From a name that is demangled already.
    pub fn from_demangled(name: &str) -> Self {
        let full = tidy_markers(name);
        let short = shorten(&full);
        let path = canonical(&full);
        Self { full, short, path }
    }

    /// With type parameters and trait paths.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// Type arguments folded to `_`, traits without their path.
    pub fn short(&self) -> &str {
        &self.short
    }

    /// Only the path: no type arguments, no trait.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The first segment of the path: the crate.
    pub fn krate(&self) -> &str {
        self.path.split("::").next().unwrap_or(&self.path)
    }

    /// The crate if this is a Rust path, `None` for a C symbol.
    pub fn rust_crate(&self) -> Option<&str> {
        self.path.contains("::").then(|| self.krate())
    }

    /// True if the path is in crate `krate` and ends with the segments `tail`,
    /// closures at its end not counted.
    pub fn is(&self, krate: &str, tail: &[&str]) -> bool {
        if self.krate() != krate {
            return false;
        }
        let segments: Vec<&str> = self
            .path
            .split("::")
            .filter(|segment| *segment != CLOSURE)
            .collect();
        segments.ends_with(tail)
    }

    /// True if the path starts with `prefix`, at a segment's end.
    pub fn is_within(&self, prefix: &str) -> bool {
        self.path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FunctionName({})", self.full)
    }
}

/// How a closure is written.
const CLOSURE: &str = "{closure}";

/// Cuts what LLVM appends to a symbol when it splits or copies a function
/// (`.llvm.123`, `.cold`, `.part.0`).
fn strip_symbol_suffix(symbol: &str) -> &str {
    for suffix in [".llvm.", ".cold", ".part."] {
        if let Some(at) = symbol.find(suffix) {
            return &symbol[..at];
        }
    }
    symbol
}

/// Writes every marker in braces in one way: closures of both schemes become
/// `{closure}`, shims go.
fn tidy_markers(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let tail = &rest[open..];
        let Some(len) = marker_len(tail) else {
            out.push_str(tail);
            return out;
        };
        let marker = tail[..len].trim_matches(|c| c == '{' || c == '}');
        rest = &tail[len..];
        if marker.starts_with("closure") || marker.starts_with("async_") {
            out.push_str(CLOSURE);
        } else if marker.contains("shim") {
            // A shim stands for the function before it.
            if out.ends_with("::") {
                out.truncate(out.len() - 2);
            }
        } else {
            out.push('{');
            out.push_str(marker);
            out.push('}');
        }
    }
    out.push_str(rest);
    out
}

/// Length of the `{…}` or `{{…}}` that `text` starts with.
fn marker_len(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Byte after the `>` that closes the `<` at `open`, arrows not counted.
fn closing(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    for at in open..bytes.len() {
        match bytes[at] {
            b'<' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Splits at the first `separator` outside of angle brackets.
fn split_top<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(separator) {
            return Some((&text[..at], &text[at + separator.len()..]));
        }
        at = match text.as_bytes()[at] {
            b'<' => closing(text, at)?,
            _ => at + text[at..].chars().next().map_or(1, char::len_utf8),
        };
    }
    None
}

/// A type without what stands before its path: `&`, `*const`, `dyn` …
fn bare_type(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let before = text;
        for prefix in ["&", "*const ", "*mut ", "mut ", "dyn "] {
            text = text.strip_prefix(prefix).unwrap_or(text).trim_start();
        }
        if text.len() == before.len() {
            return text;
        }
    }
}

/// The path of a name: `<A as B>::m` is `A::m`, type arguments go.
fn canonical(name: &str) -> String {
    let name = bare_type(name);
    let mut out = String::with_capacity(name.len());
    let mut at = 0;
    while at < name.len() {
        let Some(open) = name[at..].find('<').map(|i| i + at) else {
            out.push_str(&name[at..]);
            break;
        };
        out.push_str(&name[at..open]);
        let Some(end) = closing(name, open) else {
            out.push_str(&name[open..]);
            break;
        };
        let inner = &name[open + 1..end - 1];
        at = end;
        if open == 0 {
            // `<Type as Trait>::…` or `<Type>::…`
            let this = split_top(inner, " as ").map_or(inner, |(this, _)| this);
            out.push_str(&canonical(this));
        } else if let Some(implemented) = inner.strip_prefix("impl ") {
            // `module::<impl Trait for Type>::…` or `module::<impl [T]>::…`
            if let Some((_, this)) = split_top(implemented, " for ") {
                out.clear();
                out.push_str(&canonical(this));
            } else if out.ends_with("::") {
                out.truncate(out.len() - 2);
            }
        } else if out.ends_with("::") {
            // `function::<T>`
            out.truncate(out.len() - 2);
        }
    }
    out
}

/// The name with folded type arguments and traits without their path.
fn shorten(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut at = 0;
    while at < name.len() {
        let Some(open) = name[at..].find('<').map(|i| i + at) else {
            out.push_str(&name[at..]);
            break;
        };
        out.push_str(&name[at..open]);
        let Some(end) = closing(name, open) else {
            out.push_str(&name[open..]);
            break;
        };
        let inner = &name[open + 1..end - 1];
        at = end;
        if open == 0 {
            match split_top(inner, " as ") {
                Some((this, of)) => {
                    out.push_str(&format!("<{} as {}>", shorten(this), last_segment(of)));
                }
                // Inherent: `<bank::Cache<T>>::fill` reads as `bank::Cache<_>::fill`.
                None => out.push_str(&shorten(inner)),
            }
        } else if let Some(implemented) = inner.strip_prefix("impl ") {
            match split_top(implemented, " for ") {
                Some((of, this)) => {
                    out.clear();
                    out.push_str(&format!("<{} as {}>", shorten(this), last_segment(of)));
                }
                None => {
                    if out.ends_with("::") {
                        out.truncate(out.len() - 2);
                    }
                }
            }
        } else if out.ends_with("::") {
            out.truncate(out.len() - 2);
            out.push_str("<_>");
        } else {
            out.push_str("<_>");
        }
    }
    out
}

/// `core::ops::drop::Drop` → `Drop`, `core::ops::Fn<Args>` → `Fn<_>`.
fn last_segment(path: &str) -> String {
    let short = shorten(path);
    short
        .rsplit("::")
        .next()
        .map_or_else(|| short.clone(), str::to_owned)
}

/// A type as a person writes it: paths cut to their last segment, allocator
/// and hasher arguments gone (`Vec<bank::Slot, alloc::alloc::Global>` →
/// `Vec<Slot>`).
pub fn short_type(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut word_start = 0;
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if name[at..].starts_with("::") {
            out.truncate(word_start);
            at += 2;
            continue;
        }
        let c = name[at..].chars().next().unwrap_or(' ');
        out.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            word_start = out.len();
        }
        at += c.len_utf8();
    }
    for noise in [", Global", ",Global", ", RandomState", ",RandomState"] {
        out = out.replace(noise, "");
    }
    out
}

/// The type arguments at the end of a DWARF name: `new<bank::Slot>` →
/// `["bank::Slot"]`.
pub fn type_arguments(name: &str) -> Vec<&str> {
    let Some(open) = name.find('<') else {
        return Vec::new();
    };
    let Some(end) = closing(name, open) else {
        return Vec::new();
    };
    let mut rest = &name[open + 1..end - 1];
    let mut arguments = Vec::new();
    while let Some((first, others)) = split_list(rest) {
        arguments.push(first.trim());
        rest = others;
    }
    if !rest.trim().is_empty() {
        arguments.push(rest.trim());
    }
    arguments
}

/// Splits at the first comma outside of every bracket.
fn split_list(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0usize;
    let bytes = text.as_bytes();
    for at in 0..bytes.len() {
        match bytes[at] {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, short: &str, path: &str) {
        let function = FunctionName::from_demangled(name);
        assert_eq!(function.short(), short);
        assert_eq!(function.path(), path);
    }

    #[test]
    fn plain_paths_stay() {
        check(
            "bank::Cache::fill",
            "bank::Cache::fill",
            "bank::Cache::fill",
        );
        check("main", "main", "main");
    }

    #[test]
    fn closures_of_both_schemes_are_equal() {
        check(
            "bank::run::{{closure}}",
            "bank::run::{closure}",
            "bank::run::{closure}",
        );
        check(
            "bank::run::{closure#3}",
            "bank::run::{closure}",
            "bank::run::{closure}",
        );
        check(
            "core::ops::function::FnOnce::call_once{{vtable.shim}}",
            "core::ops::function::FnOnce::call_once",
            "core::ops::function::FnOnce::call_once",
        );
    }

    #[test]
    fn generics_are_folded() {
        check(
            "bank::Cache<T>::fill",
            "bank::Cache<_>::fill",
            "bank::Cache::fill",
        );
        check(
            "<bank::Cache<i32>>::fill",
            "bank::Cache<_>::fill",
            "bank::Cache::fill",
        );
        check("bank::run::<fn() -> i32>", "bank::run<_>", "bank::run");
        check(
            "core::ptr::drop_in_place<alloc::sync::Arc<bank::A>>",
            "core::ptr::drop_in_place<_>",
            "core::ptr::drop_in_place",
        );
    }

    #[test]
    fn trait_methods_keep_the_trait_in_short_only() {
        check(
            "<bank::Cache<T> as core::ops::drop::Drop>::drop",
            "<bank::Cache<_> as Drop>::drop",
            "bank::Cache::drop",
        );
        check(
            "bank::_::<impl serde::Serialize for bank::Foo>::serialize",
            "<bank::Foo as Serialize>::serialize",
            "bank::Foo::serialize",
        );
        check(
            "core::slice::<impl [T]>::iter",
            "core::slice::iter",
            "core::slice::iter",
        );
        check(
            "<&mut bank::It as core::iter::Iterator>::next",
            "<&mut bank::It as Iterator>::next",
            "bank::It::next",
        );
    }

    #[test]
    fn legacy_and_v0_symbols_lose_their_hash() {
        let legacy = FunctionName::from_symbol("_ZN4bank5Cache4fill17h0123456789abcdefE");
        assert_eq!(legacy.full(), "bank::Cache::fill");
        let v0 = FunctionName::from_symbol("_RNvNtCs1234_4bank5cache4fill");
        assert_eq!(v0.path(), "bank::cache::fill");
        let split = FunctionName::from_symbol("_ZN4bank4fill17h0123456789abcdefE.llvm.12345");
        assert_eq!(split.full(), "bank::fill");
        assert_eq!(FunctionName::from_symbol("memcpy").full(), "memcpy");
    }

    #[test]
    fn rules_match_whole_segments() {
        let recv = FunctionName::from_demangled("std::sync::mpsc::Receiver<T>::recv");
        assert!(recv.is("std", &["Receiver", "recv"]));
        assert!(!recv.is("std", &["Receiver", "rec"]));
        assert!(!recv.is("core", &["Receiver", "recv"]));
        assert!(recv.is_within("std::sync::mpsc"));
        assert!(!recv.is_within("std::sync::mp"));
        let closure = FunctionName::from_demangled("std::sync::Once::call_once::{{closure}}");
        assert!(closure.is("std", &["Once", "call_once"]));
        assert_eq!(
            FunctionName::from_demangled("epoll_wait").rust_crate(),
            None
        );
    }

    #[test]
    fn malformed_names_are_kept() {
        check("a<b", "a<b", "a<b");
        check("a{b", "a{b", "a{b");
        check("", "", "");
    }

    #[test]
    fn types_are_written_short() {
        assert_eq!(
            short_type("alloc::vec::Vec<bank::Slot, alloc::alloc::Global>"),
            "Vec<Slot>"
        );
        assert_eq!(short_type("core::cell::Cell<i32>"), "Cell<i32>");
        assert_eq!(short_type("[u8; 4]"), "[u8; 4]");
        assert_eq!(short_type("&[core::option::Option<u8>]"), "&[Option<u8>]");
    }

    #[test]
    fn type_arguments_split_at_the_top_level() {
        assert_eq!(type_arguments("new<bank::Slot>"), ["bank::Slot"]);
        assert_eq!(
            type_arguments("insert<(u8, u8), Vec<u8, Global>, S>"),
            ["(u8, u8)", "Vec<u8, Global>", "S"]
        );
        assert_eq!(
            type_arguments("run<fn(i32) -> u8, u8>"),
            ["fn(i32) -> u8", "u8"]
        );
        assert!(type_arguments("main").is_empty());
    }
}
