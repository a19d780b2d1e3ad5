//! Tests: the check at the end.

use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Block, ReturnType, Signature, parse_quote_spanned};

use super::Context;
use super::place::hygienic;

/// `#[test]`, `#[tokio::test]`, `#[smol_potat::test]` and the like.
pub fn is_test(attr: &Attribute) -> bool {
    let last = attr.path().segments.last();
    last.is_some_and(|segment| segment.ident == "test")
}

/// Makes the body of a test check what is left at its end.
///
/// Input, sync:
///
/// ```text
/// { BODY }
/// ```
///
/// Output: the check runs when all that the body owns is dropped.
///
/// ```text
/// { let test = ::leakcheck::__private::Test::begin(); BODY }
/// ```
///
/// Output, async: the check lets the executor run what can still end.
///
/// ```text
/// { ::leakcheck::__private::test_body(async move { BODY }).await }
/// ```
pub fn wrap(context: &Context, signature: &Signature, block: &mut Block) {
    let krate = &context.krate;
    let span = hygienic(signature.ident.span());
    let statements = std::mem::take(&mut block.stmts);
    if signature.asyncness.is_none() {
        let begin = quote_spanned!(span=> let __leakcheck_test = #krate::__private::Test::begin(););
        *block = parse_quote_spanned!(block.span()=> { #begin #(#statements)* });
        return;
    }
    // What `?` and `return` in the block return is not inferred from outside.
    let returned = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, returned) => quote!(#returned),
    };
    *block = parse_quote_spanned! {span=> {
        #krate::__private::test_body(async move {
            if false {
                return #krate::__private::returned::<#returned>();
            }
            #(#statements)*
        }).await
    }};
}
