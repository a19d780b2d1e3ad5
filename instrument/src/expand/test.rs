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

/// True for what may be a test whose `#[test]` stands above `#[track]`: the
/// compiler has taken it off by now.
fn may_be_test(signature: &Signature) -> bool {
    signature.inputs.is_empty()
        && signature.generics.params.is_empty()
        && signature.asyncness.is_none()
        && signature.unsafety.is_none()
        && signature.abi.is_none()
}

/// Makes the body of what may be a test check at its end, if it is run as one.
///
/// Input: `{ BODY }`. Output:
///
/// ```text
/// { #[cfg(test)] let test = { static TEST: MaybeTest = MaybeTest::new(PATH); TEST.begin() }; BODY }
/// ```
pub fn ask(context: &Context, signature: &Signature, block: &mut Block) {
    if !may_be_test(signature) || !context.is_in_module() {
        return;
    }
    let krate = &context.krate;
    let span = hygienic(signature.ident.span());
    let name = signature.ident.to_string();
    block.stmts.insert(
        0,
        parse_quote_spanned! {span=>
            #[cfg(test)]
            let __leakcheck_test = {
                static __LEAKCHECK_TEST: #krate::__private::MaybeTest =
                    #krate::__private::MaybeTest::new(
                        #krate::__private::core::concat!(#krate::__private::core::module_path!(), "::", #name)
                    );
                __LEAKCHECK_TEST.begin()
            };
        },
    );
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
