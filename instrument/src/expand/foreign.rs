//! Code that may run where no call is written, by the types of what is there:
//! a comparison, a dereference, a drop, and methods that most types have and
//! that wait for nobody there.
//!
//! The library asks the type. Code of a type's own is announced by its name, as
//! calls are, and answers to it if it is tracked.
//!
//! Operators are in [`super::operated`], dereferences and indices in
//! [`super::steps`].

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, ExprCall, ExprMethodCall, Local, Pat, Stmt, parse_quote, parse_quote_spanned};

use super::attributes;
use super::body::Body;
use super::calls::is_inert;
use super::chain::is_place;
use super::ends::may_matter;
use super::guards::drops;
use super::place::{argument, bare, hygienic, ident, library};
use super::steps::askable;
use super::sync::simple;

/// Methods that do the same with what is in a value.
pub const EACH: &[&str] = &["clone", "to_string", "to_owned", "min", "max"];

/// Methods that drop a part of the value.
const ENDS: &[&str] = &["ok", "err", "unwrap_or"];

/// What may run code of a type's own: see the library's `Deed`.
pub fn deed(of: &str) -> &'static str {
    if EACH.contains(&of) {
        "Each"
    } else if ENDS.contains(&of) {
        "Operator"
    } else {
        "Method"
    }
}

impl Body<'_> {
    /// Tells that code of this place's type may run, as a call of this name.
    ///
    /// Input: `PLACE`, `Each`, `eq`. Output:
    ///
    /// ```text
    /// { let step = 'asks: { …; Runs::at(&raw const PLACE) }; step.runs(Deed::Each, hash("eq")) }
    /// ```
    ///
    /// None where it cannot be asked: of a variant.
    pub fn runs(&self, place: &Expr, deed: &str, name: &str) -> Option<TokenStream> {
        // What `None` is, or a constant of a type, what is beside it says.
        if let Expr::Path(path) = bare(place)
            && is_variant(path)
        {
            return None;
        }
        let told = self.deed(place, deed, name);
        Some(self.asks_receiver(place, &quote!(runs(#told))))
    }

    fn deed(&self, at: &Expr, deed: &str, name: &str) -> TokenStream {
        let krate = &self.context.krate;
        let span = hygienic(at.span());
        let deed = ident(deed);
        quote_spanned! {span=>
            #krate::__private::Deed::#deed, const { #krate::__private::hash(#name) }
        }
    }

    /// Input: `PLACE.clone()`, `CALL().clone()`. Output:
    ///
    /// ```text
    /// second({ RUNS of PLACE }, PLACE.clone())
    /// asked(CALL(), Deed::Each, hash("clone")).clone()
    /// ```
    pub fn inert_method(&mut self, expression: &mut Expr, original: &ExprMethodCall) {
        let name = original.method.to_string();
        if !is_inert(original) {
            return;
        }
        if simple(&original.receiver) {
            if !original.args.iter().all(|argument| self.is_quiet(argument)) {
                self.asks_of(expression, &original.receiver, &name);
                return;
            }
            let runs = self.runs(&original.receiver, deed(&name), &name);
            self.before(expression, runs);
        } else if let Some(place) = borrowed(&original.receiver) {
            self.asks_of(expression, place, &name);
        } else if is_place(&original.receiver) && askable(&original.receiver) {
            self.asks_of(expression, &original.receiver, &name);
        } else if may_pass(&original.receiver)
            && let Expr::MethodCall(call) = expression
        {
            self.asks_returned(&mut call.receiver, deed(&name), &name);
        }
    }

    /// Input: `CALL()`. Output: `asked(CALL(), DEED, hash("name"))`.
    pub fn asks_returned(&self, value: &mut Expr, deed: &str, name: &str) {
        let told = self.deed(value, deed, name);
        *value = argument(value);
        *value = library(
            &self.context.krate,
            "asked",
            quote!(#value, #told),
            &value.clone(),
        );
    }

    /// A closure of which nobody knows who calls it: that may have learned of others
    /// before, and may publish what it does, once it is left.
    ///
    /// Input: `|x| BODY`. Output: `|x| { let lent = Entered::by_any(); BODY }`.
    pub fn called_back(&self, body: &mut Expr) {
        let krate = &self.context.krate;
        let span = hygienic(body.span());
        let lent = ident("__leakcheck_lent");
        let lent = quote_spanned!(span=> let #lent = #krate::__private::Entered::by_any(););
        match body {
            Expr::Block(block) if block.label.is_none() && block.attrs.is_empty() => {
                block.block.stmts.insert(0, parse_quote!(#lent));
            }
            body => *body = parse_quote_spanned!(span=> { #lent #body }),
        }
    }

    /// What goes before `PLACE = VALUE`: what was there is dropped.
    ///
    /// Input: `PLACE = VALUE`. Output, where the place is computed:
    /// `PLACE = own.temporary(VALUE)`, which is of the same type.
    pub fn overwritten(
        &mut self,
        place: &Expr,
        value: &mut Expr,
        whole: &Expr,
    ) -> Vec<TokenStream> {
        if !may_matter(whole) {
            return Vec::new();
        }
        if simple(place) {
            return Vec::from_iter(self.drops(place));
        }
        if let Some(own) = self.new_own() {
            let told = quote!(&#own, #value);
            *value = library(&self.context.krate, "Own::temporary", told, &value.clone());
        }
        Vec::new()
    }

    /// Input: `drop(VALUE)`. Output: `drop(dropping(VALUE))`.
    pub fn drops_arguments(&self, call: &mut ExprCall) {
        for value in &mut call.args {
            let told = quote!(#value);
            *value = library(&self.context.krate, "dropping", told, &value.clone());
        }
    }

    /// A statement that drops a value.
    ///
    /// Input: `VALUE;`, `let _ = VALUE;`. Output: `dropping(VALUE);`.
    pub fn dropped_at_once(&mut self, statement: &mut Stmt) {
        // They stay in front of what the value becomes.
        let mut attributes = dropped_value(statement).map_or_else(Vec::new, attributes::take);
        let conditional = self.conditional;
        self.conditional |= attributes.iter().any(attributes::is_condition);
        self.visit_stmt_mut(statement);
        self.conditional = conditional;
        let is_bound = matches!(statement, Stmt::Local(_));
        let Some(value) = dropped_value(statement) else {
            return;
        };
        *value = argument(value);
        let told = quote!(#value);
        *value = library(&self.context.krate, "dropping", told, &value.clone());
        if !is_bound {
            // What a call does not return from, this is not called after.
            let span = hygienic(value.span());
            let quiet = quote_spanned!(span=> allow(unreachable_code));
            attributes.push(parse_quote!(#[#quiet]));
        }
        attributes::put(attributes, value);
    }
}

/// The value that a statement drops.
fn dropped_value(statement: &mut Stmt) -> Option<&mut Expr> {
    match statement {
        Stmt::Expr(value, Some(_)) => Some(value),
        Stmt::Local(Local {
            pat: Pat::Wild(_),
            init: Some(init),
            ..
        }) if init.diverge.is_none() => Some(&mut *init.expr),
        _ => None,
    }
}

/// True if a statement drops a value that is made there, or that a call returns.
pub fn drops_a_value(statement: &Stmt) -> bool {
    if drops(statement).is_some() {
        return false;
    }
    let mut copy = statement.clone();
    dropped_value(&mut copy).is_some_and(|value| is_left(bare(value)))
}

/// True for what leaves a value that may have been made in it.
fn is_left(value: &Expr) -> bool {
    match value {
        Expr::Unsafe(_)
        | Expr::Match(_)
        | Expr::Loop(_)
        | Expr::Tuple(_)
        | Expr::Array(_)
        | Expr::Repeat(_)
        | Expr::Range(_)
        | Expr::Struct(_)
        | Expr::Cast(_)
        | Expr::Closure(_)
        | Expr::Async(_)
        | Expr::Const(_)
        | Expr::Await(_)
        | Expr::Try(_) => true,
        Expr::Path(path) => is_variant(path),
        Expr::Block(block) => block.label.is_none() && block.block.stmts.len() > 1,
        Expr::If(branches) => branches.else_branch.is_some(),
        other => is_returned(other),
    }
}

/// True if there is an `unsafe` block in a closure's body, not in another's.
pub fn has_unsafe(body: &Expr) -> bool {
    struct Unsafe(bool);

    impl<'ast> Visit<'ast> for Unsafe {
        fn visit_expr_unsafe(&mut self, _: &'ast syn::ExprUnsafe) {
            self.0 = true;
        }

        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
        fn visit_item(&mut self, _: &'ast syn::Item) {}
    }

    let mut found = Unsafe(false);
    found.visit_expr(body);
    found.0
}

/// `None`, `Poll::Pending`, `State::FREE`.
pub fn is_variant(path: &syn::ExprPath) -> bool {
    let mut names = path
        .path
        .segments
        .iter()
        .rev()
        .map(|part| part.ident.to_string());
    let is_type = |name: &String| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.contains(|c: char| c.is_ascii_lowercase())
    };
    names.next().is_some_and(|last| is_type(&last))
        || names
            .next()
            .is_some_and(|owner| owner.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// True for what may go through a function as it is: what a call returns, or a
/// future, or a block.
pub fn may_pass(expression: &Expr) -> bool {
    match expression {
        Expr::Paren(inner) => may_pass(&inner.expr),
        Expr::Await(_)
        | Expr::Try(_)
        | Expr::Unsafe(_)
        | Expr::Block(_)
        | Expr::If(_)
        | Expr::Match(_)
        | Expr::Binary(_)
        | Expr::Unary(_) => !is_place(expression),
        other => is_returned(other),
    }
}

/// The place that is borrowed here: `x` of `(&&x)`.
fn borrowed(expression: &Expr) -> Option<&Expr> {
    match expression {
        Expr::Paren(inner) => borrowed(&inner.expr),
        Expr::Reference(inner) => {
            borrowed(&inner.expr).or_else(|| simple(&inner.expr).then_some(&*inner.expr))
        }
        _ => None,
    }
}

/// True for what a call returns.
pub const fn is_returned(expression: &Expr) -> bool {
    matches!(expression, Expr::Call(_) | Expr::MethodCall(_))
}
