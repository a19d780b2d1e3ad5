//! Macros of std, and their arguments.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, Macro, Token, parse_quote, parse_quote_spanned};

use super::address::takes_address;
use super::asserted::bare_condition;
use super::body::Body;
use super::chain::{Chain, Root, is_place};
use super::foreign::is_returned;
use super::left::{CAPTURED, UNSEEN_MACRO};
use super::names::{COMPUTED_MACROS, MACROS};
use super::operated::Tree;
use super::place::{bare, hygienic, ident, library};
use super::steps::askable;

/// What a format calls, as far as its name says.
pub const FORMATS: &str = "fmt";

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
pub fn takes_values(called: &Macro) -> bool {
    let last = called.path.segments.last();
    last.is_some_and(|last| last.ident == "vec")
}

/// True for a macro that prints: it takes a lock that others take, too.
pub fn prints(called: &Macro) -> bool {
    let last = called.path.segments.last();
    last.is_some_and(|last| {
        ["print", "println", "eprint", "eprintln"]
            .iter()
            .any(|name| last.ident == name)
    })
}

/// True for macros of std's, by their names, which bind nothing and are seen.
pub fn is_known(called: &Macro) -> bool {
    const OTHERS: &[&str] = &["assert", "debug_assert", "cfg", "todo", "unimplemented"];
    let last = called.path.segments.last();
    let is_known = last.is_some_and(|segment| {
        [OTHERS, MACROS, COMPUTED_MACROS]
            .iter()
            .any(|names| names.iter().any(|name| segment.ident == name))
    });
    is_known || takes_address(called)
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
    /// A call of a macro; what is to be asked before it.
    pub fn macro_(&mut self, called: &mut Macro) -> Vec<TokenStream> {
        if bare_condition(called).is_some() {
            // See [`Body::asserts`].
            return Vec::new();
        }
        let rewritten = rewritten(called);
        let Some(mut arguments) = arguments(called).filter(|_| rewritten) else {
            if !is_known(called) {
                self.alone_as(&*called, UNSEEN_MACRO, Some(&head(called)));
            }
            return Vec::new();
        };
        if takes_values(called) {
            for value in &mut arguments {
                self.visit_expr_mut(value);
            }
            called.tokens = arguments.into_token_stream();
            return Vec::new();
        }
        let parts = Parts::of(called);
        let named: Vec<String> = arguments.iter().filter_map(name_of).collect();
        let shows_names = parts.fails == Fails::Perhaps && {
            let format = arguments.iter().nth(parts.count);
            let names = format.map(captured_by).unwrap_or_default();
            names.iter().any(|name| !named.contains(name))
        };
        let mut tree = Tree::of(FORMATS);
        let mut compared = Tree::of("eq");
        for (at, argument) in arguments.iter().enumerate() {
            let mut value = value_of(argument).clone();
            match parts.at(at) {
                Part::Format => self.captures(argument, &parts, &named, &mut tree),
                Part::Shown if parts.fails == Fails::Perhaps => {}
                Part::Shown => tree.looks(self, &mut value, true),
                Part::Compared => compared.looks(self, &mut value, true),
                Part::Condition | Part::Written => {}
            }
        }
        let whole: Expr = parse_quote!(#called);
        let opaque = self.lasting(&mut tree, &whole);
        self.lasting(&mut compared, &whole);
        let mut asks = Vec::new();
        for (at, argument) in arguments.iter_mut().enumerate() {
            let part = parts.at(at);
            let argument = match argument {
                // `name = value` of a format.
                Expr::Assign(named) => &mut named.right,
                other => other,
            };
            let whole = argument.clone();
            if let Expr::Lit(literal) = argument {
                self.captured(literal);
                continue;
            }
            match part {
                Part::Condition | Part::Format => self.looked_at_by_macro(argument),
                Part::Written => {
                    self.looked_at_by_macro(argument);
                    asks.extend(self.written(argument, &whole));
                }
                Part::Shown if parts.fails == Fails::Perhaps => {
                    self.looked_at_by_macro(argument);
                    self.shown(argument);
                }
                Part::Compared | Part::Shown => {
                    let tree = if part == Part::Shown {
                        &tree
                    } else {
                        &compared
                    };
                    if is_place(&whole) {
                        self.looked_at_by_macro(argument);
                        self.looked_at(argument, &whole, tree);
                        self.stepped_before(&whole);
                    } else {
                        self.operands(argument, true, tree);
                    }
                }
            }
        }
        self.opaque = opaque;
        if shows_names {
            self.shows_names(&mut arguments, &parts);
        }
        called.tokens = arguments.into_token_stream();
        asks.extend(self.places_of(&tree));
        let name = if parts.first == Part::Compared {
            "eq"
        } else {
            FORMATS
        };
        asks.extend(self.places_of(&compared));
        self.asks_before(asks, name).unwrap_or_default()
    }

    /// Input: `println!(…)`. Output: `first(println!(…), opaque())`.
    pub fn printed(&self, called: Expr) -> Expr {
        let krate = &self.context.krate;
        let span = hygienic(called.span());
        let told = quote_spanned!(span=> #called, #krate::__private::opaque());
        library(krate, "first", told, &called)
    }

    /// A message that names variables: it is formatted only if it is shown.
    ///
    /// Input: `assert!(IS, "{x}")`, `assert_eq!(A, B, "{x}")`. Output:
    ///
    /// ```text
    /// assert!(pass(IS, |v| Condition::new(v).holds()), "{x}")
    /// assert_eq!(A, B, "{x}{fails}", fails = fails())
    /// ```
    fn shows_names(&self, arguments: &mut Punctuated<Expr, Token![,]>, parts: &Parts) {
        let krate = &self.context.krate;
        if parts.first == Part::Condition {
            if let Some(condition) = arguments.first_mut() {
                let span = hygienic(condition.span());
                let value = ident("__leakcheck_value");
                let told = quote_spanned! {span=>
                    #condition, |#value| #krate::__private::Condition::new(#value).holds()
                };
                *condition = library(krate, "pass", told, &condition.clone());
            }
            return;
        }
        if let Some(Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(format),
            ..
        })) = arguments.iter_mut().nth(parts.count)
        {
            let text = format.value() + "{__leakcheck_fails}";
            *format = syn::LitStr::new(&text, format.span());
            let fails = syn::Ident::new("__leakcheck_fails", format.span());
            arguments.push(parse_quote!(#fails = #krate::__private::fails()));
        }
    }

    /// What a message shows, if there is one: `*looked(&VALUE)`.
    fn shown(&self, value: &mut Expr) {
        if matches!(value, Expr::Lit(_)) {
            return;
        }
        let krate = &self.context.krate;
        let span = hygienic(value.span());
        *value = parse_quote_spanned! {span=>
            *#krate::__private::looked(
                &(#value),
                #krate::__private::Deed::Operator,
                const { #krate::__private::hash(#FORMATS) },
            )
        };
    }

    /// What a format is written into.
    fn written(&mut self, into: &mut Expr, whole: &Expr) -> Option<TokenStream> {
        let place = match bare(whole) {
            Expr::Reference(reference) => bare(&reference.expr),
            place => place,
        };
        if is_place(place) && askable(place) {
            return self.does(place, "Writes");
        }
        if is_returned(whole) {
            self.asks_returned(into, "Writes", "write_fmt");
        }
        None
    }

    /// The variables that a format names.
    fn captures(&self, format: &Expr, parts: &Parts, named: &[String], tree: &mut Tree) {
        for name in captured_by(format) {
            if named.contains(&name) {
                continue;
            }
            let Ok(name) = syn::parse_str::<syn::Ident>(&name) else {
                continue;
            };
            match parts.fails {
                // Whether it is a variable depends on the edition.
                Fails::Surely => tree.fails(),
                // See [`Body::shows_names`].
                Fails::Perhaps => {}
                Fails::No => {
                    let span = format.span();
                    let name = syn::Ident::new(&name.to_string(), span);
                    let place: Expr = parse_quote!(#name);
                    if !self.typed.is_plain(&place) {
                        tree.holds(&place);
                    }
                }
            }
        }
    }

    /// A format that names static variables: `"{COUNTER}"`.
    fn captured(&mut self, literal: &syn::ExprLit) {
        let format = Expr::Lit(literal.clone());
        for name in captured_by(&format) {
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

/// The part that an argument of a macro plays.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Condition,
    Compared,
    /// What is written into.
    Written,
    Format,
    /// What a format shows.
    Shown,
}

/// Whether a macro panics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fails {
    No,
    Perhaps,
    Surely,
}

/// The parts of the arguments of a macro.
struct Parts {
    /// Those before the format.
    first: Part,
    /// How many they are.
    count: usize,
    fails: Fails,
}

impl Parts {
    fn of(called: &Macro) -> Self {
        let last = called.path.segments.last();
        let name = last.map(|last| last.ident.to_string()).unwrap_or_default();
        let (first, count, fails) = match name.as_str() {
            "assert" | "debug_assert" => (Part::Condition, 1, Fails::Perhaps),
            "assert_eq" | "assert_ne" | "debug_assert_eq" | "debug_assert_ne" => {
                (Part::Compared, 2, Fails::Perhaps)
            }
            "write" | "writeln" => (Part::Written, 1, Fails::No),
            "panic" | "unreachable" => (Part::Format, 0, Fails::Surely),
            _ => (Part::Format, 0, Fails::No),
        };
        Self {
            first,
            count,
            fails,
        }
    }

    fn at(&self, at: usize) -> Part {
        match at.checked_sub(self.count) {
            None => self.first,
            Some(0) => Part::Format,
            Some(_) => Part::Shown,
        }
    }
}

/// What `name = value` shows.
fn value_of(argument: &Expr) -> &Expr {
    match argument {
        Expr::Assign(named) => &named.right,
        other => other,
    }
}

/// The name of `name = value`.
fn name_of(argument: &Expr) -> Option<String> {
    match argument {
        Expr::Assign(named) => match &*named.left {
            Expr::Path(name) => name.path.get_ident().map(ToString::to_string),
            _ => None,
        },
        _ => None,
    }
}

fn captured_by(format: &Expr) -> Vec<String> {
    match format {
        Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(format),
            ..
        }) => captured(&format.value()),
        _ => Vec::new(),
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
