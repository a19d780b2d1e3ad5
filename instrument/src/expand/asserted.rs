//! Assertions. Their text is their message, as a rule, and so it stays: what is
//! told of them goes before.
//!
//! What it misses: what is read only sometimes, behind `&&` and in blocks.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::visit_mut::VisitMut as _;
use syn::{BinOp, Expr, Macro, Stmt, UnOp};

use super::body::Body;
use super::calls::is_inert;
use super::chain::is_place;
use super::foreign::{deed, referenced};
use super::left::ITS_OWN_MESSAGE;
use super::macros::{arguments, head};
use super::names::INERT_METHODS;
use super::operators::is_equality;
use super::place::hygienic;
use super::sync::simple;
use super::way::{Use, Way};

/// Macros of std that compare.
const ASSERTIONS: &[&str] = &[
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
];

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

impl Body<'_> {
    /// What goes before an assertion.
    ///
    /// Input: `assert!(unsafe { X } == 1)`. Output:
    ///
    /// ```text
    /// second({ { HOOK of X } }, assert!(unsafe { X } == 1))
    /// ```
    pub fn asserts(&mut self, called: &Macro) -> Option<TokenStream> {
        let mut told = Vec::new();
        if let Some(condition) = bare_condition(called)
            && !self.reads(&condition, &mut told)
        {
            self.alone_as(called, ITS_OWN_MESSAGE, Some(&head(called)));
        }
        told.extend(self.compares(called));
        (!told.is_empty()).then(|| quote!(#({ #told; })*))
    }

    /// Tells what an expression reads in any case; false if it does more.
    fn reads(&mut self, condition: &Expr, told: &mut Vec<TokenStream>) -> bool {
        match condition {
            Expr::Paren(inner) => self.reads(&inner.expr, told),
            Expr::Cast(cast) => self.reads(&cast.expr, told),
            Expr::Unary(unary) if !matches!(unary.op, UnOp::Deref(_)) => {
                self.reads(&unary.expr, told)
            }
            Expr::Binary(binary) => {
                let left = self.reads(&binary.left, told);
                match binary.op {
                    BinOp::And(_) | BinOp::Or(_) => left && self.is_left(&binary.right),
                    _ => self.reads(&binary.right, told) && left,
                }
            }
            Expr::Unsafe(unsafe_) => {
                let [Stmt::Expr(value, None)] = unsafe_.block.stmts.as_slice() else {
                    return self.is_left(condition);
                };
                let around = std::mem::replace(&mut self.unsafety, true);
                let mut inside = Vec::new();
                let all = self.reads(value, &mut inside);
                self.unsafety = around;
                if !inside.is_empty() {
                    let span = hygienic(unsafe_.span());
                    let quiet = quote_spanned!(span=> allow(unused_unsafe));
                    told.push(quote_spanned!(span=> #[#quiet] unsafe { #({ #inside; })* }));
                }
                all
            }
            place if is_place(place) => match self.way(place, Use::Read, place) {
                Way::No => self.is_left(place),
                Way::Before(hook) => {
                    told.push(hook);
                    true
                }
                Way::Once { .. }
                | Way::OnceOf { .. }
                | Way::Borrowed { .. }
                | Way::BorrowedOf { .. }
                | Way::Computed
                | Way::Alone(_) => false,
            },
            other => self.is_left(other),
        }
    }

    /// True for what is not rewritten anywhere.
    fn is_left(&mut self, expression: &Expr) -> bool {
        let mut changed = expression.clone();
        self.visit_expr_mut(&mut changed);
        changed.to_token_stream().to_string() == expression.to_token_stream().to_string()
    }

    /// The code of types' own that an assertion may run.
    fn compares(&self, called: &Macro) -> Vec<TokenStream> {
        let last = called.path.segments.last();
        let is_assertion =
            last.is_some_and(|last| ASSERTIONS.iter().any(|name| last.ident == name));
        let Some(arguments) = arguments(called).filter(|_| is_assertion) else {
            return Vec::new();
        };
        let is_condition = last.is_some_and(|last| last.ident.to_string().ends_with("assert"));
        let mut operands = Operands::default();
        for (at, argument) in arguments.iter().enumerate() {
            let compared = !is_condition && at < 2 && simple(argument);
            operands.0.extend(compared.then_some(("eq", argument)));
            operands.visit_expr(argument);
        }
        let operands = operands.0.into_iter();
        operands
            .filter_map(|(name, place)| {
                let deed = if name == "eq" { "Each" } else { deed(name) };
                self.runs(place, deed, name)
            })
            .collect()
    }
}

/// Places in an expression whose types' own code it may run, and the name of
/// that.
#[derive(Default)]
struct Operands<'e>(Vec<(&'e str, &'e Expr)>);

impl<'e> Visit<'e> for Operands<'e> {
    fn visit_expr(&mut self, expression: &'e Expr) {
        match expression {
            // What is bound inside is not known outside.
            Expr::Closure(_)
            | Expr::Async(_)
            | Expr::Block(_)
            | Expr::Unsafe(_)
            | Expr::Const(_)
            | Expr::Match(_)
            | Expr::If(_)
            | Expr::Let(_)
            | Expr::Loop(_)
            | Expr::While(_)
            | Expr::ForLoop(_) => return,
            Expr::Binary(binary) if is_equality(binary) => {
                let operands = [&*binary.left, &*binary.right].map(referenced);
                let places = operands.into_iter().filter(|place| simple(place));
                self.0.extend(places.map(|place| ("eq", place)));
            }
            Expr::MethodCall(call) if is_inert(call) && simple(&call.receiver) => {
                let name = INERT_METHODS.iter().find(|name| call.method == **name);
                self.0.extend(name.map(|name| (*name, &*call.receiver)));
            }
            _ => {}
        }
        visit::visit_expr(self, expression);
    }
}
