//! The arguments of std's macros.

use syn::punctuated::Punctuated;
use syn::{Expr, Macro, Token};

/// The arguments of a macro that takes expressions between commas.
pub fn arguments(called: &Macro) -> Option<Punctuated<Expr, Token![,]>> {
    called
        .parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        .ok()
}
