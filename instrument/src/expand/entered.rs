//! A function as a whole: what goes before its body, and what its callers are
//! told.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Block, Expr, Signature, Stmt, parse_quote_spanned};

use super::body::Body;
use super::guards;
use super::handles::Handles;
use super::place::{hygienic, ident, library};
use super::typed::Typed;

impl Body<'_> {
    /// Rewrites the whole body.
    ///
    /// Input: `{ BODY }`. Output: who calls is asked first.
    ///
    /// ```text
    /// { let entered = ::leakcheck::__private::entered(const { hash("name") }); BODY }
    /// ```
    pub fn function(&mut self, signature: &Signature, block: &mut Block) {
        if self.is_test {
            guards::check_at_the_end(block);
        }
        self.typed = Typed::of(signature, block);
        self.handles = Handles::of(block);
        let arguments = self.sees_arguments(signature, block);
        self.visit_block_mut(block);
        block.stmts.splice(0..0, arguments);
        if let Some(left) = self.all_left(block) {
            block.stmts.insert(0, left);
        }
        // What a destructor sees came by the last drop of something shared.
        let entered = if self.name == "drop" {
            let krate = &self.context.krate;
            let span = hygienic(block.span());
            let opaque = ident("__leakcheck_opaque");
            parse_quote_spanned!(span=> let #opaque = #krate::__private::Opaque::begin();)
        } else if signature.asyncness.is_some() {
            // It is left, and entered again, at each await, which is told.
            let krate = &self.context.krate;
            let span = hygienic(block.span());
            let name = &self.name;
            if let Some(lends) = self.lends(signature) {
                let lent = ident("__leakcheck_lent");
                let lent = parse_quote_spanned! {span=>
                    let #lent = #krate::__private::Entered::awaited().lending(#lends);
                };
                block.stmts.insert(0, lent);
            }
            parse_quote_spanned! {span=>
                ::core::mem::drop(
                    #krate::__private::entered(const { #krate::__private::hash(#name) })
                );
            }
        } else {
            match self.lends(signature) {
                Some(lends) => self.entered_lending(&lends, block),
                None => self.entered(&self.name, block),
            }
        };
        block.stmts.insert(0, entered);
    }

    /// As [`Body::entered`], of what returns a reference.
    fn entered_lending(&self, lends: &TokenStream, at: &impl syn::spanned::Spanned) -> Stmt {
        let krate = &self.context.krate;
        let span = hygienic(at.span());
        let entered = ident("__leakcheck_entered");
        let name = &self.name;
        parse_quote_spanned! {span=>
            let #entered = #krate::__private::entered(const { #krate::__private::hash(#name) })
                .lending(#lends);
        }
    }

    pub fn entered(&self, name: &str, at: &impl syn::spanned::Spanned) -> Stmt {
        let krate = &self.context.krate;
        let span = hygienic(at.span());
        let entered = ident("__leakcheck_entered");
        parse_quote_spanned! {span=>
            let #entered = #krate::__private::entered(const { #krate::__private::hash(#name) });
        }
    }

    /// Code that is not tracked has run.
    pub fn mark(&self, at: &impl syn::spanned::Spanned) -> Stmt {
        let krate = &self.context.krate;
        let span = hygienic(at.span());
        parse_quote_spanned!(span=> #krate::__private::opaque();)
    }

    /// Announces a call, where each call of its name is.
    ///
    /// Input: `f(X)`. Output: `second(calls(const { hash("f") }), f(X))`.
    pub fn announce(&self, expression: &mut Expr, name: &str) {
        if self.each.as_deref() != Some(name) {
            return;
        }
        let krate = &self.context.krate;
        let span = hygienic(expression.span());
        let told = quote_spanned! {span=>
            #krate::__private::calls(const { #krate::__private::hash(#name) }), #expression
        };
        *expression = library(krate, "second", told, expression);
    }
}
