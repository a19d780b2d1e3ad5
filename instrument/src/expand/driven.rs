//! Futures that a thread drives to their end, by `block_on`: who goes on then
//! knows of the tasks and threads that have ended what who awaits them knows.

use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprCall, ExprMethodCall};

use super::body::Body;
use super::place::{hygienic, library};

/// The name of functions and methods that return once the future that they are
/// given has ended.
const DRIVES: &str = "block_on";

/// What a call of a function by that name drives.
pub fn driven_by(call: &ExprCall) -> Option<&Expr> {
    let Expr::Path(path) = &*call.func else {
        return None;
    };
    let last = path.path.segments.last()?;
    (last.ident == DRIVES).then(|| call.args.last())?
}

/// What a method by that name drives.
pub fn driven_on(call: &ExprMethodCall) -> Option<&Expr> {
    (call.method == DRIVES && call.attrs.is_empty()).then(|| call.args.last())?
}

impl Body<'_> {
    /// Input: `RUNTIME.block_on(FUTURE)`. Output, of a future that is a
    /// variable, as a channel's receiver may be, and of one that waits for one:
    ///
    /// ```text
    /// all_joined(met(meets(SITE, Probe::new(&FUTURE).object()), RUNTIME.block_on(FUTURE)))
    /// all_joined(again([Probe::new(&C).object().small()], RUNTIME.block_on(C.recv())))
    /// ```
    pub fn driven(&self, expression: &mut Expr, future: &Expr) {
        let krate = &self.context.krate;
        let span = hygienic(expression.span());
        let variable = match future {
            Expr::Reference(reference) => &reference.expr,
            other => other,
        };
        let end = self.typed.knows_type_of(variable);
        let objects = self.awaited_objects(future);
        let told = match self.awaited_end(future).filter(|_| end) {
            Some(object) => {
                let site = self.site(expression);
                quote_spanned! {span=>
                    #krate::__private::met(#krate::__private::meets(#site, #object), #expression)
                }
            }
            None if objects.is_empty() => quote!(#expression),
            None => quote_spanned! {span=>
                #krate::__private::again([#(#objects),*], #expression)
            },
        };
        *expression = library(krate, "all_joined", told, expression);
    }
}
