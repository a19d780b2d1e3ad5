//! Calls are announced: the library is told which function is about to be
//! called, and a tracked one answers to that.
//!
//! Input: `m::f(X)`. Output: `called(hash("m::f"), m::f)(X)`; where something
//! happens in `X`: `Own::called(&own, hash("m::f"), m::f)(X)`. How it is written
//! matters where the call is told of by that: see the library's `Callee`.
//!
//! A path may go through a function as it is, for a function's type has one
//! value. The name of a local variable may not, which is moved by that: of a
//! closure with a name that nothing else has in the function it is known that
//! it is called, and of all others nothing.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprCall, ExprMethodCall, ExprPath};

use super::body::Body;
use super::extended::may_keep;
use super::foreign::{deed, is_variant};
use super::operated::is_constant;
use super::place::{bare, hygienic, ident, library};
use super::temporaries::is_promoted;

impl Body<'_> {
    /// What a call names goes through a function that asks for it; what goes
    /// before the call, if it names a variable.
    pub fn names_callee(&mut self, call: &mut ExprCall, whole: &ExprCall) -> Option<TokenStream> {
        let Expr::Path(path) = &*whole.func else {
            return None;
        };
        if self.may_be_kept(whole) || self.extends && may_keep(whole) {
            if !self.surely_makes(path) {
                // Nothing can be asked: it may be any function of that name.
                self.asks_at_least(vec![quote!(true)], "…");
                self.new_own();
            }
            return None;
        }
        let krate = self.context.krate.clone();
        let span = hygienic(path.span());
        // What a pointer points to is told of in the argument.
        let is_pointer = self.unsafety && path.path.segments.iter().any(|part| part.ident == "ptr");
        let is_quiet = !is_pointer && whole.args.iter().all(|argument| self.is_quiet(argument));
        if let Some(name) = self.variable(path) {
            if is_quiet && self.typed.is_closure(&name) {
                let number = self.closure_name(&name);
                return Some(quote_spanned! {span=>
                    #krate::__private::calls(const { #krate::__private::hash(#number) })
                });
            }
            return Some(match self.new_own() {
                Some(own) => quote_spanned!(span=> #own.anything()),
                None => quote_spanned!(span=> #krate::__private::opaque()),
            });
        }
        let function = &*whole.func;
        let segments = path.path.segments.iter().rev().take(2);
        let mut names: Vec<String> = segments.map(|part| part.ident.to_string()).collect();
        names.reverse();
        let written = names.join("::");
        let written = quote_spanned!(span=> const { #krate::__private::hash(#written) });
        let own = if is_quiet { None } else { self.new_own() };
        *call.func = match own {
            Some(own) => library(
                &krate,
                "Own::called",
                quote!(&#own, #written, #function),
                function,
            ),
            None => library(&krate, "called", quote!(#written, #function), function),
        };
        None
    }

    /// The name of a local variable.
    fn variable(&self, path: &ExprPath) -> Option<String> {
        let name = path.path.get_ident()?.to_string();
        (self.typed.times(&name) > 0 || self.typed.may_bind(&name)).then_some(name)
    }

    /// What stands for a closure of this name in this function.
    pub fn closure_name(&self, name: &str) -> String {
        format!("{}::{name}", self.function)
    }

    /// True for what surely makes a value, and does nothing else.
    fn surely_makes(&self, path: &ExprPath) -> bool {
        path.path.segments.last().is_some_and(|last| {
            let name = last.ident.to_string();
            ["Some", "Ok", "Err", "Ready"].contains(&&*name) || self.context.structs.contains(&name)
        })
    }

    /// True for what may be borrowed for ever, as the compiler makes it: nothing
    /// may stand in it.
    fn may_be_kept(&self, call: &ExprCall) -> bool {
        let is_constructor = matches!(&*call.func, Expr::Path(path)
        if path.path.segments.last().is_some_and(|last| {
            last.ident.to_string().starts_with(|c: char| c.is_ascii_uppercase())
        }));
        self.borrowed
            && (is_constructor || is_promoted(call))
            && call.args.iter().all(|argument| self.is_kept(argument))
    }

    fn is_kept(&self, value: &Expr) -> bool {
        match value {
            Expr::Call(call) => self.may_be_kept(call),
            Expr::Paren(inner) => self.is_kept(&inner.expr),
            Expr::Reference(inner) => inner.mutability.is_none() && self.is_kept(&inner.expr),
            Expr::Tuple(made) => made.elems.iter().all(|part| self.is_kept(part)),
            Expr::Array(made) => made.elems.iter().all(|part| self.is_kept(part)),
            other => is_constant(other),
        }
    }

    /// Input: `PLACE.method(X)`. Output:
    ///
    /// ```text
    /// second({ …; Runs::at(&raw const PLACE).calls(hash("method")) }, PLACE.method(X))
    /// ```
    pub fn announces_method(&self, expression: &mut Expr, original: &ExprMethodCall) {
        if !self.announces(original) {
            return;
        }
        let krate = &self.context.krate;
        let span = hygienic(original.method.span());
        let name = original.method.to_string();
        let calls = quote_spanned! {span=>
            calls(const { #krate::__private::hash(#name) })
        };
        let told = self.asks_receiver(&original.receiver, &calls);
        self.before(expression, Some(told));
    }

    /// A method that most types have, of this place, where something happens in
    /// its arguments.
    pub fn asks_of(&mut self, expression: &mut Expr, place: &Expr, method: &str) {
        if matches!(bare(place), Expr::Path(path) if is_variant(path)) {
            return;
        }
        let krate = &self.context.krate;
        let span = hygienic(place.span());
        let deed = ident(deed(method));
        let does = quote_spanned! {span=> does_as(
            #krate::__private::Deed::#deed,
            const { #krate::__private::hash(#method) },
        )};
        let asks = self.asks_receiver(place, &does);
        self.ask(expression, vec![asks], method);
    }
}
