//! Attributes: conditions and lint levels on statements and expressions, and macros
//! on items.
//!
//! They stay at the front of what they are on, for elsewhere most of them may
//! not stand. What an expansion puts beside a statement is there under the same
//! conditions.

use quote::quote;
use syn::punctuated::Punctuated;
use syn::{AttrStyle, Attribute, Expr, Meta, Stmt, Token, parse_quote};

use crate::item::is_track;

/// Takes the attributes off the front of an expression.
pub fn take(expression: &mut Expr) -> Vec<Attribute> {
    let Some(attrs) = front(expression) else {
        return Vec::new();
    };
    let (outer, inner) = std::mem::take(attrs)
        .into_iter()
        .partition(|attr| matches!(attr.style, AttrStyle::Outer) && !is_our_own(attr));
    *attrs = inner;
    outer
}

/// Puts them before what the expression has become.
pub fn put(attributes: Vec<Attribute>, expression: &mut Expr) {
    if attributes.is_empty() {
        return;
    }
    match of(expression) {
        Some(attrs) => drop(attrs.splice(0..0, attributes)),
        None => *expression = Expr::Verbatim(quote!(#(#attributes)* #expression)),
    }
}

/// The conditions under which a statement is there.
pub fn conditions(statement: &Stmt) -> Vec<Attribute> {
    let attributes = match statement {
        Stmt::Local(local) => local.attrs.clone(),
        Stmt::Macro(called) => called.attrs.clone(),
        Stmt::Expr(expression, _) => take(&mut expression.clone()),
        Stmt::Item(_) => Vec::new(),
    };
    let mut conditions = attributes;
    conditions.retain(is_condition);
    conditions
}

/// True for `#[cfg(…)]`.
pub fn is_condition(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
}

/// Attributes of the compiler's own on functions and what has some, by the first
/// name of their path.
const BUILT_IN: &[&str] = &[
    "allow",
    "automatically_derived",
    "cfg",
    "clippy",
    "coverage",
    "cold",
    "deny",
    "deprecated",
    "diagnostic",
    "doc",
    "expect",
    "export_name",
    "forbid",
    "ignore",
    "inline",
    "instruction_set",
    "link_section",
    "macro_use",
    "must_use",
    "naked",
    "no_mangle",
    "non_exhaustive",
    "optimize",
    "path",
    "rustfmt",
    "should_panic",
    "target_feature",
    "test",
    "track_caller",
    "unsafe",
    "warn",
];

/// True for attributes of which one may be a macro, which puts other code around
/// that of a function.
pub fn may_wrap(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let first = attribute.path().segments.first();
        let is_built_in = first.is_some_and(|first| {
            let name = first.ident.to_string();
            BUILT_IN.contains(&name.as_str())
        });
        if attribute.path().is_ident("cfg_attr") {
            let Ok(list) = attribute.meta.require_list() else {
                return true;
            };
            let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            return inner.map_or(true, |inner| {
                inner.iter().skip(1).any(|meta| {
                    let attribute: Attribute = parse_quote!(#[#meta]);
                    may_wrap(&[attribute])
                })
            });
        }
        !is_built_in && !is_track(attribute) && !super::test::is_test(attribute)
    })
}

/// True if a statement may be the last of its block under other conditions.
pub fn may_be_last(statement: &Stmt) -> bool {
    match statement {
        Stmt::Expr(_, semicolon) => semicolon.is_none(),
        Stmt::Macro(called) => called.semi_token.is_none(),
        Stmt::Local(_) | Stmt::Item(_) => false,
    }
}

/// Puts statements under conditions.
pub fn under(conditions: &[Attribute], statements: &mut [Stmt]) {
    if conditions.is_empty() {
        return;
    }
    for statement in statements {
        let conditions = conditions.iter().cloned();
        match statement {
            Stmt::Local(local) => drop(local.attrs.splice(0..0, conditions)),
            Stmt::Macro(called) => drop(called.attrs.splice(0..0, conditions)),
            Stmt::Expr(expression, _) => put(conditions.collect(), expression),
            Stmt::Item(_) => {}
        }
    }
}

/// The attributes that stand first in an expression.
fn front(expression: &mut Expr) -> Option<&mut Vec<Attribute>> {
    match expression {
        Expr::Assign(assign) => front(&mut assign.left),
        Expr::Binary(binary) => front(&mut binary.left),
        Expr::Cast(cast) => front(&mut cast.expr),
        other => of(other),
    }
}

/// The attributes on an expression.
fn of(expression: &mut Expr) -> Option<&mut Vec<Attribute>> {
    macro_rules! attributes {
        ($($kind:ident)*) => {
            match expression {
                $(Expr::$kind(expression) => Some(&mut expression.attrs),)*
                _ => None,
            }
        };
    }
    attributes!(
        Array Assign Async Await Binary Block Break Call Cast Closure Const Continue Field ForLoop
        Group If Index Infer Let Lit Loop Macro Match MethodCall Paren Path Range RawAddr Reference
        Repeat Return Struct Try TryBlock Tuple Unary Unsafe While Yield
    )
}

/// Marks that a walk leaves for itself.
fn is_our_own(attribute: &Attribute) -> bool {
    attribute.path().is_ident("leakcheck_last")
}
