//! What a type, and what a variable begins with, say as they are written.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::visit::{self, Visit};
use syn::{Expr, Ident, Type};

use super::macros::{arguments, is_known};

/// True for a type that may be written once more, as of a closure's argument.
pub fn may_stand_elsewhere(of: &Type) -> bool {
    struct Bound(bool);

    impl<'ast> Visit<'ast> for Bound {
        fn visit_type(&mut self, of: &'ast Type) {
            self.0 |= matches!(
                of,
                Type::ImplTrait(_) | Type::Infer(_) | Type::Macro(_) | Type::Verbatim(_)
            );
            visit::visit_type(self, of);
        }
    }

    let mut bound = Bound(false);
    bound.visit_type(of);
    !bound.0
}

/// True if there is a lifetime or a reference in it.
pub fn borrows(of: &Type) -> bool {
    fn any(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Punct(mark) => matches!(mark.as_char(), '\'' | '&'),
            TokenTree::Group(group) => any(group.stream()),
            TokenTree::Ident(_) | TokenTree::Literal(_) => false,
        })
    }
    any(of.to_token_stream())
}

/// True if a value that is made like this may hold a reference; of its variables
/// `does` says so.
pub fn holds(value: &Expr, does: &dyn Fn(&Ident) -> bool) -> bool {
    let any = |values: Vec<&Expr>| values.into_iter().any(|value| holds(value, does));
    match value {
        Expr::Lit(_) | Expr::Cast(_) | Expr::Binary(_) => false,
        Expr::Paren(inner) => holds(&inner.expr, does),
        Expr::Path(path) => path.path.get_ident().is_some_and(does),
        Expr::Struct(made) => {
            let fields = made.fields.iter().map(|field| &field.expr);
            any(fields.chain(made.rest.as_deref()).collect())
        }
        Expr::Tuple(made) => any(made.elems.iter().collect()),
        Expr::Array(made) => any(made.elems.iter().collect()),
        Expr::Repeat(made) => holds(&made.expr, does),
        Expr::Call(call) => any(call.args.iter().collect()),
        Expr::MethodCall(call) => holds(&call.receiver, does) || any(call.args.iter().collect()),
        Expr::Macro(called) if is_known(&called.mac) => {
            arguments(&called.mac).is_none_or(|all| any(all.iter().collect()))
        }
        _ => true,
    }
}

/// `Type { … }`, `Type(…)`, `[…]`, `(…, …)`
pub fn is_made(expression: &Expr) -> bool {
    match expression {
        Expr::Struct(_) | Expr::Lit(_) | Expr::Array(_) | Expr::Repeat(_) | Expr::Tuple(_) => true,
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => path.path.segments.last().is_some_and(|last| {
                let name = last.ident.to_string();
                name.starts_with(|c: char| c.is_ascii_uppercase())
            }),
            _ => false,
        },
        _ => false,
    }
}

/// `Type { … }`, `Type::new(…)`
pub fn is_made_by_a_type(expression: &Expr) -> bool {
    match expression {
        Expr::Struct(_) => true,
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => path.path.segments.iter().rev().nth(1).is_some_and(|owner| {
                let owner = owner.ident.to_string();
                owner.starts_with(|c: char| c.is_ascii_uppercase()) && owner != "Default"
            }),
            _ => false,
        },
        _ => false,
    }
}
