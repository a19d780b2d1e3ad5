//! Where a function may be left, or go on later: `?` and `.await`.

use quote::{ToTokens as _, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, ExprAwait, parse_quote_spanned};

use super::body::Body;
use super::place::{hygienic, ident, library};

impl Body<'_> {
    /// Input: `VALUE?`. Output: an error may be converted.
    ///
    /// ```text
    /// pass(VALUE, |v| Question::new(v).asks())?
    /// ```
    pub fn questioned(&mut self, value: &mut Expr) {
        let krate = &self.context.krate;
        let span = hygienic(value.span());
        let bound = ident("__leakcheck_value");
        let told = quote_spanned! {span=>
            #value, |#bound| #krate::__private::Question::new(#bound).asks()
        };
        *value = library(krate, "pass", told, &value.clone());
    }

    /// Input: `FUTURE.await`. Output: the task is known to wait there.
    ///
    /// ```text
    /// ::leakcheck::__private::awaited(::leakcheck::__private::awaits(SITE), FUTURE.await)
    /// ```
    ///
    /// A variable may be what synchronises itself, an end of a channel or a
    /// handle: `met(meets(SITE, Probe(&F).object()), F.await)`. And a call may
    /// return the future of one, or be given it: `again([OBJECT], C.recv().await)`.
    pub fn await_(&mut self, expression: &mut Expr) {
        let site = self.site(expression);
        let Expr::Await(ExprAwait { base, .. }) = expression else {
            return;
        };
        let locked = self.awaits_lock(base);
        let end = self.awaited_end(base);
        let objects = self.awaited_objects(base);
        if locked.is_none() {
            self.visit_expr_mut(base);
            parenthesize(base);
        }
        let krate = &self.context.krate;
        let span = hygienic(expression.span());
        let value = match (locked, end) {
            (Some(wrap), _) => wrap(expression.to_token_stream()),
            (None, Some(object)) => quote_spanned! {span=>
                #krate::__private::met(#krate::__private::meets(#site, #object), #expression)
            },
            (None, None) if objects.is_empty() => expression.to_token_stream(),
            (None, None) => quote_spanned! {span=>
                #krate::__private::again([#(#objects),*], #expression)
            },
        };
        let told = quote_spanned!(span=> #krate::__private::awaits(#site), #value);
        *expression = library(krate, "awaited", told, expression);
    }
}

/// What an expansion begins with a `*` goes into parentheses where something
/// binds closer.
fn parenthesize(expression: &mut Expr) {
    if matches!(expression, Expr::Unary(_)) {
        let span = expression.span();
        *expression = parse_quote_spanned!(span=> (#expression));
    }
}
