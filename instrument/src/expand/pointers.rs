//! Methods of raw pointers, and the functions of `std::ptr`: accesses to what
//! they point to.

use quote::{quote, quote_spanned};
use syn::{Expr, ExprCall, ExprMethodCall, Ident, parse_quote_spanned};

use super::address::takes_address;
use super::body::Body;
use super::names::{COUNTED_FUNCTIONS, COUNTED_METHODS, POINTER_FUNCTIONS, POINTER_METHODS};
use super::place::{bare, hygienic, ident, library};
use super::sync::simple;

/// True for what computes a pointer, and is no place that it would be moved out
/// of.
fn is_value(expression: &Expr) -> bool {
    match expression {
        Expr::MethodCall(_) | Expr::Call(_) | Expr::Paren(_) | Expr::Block(_) | Expr::Unsafe(_) => {
            true
        }
        Expr::Macro(called) => takes_address(&called.mac),
        _ => false,
    }
}

/// False for a function of another module `ptr`, which its path says.
pub fn is_of_std(call: &ExprCall) -> bool {
    let Expr::Path(function) = &*call.func else {
        return false;
    };
    let mut before = function.path.segments.iter().rev().skip(2);
    let krate = before.next();
    krate.is_none_or(|krate| krate.ident == "std" || krate.ident == "core")
}

/// What is asked of the pointer.
fn hook_of(call: &ExprMethodCall) -> Ident {
    let is_volatile = call.method == "read_volatile" || call.method == "write_volatile";
    ident(if is_volatile { "volatile" } else { "access" })
}

impl Body<'_> {
    /// Input: `POINTER.read()`, `POINTER.write(VALUE)`, of a pointer that may
    /// be evaluated twice. Output:
    ///
    /// ```text
    /// second(Pointer::new(&P).access(SITE, false), P.read())
    /// P.write(first(VALUE, Pointer::new(&P).access(SITE, true)))
    /// ```
    pub fn pointer_method(&mut self, expression: &mut Expr, original: &ExprMethodCall) {
        let Some(writes) = self.pointer_writes(original) else {
            return;
        };
        let krate = &self.context.krate;
        let pointer = &original.receiver;
        let span = hygienic(original.method.span());
        let site = self.site(original);
        let access = hook_of(original);
        let asks = |pointer: &Expr| {
            quote_spanned! {span=>
                #krate::__private::Pointer::new(&#pointer).#access(#site, #writes)
            }
        };
        let tell = self.unless_it_runs(pointer, asks, &quote!(()));
        let tell = quote_spanned!(span=> { #tell; });
        let Expr::MethodCall(call) = expression else {
            return;
        };
        match call.args.last_mut() {
            Some(last) => {
                *last = library(krate, "first", quote!(#last, #tell), last);
            }
            None => {
                *expression = library(krate, "second", quote!(#tell, #expression), expression);
            }
        }
    }

    /// Whether the method of a pointer writes, if it is one.
    fn pointer_writes(&self, call: &ExprMethodCall) -> Option<bool> {
        let mut methods = POINTER_METHODS.iter();
        let (_, _, writes) = methods.find(|(method, arguments, _)| {
            call.method == method && *arguments == call.args.len()
        })?;
        self.unsafety.then_some(*writes)
    }

    /// As [`Body::pointer_method`], for a pointer that is computed.
    pub fn computed_pointer_method(&mut self, expression: &mut Expr, original: &ExprMethodCall) {
        let Expr::MethodCall(call) = expression else {
            return;
        };
        let writes = self
            .pointer_writes(original)
            .filter(|_| is_value(&original.receiver));
        let Some(writes) = writes else {
            return;
        };
        let krate = &self.context.krate;
        let span = hygienic(original.method.span());
        let site = self.site(original);
        let pointer = ident("__leakcheck_pointer");
        let receiver = bare(&call.receiver);
        let access = hook_of(original);
        let told = quote_spanned! {span=>
            #receiver, |#pointer| #krate::__private::Pointer::new(#pointer).#access(#site, #writes)
        };
        *call.receiver = library(krate, "pass", told, receiver);
    }

    /// Input: `POINTER.copy_to(OTHER, COUNT)`, of pointers that may be
    /// evaluated twice. Output: told when the count is there.
    ///
    /// ```text
    /// P.copy_to(O, match COUNT { n => {
    ///     Pointer::new(&P).accesses(SITE, false, &n);
    ///     Pointer::new(&O).accesses(SITE, true, &n);
    ///     n
    /// } })
    /// ```
    pub fn counted_method(&self, expression: &mut Expr, original: &ExprMethodCall) {
        let mut methods = COUNTED_METHODS.iter();
        let known = methods.find(|(method, ..)| original.method == method);
        let (Some((_, writes, two)), true, 2) = (known, self.unsafety, original.args.len()) else {
            return;
        };
        let Expr::MethodCall(call) = expression else {
            return;
        };
        let krate = &self.context.krate;
        let span = hygienic(original.method.span());
        let site = self.site(original);
        let pointer = &original.receiver;
        let count = ident("__leakcheck_count");
        let other = original.args.first().filter(|other| *two && simple(other));
        let tells = |pointer: &Expr, writes: bool| {
            let asks = |pointer: &Expr| {
                quote_spanned! {span=>
                    #krate::__private::Pointer::new(&#pointer).accesses(#site, #writes, &#count)
                }
            };
            self.unless_it_runs(pointer, asks, &quote!(()))
        };
        let other = other.map(|other| tells(other, !writes));
        let tell = tells(pointer, *writes);
        if let Some(last) = call.args.last_mut() {
            let value = bare(last);
            *last = parse_quote_spanned! {span=>
                match #value {
                    #count => {
                        #tell;
                        #other;
                        #count
                    }
                }
            };
        }
    }

    /// Input: `ptr::write(P, V)`. Output: `ptr::write(writes(SITE, P), V)`.
    /// Input: `ptr::copy(P, Q, N)`. Output:
    ///
    /// ```text
    /// match copied(SITE, P, Q, N) { (p, q, n) => ptr::copy(p, q, n) }
    /// ```
    pub fn pointer_function(&self, expression: &mut Expr, name: &str, whole: &Expr) {
        let Expr::Call(call) = expression else { return };
        let krate = &self.context.krate;
        let known = POINTER_FUNCTIONS
            .iter()
            .find(|(known, count, _)| *known == name && *count == call.args.len());
        for (index, hook) in known.map_or(&[][..], |(.., hooks)| *hooks) {
            let site = self.site(whole);
            // A literal is no pointer: the function is another of that name.
            if let Some(argument) = call.args.get_mut(*index)
                && !matches!(argument, Expr::Lit(_))
            {
                *argument = library(krate, hook, quote!(#site, #argument), argument);
            }
        }
        let counted = COUNTED_FUNCTIONS.iter().find(|(known, _)| *known == name);
        if let (Some((_, hook)), 3) = (counted, call.args.len()) {
            let span = hygienic(call.paren_token.span.join());
            let site = self.site(whole);
            let arguments = std::mem::take(&mut call.args);
            let hook = ident(hook);
            let [one, other, count] =
                ["one", "other", "count"].map(|part| ident(&format!("__leakcheck_{part}")));
            call.args = parse_quote_spanned!(span=> #one, #other, #count);
            *expression = parse_quote_spanned! {span=>
                match #krate::__private::#hook(#site, #arguments) {
                    (#one, #other, #count) => #expression
                }
            };
        }
    }
}
