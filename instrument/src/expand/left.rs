//! What is left alone, and counted: the library is told of it once the
//! function runs.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{Block, Expr, Signature, Stmt, parse_quote, parse_quote_spanned};

use super::Context;
use super::body::Body;
use super::place::{hygienic, ident};
use super::variable::before_main;

impl Body<'_> {
    /// This is left alone.
    pub fn alone(&mut self, what: &impl ToTokens, why: &str) {
        self.alone_as(what, why, None);
    }

    pub fn alone_as(&mut self, what: &impl ToTokens, why: &str, text: Option<&str>) {
        let site = self.context.site_with(what, &self.function, false, text);
        self.left.push(quote!((#site, #why)));
    }

    /// As [`Body::alone`], for what is left alone when the program runs.
    pub fn alone_here(&self, what: &Expr, why: &str) -> TokenStream {
        let site = self.site(what);
        let krate = &self.context.krate;
        let span = hygienic(what.span());
        let left = ident("__LEAKCHECK_LEFT");
        quote_spanned! {span=>
            static #left: #krate::__private::Left =
                #krate::__private::Left::new(&[(#site, #why)]);
            #left.here();
        }
    }

    /// Tells what is left alone in the function, once it is entered.
    pub fn all_left(&self, block: &Block) -> Option<Stmt> {
        if self.left.is_empty() {
            return None;
        }
        let krate = &self.context.krate;
        let span = hygienic(block.span());
        let left = ident("__LEAKCHECK_LEFT");
        let all = &self.left;
        Some(parse_quote_spanned! {span=> {
            static #left: #krate::__private::Left =
                #krate::__private::Left::new(&[#(#all),*]);
            #left.here();
        }})
    }
}

/// A `const fn` can call nothing that is not const: what is unsafe in it is left
/// alone, and counted before `main`.
pub fn constant(context: &Context, signature: &Signature, block: &mut Block) {
    struct Unsafe(bool);
    impl<'ast> Visit<'ast> for Unsafe {
        fn visit_expr_unsafe(&mut self, _: &'ast syn::ExprUnsafe) {
            self.0 = true;
        }
    }
    let mut found = Unsafe(signature.unsafety.is_some());
    found.visit_block(block);
    if found.0 {
        let name = &signature.ident;
        let counted = Body::new(context, signature, false).alone_here(&parse_quote!(#name), CONST);
        let counted = before_main(&counted);
        block
            .stmts
            .insert(0, Stmt::Item(syn::Item::Verbatim(counted)));
    }
}

/// See [`constant`].
const CONST: &str = "a `const fn` can call nothing that is not const";
/// See [`Body::captured`].
pub const CAPTURED: &str = "its format names it";
/// See [`Body::looked_into`].
pub const TAKEN_APART: &str = "a pattern takes it apart";
/// See [`Body::asserted`].
pub const ITS_OWN_MESSAGE: &str = "it is read only sometimes, and the text of the condition is the message: give the assertion one of its own";
/// See [`Body::macro_`].
pub const UNSEEN_MACRO: &str = "what a macro makes is not seen";
