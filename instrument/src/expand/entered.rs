//! A function as a whole: what goes before its body, and what its callers are
//! told.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Block, Signature, Stmt, parse_quote_spanned};

use super::body::Body;
use super::guards;
use super::handles::Handles;
use super::place::{hygienic, ident};
use super::typed::Typed;

impl Body<'_> {
    /// Rewrites the whole body.
    ///
    /// Input: `{ BODY }`. Output: who calls is asked first.
    ///
    /// ```text
    /// { let entered = ::leakcheck::__private::entered({ fn here() {} here }); BODY }
    /// { let entered = entered_of::<Self, _>(const { hash("name") }, { fn here() {} here }); BODY }
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
        let enters = self.enters(signature, block);
        let krate = &self.context.krate;
        let wrapped = self.context.wrapped;
        let entered = if wrapped && signature.asyncness.is_some() {
            let span = hygienic(block.span());
            let guard = ident("__leakcheck_opaque");
            parse_quote_spanned!(span=> let #guard = #krate::__private::Opaque::begin();)
        } else if wrapped || self.name == "drop" {
            // What a macro has put around it runs between the call and the entry; what
            // a destructor sees came by the last drop of something shared.
            let span = hygienic(block.span());
            let entered = ident("__leakcheck_entered");
            parse_quote_spanned!(span=> let #entered = #krate::__private::Entered::by_any();)
        } else if signature.asyncness.is_some() {
            // It is left, and entered again, at each await, which is told.
            let span = hygienic(block.span());
            if let Some(lends) = self.lends(signature) {
                let lent = ident("__leakcheck_lent");
                let lent = parse_quote_spanned! {span=>
                    let #lent = #krate::__private::Entered::awaited().lending(#lends);
                };
                block.stmts.insert(0, lent);
            }
            parse_quote_spanned! {span=>
                ::core::mem::drop(#enters);
            }
        } else {
            let span = hygienic(block.span());
            let entered = ident("__leakcheck_entered");
            let lends = self.lends(signature);
            let lending = lends.map(|lends| quote_spanned!(span=> .lending(#lends)));
            parse_quote_spanned!(span=> let #entered = #enters #lending;)
        };
        block.stmts.insert(0, entered);
    }

    /// What tells that this function is entered.
    ///
    /// A function is known by one inside of it, which says of what trait it is, and
    /// one of a type by the type, too.
    fn enters(&self, signature: &Signature, at: &impl syn::spanned::Spanned) -> TokenStream {
        let krate = &self.context.krate;
        let span = hygienic(at.span());
        let here = ident("__leakcheck_here");
        let here = quote_spanned!(span=> { fn #here() {} #here });
        if signature.receiver().is_some() || self.context.is_of_type {
            let name = &self.name;
            let hook = ident(self.context.of_trait.unwrap_or("entered_of"));
            return quote_spanned! {span=>
                #krate::__private::#hook::<Self, _>(
                    const { #krate::__private::hash(#name) },
                    #here,
                )
            };
        }
        quote_spanned!(span=> #krate::__private::entered(#here))
    }

    /// What goes into a closure that is called by this name.
    pub fn entered_closure(&self, name: &str, at: &impl syn::spanned::Spanned) -> Stmt {
        let krate = &self.context.krate;
        let span = hygienic(at.span());
        let entered = ident("__leakcheck_entered");
        let name = self.closure_name(name);
        parse_quote_spanned! {span=>
            let #entered =
                #krate::__private::entered_closure(const { #krate::__private::hash(#name) });
        }
    }

    /// Code that is not tracked has run.
    pub fn mark(&self, at: &impl syn::spanned::Spanned) -> Stmt {
        let krate = &self.context.krate;
        let span = hygienic(at.span());
        parse_quote_spanned!(span=> #krate::__private::opaque();)
    }
}
