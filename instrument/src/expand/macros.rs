//! Macros of std, and their arguments.

use quote::ToTokens as _;
use syn::punctuated::Punctuated;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, Macro, Token};

use super::asserted::bare_condition;
use super::body::Body;
use super::chain::{Chain, Root};
use super::left::{CAPTURED, UNSEEN_MACRO};
use super::names::{INERT_MACROS, MACROS};

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

/// True for a macro that takes its arguments by value.
fn takes_values(called: &Macro) -> bool {
    called.path.is_ident("vec")
}

/// True for macros that are left as they are, and run nothing unseen.
fn is_inert(called: &Macro) -> bool {
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

impl Body<'_> {
    /// A call of a macro.
    pub fn macro_(&mut self, called: &mut Macro) {
        if bare_condition(called).is_some() {
            // See [`Body::asserts`].
            return;
        }
        let arguments = arguments(called).filter(|_| rewritten(called));
        let Some(mut arguments) = arguments else {
            if !is_inert(called) {
                self.alone_as(&*called, UNSEEN_MACRO, Some(&head(called)));
            }
            return;
        };
        let takes = takes_values(called);
        for argument in &mut arguments {
            match argument {
                // `name = value` of a format.
                Expr::Assign(named) => self.looked_at_by_macro(&mut named.right),
                Expr::Lit(literal) => self.captured(literal),
                value if takes => self.visit_expr_mut(value),
                other => self.looked_at_by_macro(other),
            }
        }
        called.tokens = arguments.into_token_stream();
    }

    /// A format that names static variables: `"{COUNTER}"`.
    fn captured(&mut self, literal: &syn::ExprLit) {
        let syn::Lit::Str(format) = &literal.lit else {
            return;
        };
        for name in captured(&format.value()) {
            let Ok(place) = syn::parse_str::<Expr>(&name) else {
                continue;
            };
            let root = Chain::of(self.context, &place).root;
            if self.unsafety && matches!(root, Root::Static(_)) {
                self.alone_as(literal, CAPTURED, Some(&name));
            }
        }
    }
}

/// The variables that a format names in braces.
fn captured(format: &str) -> Vec<String> {
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
