//! References that may be coerced by a `Deref` of the program's own: what a call
//! is given, what a field, an element or a variable begins with, what is
//! assigned or returned, and what a block ends with.
//!
//! Where a place has a type before it is used, the library asks whether that has
//! a `Deref`; else the type's name says whether it may. What a tracked function
//! returns, it tells itself.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Expr, ReturnType, Signature, Type};

use super::body::Body;
use super::calls::is_inert;
use super::chain::{is_place, upper_root};
use super::place::{bare, hygienic};
use super::steps::askable;
use super::typed::root as name_of;

impl Body<'_> {
    /// Asks about what may be coerced where it stands, unless code that is not
    /// known runs there anyway.
    pub fn coerced<'e>(&self, values: impl IntoIterator<Item = &'e Expr>) -> Vec<TokenStream> {
        if self.opaque {
            return Vec::new();
        }
        let values = values.into_iter();
        values.filter_map(|value| self.coercion(value)).collect()
    }

    /// As [`Body::coerced`], before the statement.
    pub fn coerced_before<'e>(&mut self, values: impl IntoIterator<Item = &'e Expr>) {
        let asks = self.coerced(values);
        self.asks_at_least(asks, "deref");
    }

    /// As [`Body::coerced_before`], of a struct's fields. Of one that may not be
    /// there nothing can be asked.
    pub fn coerced_fields(&mut self, made: &syn::ExprStruct) {
        let (always, perhaps): (Vec<_>, Vec<_>) =
            made.fields.iter().partition(|field| field.attrs.is_empty());
        let asks = self.coerced(perhaps.into_iter().map(|field| &field.expr));
        if !asks.is_empty() {
            self.asks_at_least(vec![quote!(true)], "deref");
        }
        self.coerced_before(always.into_iter().map(|field| &field.expr));
    }

    fn coercion(&self, value: &Expr) -> Option<TokenStream> {
        match value {
            Expr::Paren(inner) => self.coercion(&inner.expr),
            Expr::Reference(reference) => {
                let place = bare(&reference.expr);
                if matches!(place, Expr::Reference(_)) {
                    self.coercion(place)
                } else if !is_place(place) || !reference.attrs.is_empty() {
                    None
                } else if !askable(place) {
                    // What it is computed by may not say what it is.
                    Some(quote!(true))
                } else if self.knows_before(place) {
                    self.derefs(place)
                } else if self.typed.is_plain(place) {
                    None
                } else {
                    // Its type may only be known by what it is given to; behind a
                    // guard or a pointer anything may be.
                    self.does(place, "Method")
                }
            }
            place if is_place(place) => {
                if self.typed.is_plain(place)
                    || !askable(place)
                    || has_attributes(place)
                    || !self.is_variable(place)
                {
                    return None;
                }
                let coerces = self.does(place, "Coercion")?;
                if !self.says_its_type(place) {
                    return Some(coerces);
                }
                let derefs = self.derefs(place)?;
                Some(quote!((#coerces && #derefs)))
            }
            // A reference that was in something.
            Expr::MethodCall(call) if is_inert(call) => {
                let within = within(&call.receiver)?;
                self.does(within, "Operator")
            }
            _ => None,
        }
    }

    /// True if the type of a place is written where it is declared.
    fn says_its_type(&self, place: &Expr) -> bool {
        match place {
            Expr::Paren(inner) => self.says_its_type(&inner.expr),
            Expr::Field(field) => self.says_its_type(&field.base),
            Expr::Path(path) => path.path.is_ident("self") || self.typed.declares(place),
            _ => false,
        }
    }

    /// True for a place that begins with a variable, and not with a function or
    /// with a constant of a type.
    fn is_variable(&self, place: &Expr) -> bool {
        upper_root(place).is_some()
            || name_of(place)
                .is_some_and(|name| name == "self" || self.typed.times(&name.to_string()) > 0)
    }

    /// True if the type of a place is known before it is used.
    fn knows_before(&self, place: &Expr) -> bool {
        match place {
            Expr::Path(path) if path.path.is_ident("self") => true,
            Expr::Path(path) => {
                self.typed.surely_knows(place)
                    || path.path.segments.last().is_some_and(|last| {
                        last.ident
                            .to_string()
                            .starts_with(|c: char| c.is_uppercase())
                    })
            }
            // What is stepped from is known, but not always what it holds.
            Expr::Field(field) => self.knows_before(&field.base),
            _ => false,
        }
    }

    /// Whether what a function returns may be coerced by code of its type's own;
    /// none if it returns no reference.
    pub fn lends(&self, signature: &Signature) -> Option<TokenStream> {
        let ReturnType::Type(_, returned) = &signature.output else {
            return None;
        };
        let mut looks = Looks::default();
        looks.visit_type(returned);
        if !looks.refers {
            return None;
        }
        if looks.is_opaque {
            return Some(quote!(true));
        }
        let krate = &self.context.krate;
        let span = hygienic(returned.span());
        let runs = |of: &Type, deed: TokenStream| {
            let does = quote_spanned!(span=> does(#krate::__private::Deed::#deed));
            quote_spanned!(span=> #krate::__private::Runs::<#of>::unasked().#does)
        };
        let Type::Reference(reference) = &**returned else {
            return Some(runs(returned, quote!(Operator)));
        };
        let of = bare_type(&reference.elem);
        let generic = signature.generics.type_params();
        let names = generic.map(|parameter| parameter.ident.to_string());
        let is_generic = names.into_iter().any(|name| looks.names.contains(&name))
            || looks
                .names
                .iter()
                .any(|name| name.len() == 1 || name == "Self");
        let derefs = quote_spanned!(span=> #krate::__private::Step::<#of>::unasked().derefs());
        Some(if is_generic {
            let may = runs(of, quote!(Deref));
            quote_spanned!(span=> #derefs || #may)
        } else {
            derefs
        })
    }
}

/// A type without parentheses around it: between angle brackets it needs none,
/// and a lint would say so.
fn bare_type(of: &Type) -> &Type {
    match of {
        Type::Paren(inner) => bare_type(&inner.elem),
        other => other,
    }
}

fn has_attributes(place: &Expr) -> bool {
    place.to_token_stream().into_iter().next().is_some_and(
        |token| matches!(token, proc_macro2::TokenTree::Punct(first) if first.as_char() == '#'),
    )
}

/// What a value was in that inert methods take out: `x` of `x.as_ref().unwrap()`.
fn within(value: &Expr) -> Option<&Expr> {
    match value {
        Expr::Paren(inner) => within(&inner.expr),
        Expr::MethodCall(call) if is_inert(call) => within(&call.receiver),
        place if is_place(place) && askable(place) => Some(place),
        _ => None,
    }
}

/// True for a type of which a part has no name.
pub fn is_opaque(of: &Type) -> bool {
    let mut looks = Looks::default();
    looks.visit_type(of);
    looks.is_opaque
}

/// What there is in a type.
#[derive(Default)]
struct Looks {
    /// A reference.
    refers: bool,
    /// What has no name here.
    is_opaque: bool,
    names: Vec<String>,
}

impl<'ast> Visit<'ast> for Looks {
    fn visit_type(&mut self, of: &'ast Type) {
        match of {
            Type::Reference(_) => self.refers = true,
            Type::ImplTrait(_) | Type::Infer(_) | Type::Macro(_) => self.is_opaque = true,
            // What it returns is not returned here.
            Type::BareFn(_) => return,
            _ => {}
        }
        visit::visit_type(self, of);
    }

    fn visit_ident(&mut self, name: &'ast syn::Ident) {
        self.names.push(name.to_string());
    }

    fn visit_lifetime(&mut self, _: &'ast syn::Lifetime) {}
}
