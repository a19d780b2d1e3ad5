//! Steps of places that may run code of a type's own: a field behind a `Deref`,
//! a dereference, an index.
//!
//! In a closure a field of a captured variable may be all that is captured. Then
//! nothing can be asked about the variable, and the step to the field counts as
//! code that is not tracked.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, UnOp, parse_quote};

use super::body::Body;
use super::chain::{self, is_place};
use super::foreign::{is_variant, may_pass};
use super::place::{bare, hygienic, ident, library};
use super::sync::simple;

impl Body<'_> {
    /// Tells if a step of this place, which the expression uses, runs code of a
    /// type's own.
    pub fn stepped(&mut self, expression: &mut Expr, place: &Expr) {
        let mut asks = Vec::new();
        let mut name = "deref";
        self.steps_into(place, &mut asks, &mut name);
        self.ask(expression, asks, name);
    }

    /// Asks about the steps of a place.
    pub fn steps_of(&self, place: &Expr) -> Vec<TokenStream> {
        let mut asks = Vec::new();
        self.steps_into(place, &mut asks, &mut "deref");
        asks
    }

    /// As [`Body::stepped`], of a place before which nothing can stand.
    pub fn stepped_before(&mut self, place: &Expr) {
        let asks = self.steps_of(place);
        self.asks_at_least(asks, "deref");
    }

    /// Asks about what a method is called on.
    pub fn received(&self, place: &Expr) -> Vec<TokenStream> {
        let mut asks = self.steps_of(place);
        asks.extend(self.used_derefs(place));
        asks
    }

    fn steps_into(&self, place: &Expr, asks: &mut Vec<TokenStream>, name: &mut &'static str) {
        match place {
            Expr::Paren(inner) => self.steps_into(&inner.expr, asks, name),
            Expr::Reference(inner) => self.steps_into(&inner.expr, asks, name),
            Expr::Field(field) => {
                let borrowed = behind(&field.base);
                let base = borrowed.unwrap_or(&field.base);
                if borrowed.is_some() && !askable(base) {
                    asks.push(quote!(true));
                } else if is_place(base) {
                    self.steps_into(base, asks, name);
                    let derefs = quote!(derefs());
                    asks.extend(if self.captures_part(base) {
                        let asked = self.of_another(base, "Step", &derefs);
                        Some(asked.unwrap_or_else(|| quote!(true)))
                    } else {
                        self.used_derefs(base)
                    });
                }
            }
            Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => {
                self.steps_into(&unary.expr, asks, name);
                if is_place(&unary.expr) {
                    asks.extend(self.asked_step(&unary.expr, "Deref"));
                }
            }
            Expr::Index(index) => {
                let borrowed = behind(&index.expr);
                let base = borrowed.unwrap_or(&index.expr);
                self.steps_into(base, asks, name);
                *name = "index";
                if borrowed.is_some() && !askable(base) {
                    asks.push(quote!(true));
                } else if is_place(base) {
                    asks.extend(self.asked_step(base, "Index"));
                    asks.extend(self.asked_step(base, "Deref"));
                }
                self.index_into(&index.index, asks);
            }
            _ => {}
        }
    }

    fn index_into(&self, index: &Expr, asks: &mut Vec<TokenStream>) {
        match index {
            // Of a type of its own, and so the index is.
            Expr::Path(path) if is_variant(path) => asks.push(quote!(true)),
            Expr::Paren(inner) => self.index_into(&inner.expr, asks),
            Expr::Reference(inner) => self.index_into(&inner.expr, asks),
            Expr::Range(range) => {
                for end in [&range.start, &range.end].into_iter().flatten() {
                    self.index_into(end, asks);
                }
            }
            place if is_place(place) && askable(place) && !self.typed.is_plain(place) => {
                asks.extend(self.does(place, "Operator"));
            }
            _ => {}
        }
    }

    /// Asks whether a step from this place does that, if it may be asked.
    fn asked_step(&self, place: &Expr, deed: &str) -> Option<TokenStream> {
        if self.typed.is_plain(place) || deed == "Deref" && self.typed.is_reference(place) {
            return None;
        }
        if matches!(bare(place), Expr::Path(path) if is_variant(path)) {
            return Some(quote!(true));
        }
        if !askable(place) {
            let krate = &self.context.krate;
            let deed = ident(deed);
            return self.computed_place(
                place,
                "Runs",
                &quote!(does(#krate::__private::Deed::#deed)),
            );
        }
        self.does(place, deed)
    }

    /// Asks about a part of what is computed: it has a type that is known, for
    /// else it could not be named. What is behind a pointer need not have a size.
    fn computed_place(
        &self,
        place: &Expr,
        answers: &str,
        asks: &TokenStream,
    ) -> Option<TokenStream> {
        if !repeatable(place) {
            return Some(quote!(true));
        }
        let krate = &self.context.krate;
        let span = hygienic(place.span());
        let value = chain::unevaluated(bare(place), krate);
        let value = if chain::is_behind(place) {
            quote_spanned!(span=> at(&raw const #value))
        } else {
            quote_spanned!(span=> value(#value))
        };
        Some(chain::asked(&value, answers, asks, krate, span))
    }

    /// As [`Body::derefs`], of a place that a method is called on or a field is taken of:
    /// its type is known there.
    pub fn used_derefs(&self, place: &Expr) -> Option<TokenStream> {
        if !self.captures_behind(place)
            || self.may_refer(place)
            || self.typed.is_reference(place)
            || self.typed.is_plain(place)
            || self.typed.written(place).is_some()
            || matches!(bare(place), Expr::Path(path) if is_variant(path))
        {
            return self.derefs(place);
        }
        Some(self.asks_seen(bare(place), "Step", &quote!(derefs())))
    }

    /// Asks whether a step from this place, or a coercion of a reference to it,
    /// goes through a `Deref` of the program's own.
    pub fn derefs(&self, place: &Expr) -> Option<TokenStream> {
        let place = bare(place);
        if !is_place(place) || self.typed.is_plain(place) {
            return None;
        }
        if matches!(place, Expr::Path(path) if is_variant(path)) {
            // Of a constant of a type the type is not asked: see `foreign`.
            return Some(quote!(true));
        }
        if !askable(place) {
            return self.computed_place(place, "Step", &quote!(derefs()));
        }
        if matches!(root(place), Some(name) if name == "self") {
            return Some(self.step(place, "derefs"));
        }
        let krate = &self.context.krate;
        if let Some(asked) = self.of_another(place, "Step", &quote!(derefs())) {
            return Some(asked);
        }
        if self.is_captured(place) && self.typed.is_reference(place) {
            // What is behind it is captured, not the reference.
            let behind: Expr = parse_quote!(*#place);
            return Some(chain::step(&behind, "derefs", krate));
        }
        if self.captures_behind(place) || self.is_open(place) {
            return Some(quote!(true));
        }
        Some(chain::step(place, "derefs", krate))
    }

    /// What a place begins with, where it is computed and used by a step.
    ///
    /// Input: `CALL().field`. Output: `pass(own.temporary(CALL()), |v| …).field`.
    pub fn computed_base(&mut self, base: &mut Expr, whole: &Expr, is_indexed: bool) {
        if !may_pass(whole) {
            self.left_over(base, whole);
            return;
        }
        self.temporary(base);
        let krate = &self.context.krate;
        let span = hygienic(base.span());
        let value = ident("__leakcheck_value");
        let (asks, name) = if is_indexed {
            let method = quote_spanned!(span=> #krate::__private::Deed::Method);
            let asks = quote_spanned!(span=> #krate::__private::Runs::like(#value).does(#method));
            (asks, "index")
        } else {
            let asks = quote_spanned!(span=> #krate::__private::Step::like(#value).derefs());
            (asks, "deref")
        };
        let asks = self.operates_if(&[asks], name, None);
        *base = library(
            krate,
            "pass",
            quote_spanned!(span=> #base, |#value| #asks),
            &base.clone(),
        );
    }

    /// True if the place is of a variable that a closure captures.
    pub fn is_captured(&self, place: &Expr) -> bool {
        self.in_closure
            && root(place).is_some_and(|name| {
                !name.starts_with(|c: char| c.is_uppercase()) && !self.inside.contains(&name)
            })
    }

    /// True if a closure may capture a part of this place only.
    pub fn captures_part(&self, place: &Expr) -> bool {
        if !self.is_captured(place) || matches!(root(place), Some(name) if name == "self") {
            return false;
        }
        if self.moves {
            !self.typed.is_shared(place) && !self.typed.is_reference(place)
        } else if self.unsafety && chain::is_behind(place) {
            // A raw pointer, unless it says that it is none.
            self.typed.is_exclusive(place)
        } else {
            !self.typed.is_whole(place)
        }
    }

    /// What an index is: its value is given to an `Index`.
    pub fn indexed(&mut self, index: &mut Expr) {
        let whole = index.clone();
        self.visit_expr_mut(index);
        if matches!(bare(&whole), Expr::Call(_) | Expr::MethodCall(_)) {
            self.asks_returned(index, "Operator", "index");
        }
    }
}

/// The place that is borrowed here: `*p` of `(&*p)`.
fn behind(base: &Expr) -> Option<&Expr> {
    match base {
        Expr::Paren(inner) => behind(&inner.expr),
        Expr::Reference(inner) => Some(&*inner.expr).filter(|place| is_place(place)),
        _ => None,
    }
}

/// The last name of the path that a place begins with.
fn root(place: &Expr) -> Option<String> {
    match place {
        Expr::Paren(inner) => root(&inner.expr),
        Expr::Field(field) => root(&field.base),
        Expr::Index(index) => root(&index.expr),
        Expr::Unary(unary) => root(&unary.expr),
        Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    }
}

/// True for a place of which may be asked what it is: what it is made of may be
/// written once more where it is not run.
pub fn askable(place: &Expr) -> bool {
    match place {
        Expr::Paren(inner) => askable(&inner.expr),
        Expr::Field(field) => askable(&field.base),
        Expr::Index(index) => askable(&index.expr) && repeatable(&index.index),
        Expr::Unary(unary) => matches!(unary.op, UnOp::Deref(_)) && askable(&unary.expr),
        other => simple(other),
    }
}

/// As that, of a place that a call leads to. To a field there may be no
/// reference by which it could be asked where it is: its struct may be packed.
pub fn askable_behind_call(place: &Expr) -> bool {
    fn leads(place: &Expr) -> bool {
        match place {
            Expr::Paren(inner) => leads(&inner.expr),
            Expr::Field(field) => leads(&field.base),
            Expr::Index(index) => leads(&index.expr) && repeatable(&index.index),
            Expr::Unary(unary) => matches!(unary.op, UnOp::Deref(_)) && repeatable(&unary.expr),
            _ => false,
        }
    }
    super::chain::has_field(place) && leads(place)
}

/// True for what may be written twice.
fn repeatable(expression: &Expr) -> bool {
    match expression {
        Expr::Lit(_) => true,
        Expr::Paren(inner) => repeatable(&inner.expr),
        Expr::Reference(inner) => repeatable(&inner.expr),
        Expr::Cast(cast) => repeatable(&cast.expr),
        Expr::Binary(binary) => {
            super::operated::is_told(&binary.op)
                && repeatable(&binary.left)
                && repeatable(&binary.right)
        }
        Expr::Unary(unary) => repeatable(&unary.expr),
        Expr::Range(range) => [&range.start, &range.end]
            .into_iter()
            .flatten()
            .all(|end| repeatable(end)),
        Expr::MethodCall(call) => {
            call.turbofish.is_none()
                && repeatable(&call.receiver)
                && call.args.iter().all(repeatable)
                && !super::spawn::is_wanted(&call.method.to_string())
        }
        Expr::Call(call) => {
            simple(&call.func)
                && super::spawn::returns_what_it_says(expression)
                && call.args.iter().all(repeatable)
        }
        Expr::Try(tried) => repeatable(&tried.expr),
        Expr::Field(field) => repeatable(&field.base),
        Expr::Index(index) => repeatable(&index.expr) && repeatable(&index.index),
        other => askable(other),
    }
}
