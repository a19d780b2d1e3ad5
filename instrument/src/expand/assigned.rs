//! Assignments and comparisons: places and operators at once.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, ExprArray, ExprBinary, ExprCall, ExprTuple};

use super::body::Body;
use super::chain::is_place;
use super::left::TAKEN_APART;
use super::operated::{Tree, other_name};
use super::operators::is_assignment;
use super::place::{hygienic, library};
use super::steps::askable;
use super::way::{Use, Way};

impl Body<'_> {
    /// Input: `PLACE = VALUE`, `PLACE += VALUE`. Output: told once the value
    /// is there.
    ///
    /// ```text
    /// PLACE = ::leakcheck::__private::first(VALUE, HOOK)
    /// ```
    pub fn assign(&mut self, expression: &mut Expr) {
        let whole = expression.clone();
        let (left, right) = match expression {
            Expr::Assign(assign) => (&mut assign.left, &mut assign.right),
            Expr::Binary(ExprBinary {
                left, op, right, ..
            }) if is_assignment(op) => (left, right),
            _ => return,
        };
        if matches!(
            **left,
            Expr::Tuple(_) | Expr::Array(_) | Expr::Struct(_) | Expr::Infer(_)
        ) {
            let told = if is_place(right) {
                self.assigned_from(left, right)
            } else {
                self.visit_expr_mut(right);
                None
            };
            if let Expr::Assign(assign) = &whole {
                self.left_over(right, &assign.right);
            }
            let mut written = Vec::new();
            let is_still = is_still(right);
            self.assigned_parts(left, is_still, &mut written);
            self.before(expression, told);
            for hook in written {
                self.before(expression, Some(hook));
            }
            return;
        }
        let mut tree = match &whole {
            Expr::Binary(binary) => Tree::of(other_name(&binary.op)),
            _ => Tree::default(),
        };
        let place = (**left).clone();
        let is_operated = matches!(whole, Expr::Binary(_));
        let opaque = self.opaque;
        if is_operated {
            tree.looks(self, right, false);
            if !self.typed.is_plain(&place) {
                tree.holds(&place);
            }
            self.lasting(&mut tree, right);
            self.operands(right, false, &tree);
        } else {
            self.coerced_before([&**right]);
            self.visit_expr_mut(right);
        }
        let overwritten = match &whole {
            Expr::Assign(assign) => self.overwritten(&assign.left, right, &assign.right),
            _ => Vec::new(),
        };
        match self.way(left, Use::Write, &whole) {
            Way::Before(hook) => {
                self.inside_place(left);
                let span = hygienic(right.span());
                let told = quote_spanned!(span=> #right, { #hook; });
                **right = library(&self.context.krate, "first", told, right);
            }
            way => self.operand(left, Use::Write, way, &whole),
        }
        self.opaque = opaque;
        if !overwritten.is_empty() && self.unsafety {
            // The access is told of in between.
            self.new_own();
        }
        self.ask(expression, overwritten, "drop");
        if is_operated {
            self.operates(expression, &tree);
        }
        self.stepped(expression, &place);
    }

    /// What a pattern assigns to: steps of places, and what was there is dropped.
    ///
    /// Input: `(PLACE, _) = VALUE`. Output, if nothing happens in the value:
    /// `second({ HOOK }, (PLACE, _) = VALUE)`.
    fn assigned_parts(&mut self, pattern: &Expr, is_still: bool, written: &mut Vec<TokenStream>) {
        match pattern {
            Expr::Paren(inner) => self.assigned_parts(&inner.expr, is_still, written),
            Expr::Tuple(ExprTuple { elems: parts, .. })
            | Expr::Array(ExprArray { elems: parts, .. })
            | Expr::Call(ExprCall { args: parts, .. }) => {
                for part in parts {
                    self.assigned_parts(part, is_still, written);
                }
            }
            Expr::Struct(parts) => {
                for field in &parts.fields {
                    self.assigned_parts(&field.expr, is_still, written);
                }
            }
            Expr::Infer(_) | Expr::Range(_) => {}
            place if is_place(place) && askable(place) => {
                self.stepped_before(place);
                let drops = Vec::from_iter(self.drops(place));
                self.asks_at_least(drops, "drop");
                self.new_own();
                written.extend(self.assigned_part(place, is_still));
            }
            place => {
                self.asks_at_least(vec![quote!(true)], "drop");
                written.extend(self.assigned_part(place, false));
            }
        }
    }

    /// What tells of the write to a place, if that may go before the value.
    fn assigned_part(&mut self, place: &Expr, is_still: bool) -> Option<TokenStream> {
        match self.way(place, Use::Write, place) {
            Way::No => None,
            Way::Before(hook) if is_still => Some(hook),
            _ => {
                self.alone(place, TAKEN_APART);
                None
            }
        }
    }

    /// Input: `PLACE == OTHER`, which borrows both. Output:
    ///
    /// ```text
    /// ::leakcheck::__private::second(HOOK, PLACE == OTHER)
    /// ```
    pub fn compare(&mut self, expression: &mut Expr) {
        let Expr::Binary(binary) = expression else {
            return;
        };
        let (mut hooks, mut steps) = (Vec::new(), Vec::new());
        let mut tree = Tree::of(other_name(&binary.op));
        let mut whole = binary.clone();
        tree.looks(self, &mut whole.left, true);
        tree.looks(self, &mut whole.right, true);
        let opaque = self.lasting(&mut tree, &Expr::Binary(whole));
        for operand in [&mut binary.left, &mut binary.right] {
            let whole = (**operand).clone();
            if !is_place(&whole) {
                self.operands(operand, true, &tree);
                continue;
            }
            match self.way(operand, Use::Compare, &whole) {
                Way::Before(hook) => {
                    hooks.push(hook);
                    self.inside_place(operand);
                }
                way => self.operand(operand, Use::Compare, way, &whole),
            }
            self.looked_at(operand, &whole, &tree);
            steps.extend(self.steps_of(&whole));
        }
        self.opaque = opaque;
        if !hooks.is_empty() {
            let hooks = hooks.iter().map(|hook| quote!({ #hook; }));
            self.before(expression, Some(quote!(#(#hooks)*)));
        }
        self.operates(expression, &tree);
        self.ask(expression, steps, "deref");
    }
}

/// True if nothing happens while the value is computed.
fn is_still(value: &Expr) -> bool {
    match value {
        Expr::Lit(_) | Expr::Path(_) => true,
        Expr::Paren(inner) => is_still(&inner.expr),
        Expr::Reference(inner) => is_still(&inner.expr),
        Expr::RawAddr(inner) => is_still(&inner.expr),
        Expr::Tuple(parts) => parts.elems.iter().all(is_still),
        Expr::Array(parts) => parts.elems.iter().all(is_still),
        _ => false,
    }
}
