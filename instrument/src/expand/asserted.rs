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
use super::foreign::deed;
use super::left::ITS_OWN_MESSAGE;
use super::macros::{arguments, head};
use super::operated::{Tree, is_told};
use super::operators::is_comparison;
use super::place::{hygienic, ident};
use super::steps::askable;
use super::sync::simple;
use super::way::{Use, Way};

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
        if let Some(condition) = bare_condition(called) {
            if !self.reads(&condition, &mut told) {
                self.alone_as(called, ITS_OWN_MESSAGE, Some(&head(called)));
            }
            self.runs_in(&condition, &mut told);
        }
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

    /// The code of types' own that a condition may run.
    fn runs_in(&mut self, condition: &Expr, told: &mut Vec<TokenStream>) {
        let mut operands = Operands {
            body: self,
            asks: Vec::new(),
            methods: Vec::new(),
        };
        operands.visit_expr(condition);
        let Operands { asks, methods, .. } = operands;
        told.extend(methods);
        if !asks.is_empty() {
            told.push(self.operates_if(&asks, "partial_cmp", None));
        }
    }
}

/// Asks about places in a condition whose types' own code it may run.
struct Operands<'b, 'c> {
    body: &'b mut Body<'c>,
    asks: Vec<TokenStream>,
    methods: Vec<TokenStream>,
}

impl Operands<'_, '_> {
    fn operates(&mut self, operators: &Expr, borrowed: bool) {
        let mut tree = Tree::default();
        tree.looks(self.body, &mut operators.clone(), borrowed);
        self.asks.extend(self.body.places_of(&tree));
        for value in tree.made() {
            self.asks.extend(self.body.makes_own(value));
        }
    }
}

impl<'e> Visit<'e> for Operands<'_, '_> {
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
            Expr::Binary(binary) if is_comparison(&binary.op) => {
                self.operates(&binary.left, true);
                self.operates(&binary.right, true);
            }
            Expr::Binary(binary) if is_told(&binary.op) => self.operates(expression, false),
            Expr::Unary(unary) if !matches!(unary.op, UnOp::Deref(_)) => {
                self.operates(expression, false);
            }
            Expr::MethodCall(call) if is_place(&call.receiver) => {
                self.asks.extend(self.body.steps_of(&call.receiver));
                self.asks.extend(self.body.used_derefs(&call.receiver));
                if is_inert(call) && simple(&call.receiver) {
                    let name = call.method.to_string();
                    let runs = self.body.runs(&call.receiver, deed(&name), &name);
                    self.methods.extend(runs);
                }
            }
            place if is_place(place) => self.asks.extend(self.body.steps_of(place)),
            _ => {}
        }
        visit::visit_expr(self, expression);
    }
}

impl Body<'_> {
    /// Asks whether a value may have code of its own, where nothing can be put.
    fn makes_own(&self, value: &Expr) -> Option<TokenStream> {
        const SIMPLE: &[&str] = &[
            "len",
            "count",
            "capacity",
            "load",
            "strong_count",
            "any",
            "all",
            "contains",
            "contains_key",
            "starts_with",
            "ends_with",
            "as_bytes",
            "as_str",
            "is_some_and",
        ];
        match value {
            Expr::Paren(inner) => self.makes_own(&inner.expr),
            Expr::MethodCall(call) => {
                let name = call.method.to_string();
                let simple = SIMPLE.contains(&name.as_str()) || name.starts_with("is_");
                (!simple).then(|| quote!(true))
            }
            Expr::Unsafe(inside) => match inside.block.stmts.as_slice() {
                [Stmt::Expr(place, None)] if is_place(place) && askable(place) => {
                    let asks = self.does(place, "Operator")?;
                    let span = hygienic(value.span());
                    let quiet = quote_spanned!(span=> allow(unused_unsafe));
                    let answer = ident("answer");
                    Some(quote_spanned! {span=> {
                        #[#quiet]
                        let #answer = unsafe { #asks };
                        #answer
                    }})
                }
                _ => Some(quote!(true)),
            },
            _ => Some(quote!(true)),
        }
    }
}
