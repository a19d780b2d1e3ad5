//! Lints: a rewritten body is not told what the one that was written would not be.
//!
//! What lints say of the code as it was written they say where tracking is off.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use syn::visit_mut::VisitMut;
use syn::{Attribute, ImplItemFn, Item, Meta, parse_quote};

/// Allows, in a function, what lints see in the calls that were added, and in
/// the statements that these make of expressions.
///
/// The attribute comes last of those on the function, so that it holds.
pub fn allow(attributes: &mut Vec<Attribute>) {
    let allow = Ident::new(ALLOW, Span::call_site());
    attributes.push(parse_quote! {
        #[#allow(
            unreachable_code,
            clippy::branches_sharing_code,
            clippy::cast_sign_loss,
            clippy::debug_assert_with_mut_call,
            clippy::diverging_sub_expression,
            clippy::explicit_auto_deref,
            clippy::explicit_deref_methods,
            clippy::inline_always,
            clippy::items_after_statements,
            clippy::or_fun_call,
            clippy::significant_drop_tightening,
            clippy::unit_arg,
            clippy::used_underscore_binding
        )]
    });
}

/// The same, on an `impl` block: of some traits there is one expression that a
/// method should be.
pub fn allow_around(attributes: &mut Vec<Attribute>) {
    let allow = Ident::new(ALLOW, Span::call_site());
    attributes.push(parse_quote! {
        #[#allow(
            clippy::non_canonical_clone_impl,
            clippy::non_canonical_partial_ord_impl
        )]
    });
}

const ALLOW: &str = "allow";

/// Takes expectations back: a lint that looks at the form of the code may find
/// nothing in the form that it has now, and what is expected and not found is a
/// warning.
///
/// Input: `expect(LINTS)`, in an attribute anywhere in an item. Output:
/// `allow(LINTS)`.
pub fn unexpect(item: &mut Item) {
    Expectations.visit_item_mut(item);
}

/// The same, of a method that stands alone.
pub fn unexpect_method(method: &mut ImplItemFn) {
    Expectations.visit_impl_item_fn_mut(method);
}

struct Expectations;

impl VisitMut for Expectations {
    fn visit_attribute_mut(&mut self, attribute: &mut Attribute) {
        match &mut attribute.meta {
            Meta::List(list) if list.path.is_ident("expect") => {
                list.path = Ident::new(ALLOW, list.path.segments[0].ident.span()).into();
            }
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                list.tokens = allowed(std::mem::take(&mut list.tokens));
            }
            Meta::Path(_) | Meta::List(_) | Meta::NameValue(_) => {}
        }
    }
}

/// Input: `CONDITION, expect(LINTS)`. Output: `CONDITION, allow(LINTS)`.
fn allowed(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut begins = false;
    let mut out = TokenStream::new();
    while let Some(token) = tokens.next() {
        let is_list = |next: &TokenTree| matches!(next, TokenTree::Group(list) if list.delimiter() == Delimiter::Parenthesis);
        let token = match token {
            TokenTree::Ident(name)
                if begins && name == "expect" && tokens.peek().is_some_and(is_list) =>
            {
                Ident::new(ALLOW, name.span()).into()
            }
            other => other,
        };
        begins = matches!(&token, TokenTree::Punct(comma) if comma.as_char() == ',');
        out.extend([token]);
    }
    out
}
