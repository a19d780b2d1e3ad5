//! The arguments of std's macros.

use super::names::{INERT_MACROS, MACROS};
use syn::punctuated::Punctuated;
use syn::{Expr, Macro, Token};

/// The arguments of a macro that takes expressions between commas.
pub fn arguments(called: &Macro) -> Option<Punctuated<Expr, Token![,]>> {
    called
        .parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        .ok()
}

/// True for the macros whose arguments are rewritten. A condition without a
/// message of its own is not: the message is its text.
pub fn rewritten(called: &Macro) -> bool {
    let name = called
        .path
        .segments
        .last()
        .map(|last| last.ident.to_string());
    match name.as_deref() {
        Some("assert" | "debug_assert") => arguments(called).is_some_and(|all| all.len() > 1),
        Some(name) => MACROS.contains(&name),
        None => false,
    }
}

/// The condition of an assertion without a message of its own: the message is
/// the condition's text.
pub fn bare_condition(called: &Macro) -> Option<Expr> {
    let last = &called.path.segments.last()?.ident;
    if last != "assert" && last != "debug_assert" {
        return None;
    }
    let mut arguments = arguments(called)?;
    (arguments.len() == 1)
        .then(|| arguments.pop())?
        .map(|pair| pair.into_value())
}

/// True for a macro that takes its arguments by value.
pub fn takes_values(called: &Macro) -> bool {
    called.path.is_ident("vec")
}

/// True for macros that are left as they are, and run nothing unseen.
pub fn is_inert(called: &Macro) -> bool {
    let last = called.path.segments.last();
    last.is_some_and(|segment| {
        INERT_MACROS.iter().any(|name| segment.ident == name)
            || MACROS.iter().any(|name| segment.ident == name)
    })
}

/// How a report names the call: `path!(…)`.
pub fn head(called: &Macro) -> String {
    let segments: Vec<String> = called
        .path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect();
    segments.join("::") + "!(…)"
}

/// The variables that a format names in braces.
pub fn captured(format: &str) -> Vec<String> {
    let text = format.replace("{{", "");
    let holes = text.split('{').skip(1);
    let names = holes.map(|hole| hole.split([':', '}']).next().unwrap_or_default().trim());
    names
        .filter(|name| name.starts_with(|c: char| c.is_alphabetic() || c == '_'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::captured;

    #[test]
    fn names_in_braces_are_captured() {
        assert_eq!(captured("{A} {} {0} {b:?} {{C}} {d:>w$}"), ["A", "b", "d"]);
        assert!(captured("no braces }}").is_empty());
    }
}
