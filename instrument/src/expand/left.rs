//! What is left alone, and counted: the library is told of it once the
//! function runs.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Block, Expr, Stmt, parse_quote_spanned};

use super::body::Body;
use super::chain::{self, Chain, Root};
use super::place::{hygienic, ident};

impl Body<'_> {
    /// A place that a pattern takes apart: which parts are read, and whether
    /// they are moved, only the compiler knows.
    pub fn looked_into(&mut self, place: &mut Expr) {
        if self.unsafety && chain::is_place(place) {
            let chain = Chain::of(self.context, place);
            let whole = place.clone();
            match &chain.root {
                Root::Static(_) => self.alone(&whole, TAKEN_APART),
                Root::Pointer(pointer) if self.typed.is_box(pointer) => {}
                Root::Pointer(_) | Root::Computed => self.alone(&whole, TAKEN_APART),
                Root::Other => {}
            }
        }
        self.place(place);
    }

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

/// See [`Body::looked_into`].
const TAKEN_APART: &str = "a pattern takes it apart";
/// See [`Body::asserted`].
pub const ITS_OWN_MESSAGE: &str =
    "the text of the condition is the message: give the assertion one of its own";
/// See [`Body::macro_`].
pub const UNSEEN_MACRO: &str = "what a macro makes is not seen";
