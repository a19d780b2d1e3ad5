//! Addresses of static variables, and which names are such variables'.

use std::collections::BTreeSet;

use quote::quote_spanned;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprArray, ExprCall, ExprTuple};

use super::body::Body;
use super::chain::{Chain, Root, root_of, upper_root};
use super::operators::is_assignment;
use super::place::hygienic;

impl Body<'_> {
    /// Input: `addr_of!(X)`, `&raw mut X`, of a static variable. Output: the
    /// library knows that the memory is never another variable's.
    ///
    /// ```text
    /// ::leakcheck::__private::second(static_at(&raw const X), addr_of!(X))
    /// ```
    pub fn address(&self, expression: &mut Expr) {
        let place = match expression {
            Expr::RawAddr(raw) => Some((*raw.expr).clone()),
            Expr::Macro(called) => address_of(&called.mac),
            _ => None,
        };
        let Some(place) = place.as_ref().and_then(root_of).cloned() else {
            return;
        };
        let place = Expr::Path(place);
        if !matches!(Chain::of(self.context, &place).root, Root::Static(_)) {
            return;
        }
        let krate = &self.context.krate;
        let span = hygienic(expression.span());
        self.before(
            expression,
            Some(quote_spanned!(span=> #krate::__private::static_at(&raw const #place))),
        );
    }
}

/// The upper-case names that a body assigns to or takes the address of.
pub fn written(block: &Block, names: &mut BTreeSet<String>) {
    struct Written<'n>(&'n mut BTreeSet<String>);

    impl<'ast> Visit<'ast> for Written<'_> {
        fn visit_expr(&mut self, expression: &'ast Expr) {
            let place = match expression {
                Expr::Assign(assign) => {
                    assigned(&assign.left, &mut |place| self.0.extend(upper_root(place)));
                    None
                }
                Expr::Binary(binary) if is_assignment(&binary.op) => Some(&*binary.left),
                Expr::RawAddr(raw) => Some(&*raw.expr),
                _ => None,
            };
            self.0.extend(place.and_then(upper_root));
            visit::visit_expr(self, expression);
        }

        fn visit_macro(&mut self, called: &'ast syn::Macro) {
            self.0
                .extend(address_of(called).as_ref().and_then(upper_root));
        }
    }

    Written(names).visit_block(block);
}

/// Calls `each` with the places that are assigned to: those of a pattern.
fn assigned(to: &Expr, each: &mut dyn FnMut(&Expr)) {
    match to {
        Expr::Paren(inner) => assigned(&inner.expr, each),
        Expr::Tuple(ExprTuple { elems: parts, .. })
        | Expr::Array(ExprArray { elems: parts, .. })
        | Expr::Call(ExprCall { args: parts, .. }) => {
            parts.iter().for_each(|part| assigned(part, each));
        }
        Expr::Struct(parts) => {
            let fields = parts.fields.iter();
            fields.for_each(|field| assigned(&field.expr, each));
        }
        place => each(place),
    }
}

/// The argument of `addr_of!` and `addr_of_mut!`.
pub fn address_of(called: &syn::Macro) -> Option<Expr> {
    takes_address(called).then(|| called.parse_body().ok())?
}

/// True for `addr_of!` and `addr_of_mut!`.
pub fn takes_address(called: &syn::Macro) -> bool {
    let last = called.path.segments.last();
    last.is_some_and(|last| last.ident == "addr_of" || last.ident == "addr_of_mut")
}
