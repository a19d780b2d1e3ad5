//! References to places behind what may be a raw pointer, told of once they are there.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, parse_quote_spanned};

use super::body::Body;
use super::place::{hygienic, ident};
use super::way::Use;

impl Body<'_> {
    /// No function is given the reference: the compiler would want all that is behind it
    /// to live as long.
    ///
    /// Input: `&mut PLACE`. Output:
    ///
    /// ```text
    /// (match (SITE, Reach::known(REACH), &mut PLACE) {
    ///     (s, reach, r) => {
    ///         if reach.is_shared() { Whole::new(&raw const *r).write(s) }
    ///         r
    ///     }
    /// })
    /// ```
    pub fn borrowed(
        &self,
        expression: &mut Expr,
        used: Use,
        site: &TokenStream,
        reach: &TokenStream,
    ) {
        let krate = &self.context.krate;
        let span = hygienic(expression.span());
        let [bound, at, far] = [
            "__leakcheck_borrowed",
            "__leakcheck_site",
            "__leakcheck_reach",
        ]
        .map(ident);
        let place: Expr = parse_quote_spanned!(span=> *#bound);
        let tell = self.tell(&quote!(#at), &place, used, false);
        *expression = Expr::Verbatim(quote_spanned! {span=>
            (match (#site, #krate::__private::Reach::known(#reach), #expression) {
                (#at, #far, #bound) => {
                    if #far.is_shared() {
                        #tell
                    }
                    #bound
                }
            })
        });
    }
}
