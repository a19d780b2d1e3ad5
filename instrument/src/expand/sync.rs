//! What orders: locks, atomics, channels, joins. The library knows an object
//! by its type when the program runs; what it does not know is left alone.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, ExprCall, ExprMethodCall, parse_quote_spanned};

use super::body::Body;
use super::calls::is_inert;
use super::chain::{self, Chain, Root, is_place};
use super::driven::{driven_by, driven_on};
use super::foreign::is_returned;
use super::guards::lock_of;
use super::names::{ATOMICS, COLLECTS, KEEPS_GUARD, LOCKS, MEETS, SHARES, SPAWNS, TRIES};
use super::place::{hygienic, ident, library};
use super::pointers::is_of_std;
use super::spawn::is_of_pool;
use super::way::RUNS_CODE;

/// True for names, fields, dereferences and plain indices: what may be
/// evaluated twice, if its types say that this runs nothing
/// ([`Body::unless_it_runs`]).
pub fn simple(expression: &Expr) -> bool {
    match expression {
        Expr::Path(path) => path.qself.is_none(),
        Expr::Field(field) => simple(&field.base),
        Expr::Paren(paren) => simple(&paren.expr),
        Expr::Unary(unary) => matches!(unary.op, syn::UnOp::Deref(_)) && simple(&unary.expr),
        Expr::Index(index) => {
            simple(&index.expr) && (simple(&index.index) || matches!(*index.index, Expr::Lit(_)))
        }
        _ => false,
    }
}

/// `handle.join()`
pub fn is_joined(call: &ExprMethodCall) -> bool {
    call.method == "join" && call.args.is_empty() && call.turbofish.is_none()
}

/// A method that may order, by the type that it is called on.
pub fn meets(call: &ExprMethodCall) -> bool {
    let name = call.method.to_string();
    MEETS.contains(&name.as_str())
        || matches!(name.as_str(), "get" | "load") && call.args.is_empty()
        || name == "set" && call.args.len() == 1
        // Without an ordering: crossbeam's `AtomicCell`.
        || name == "compare_exchange" && call.args.len() == 2
}

/// What an ordering that is written out means.
fn ordering(expression: &Expr) -> Option<(bool, bool)> {
    let Expr::Path(path) = expression else {
        return None;
    };
    match path.path.segments.last()?.ident.to_string().as_str() {
        "Relaxed" => Some((false, false)),
        "Acquire" => Some((true, false)),
        "Release" => Some((false, true)),
        "AcqRel" | "SeqCst" => Some((true, true)),
        _ => None,
    }
}

/// What an atomic operation does, if the call is one: whether it stores, and
/// its orderings.
pub fn operation(call: &ExprMethodCall) -> Option<(bool, (bool, bool))> {
    let name = call.method.to_string();
    let (_, stores, orderings) = ATOMICS.iter().find(|(atomic, ..)| *atomic == name)?;
    let given = call.args.iter().rev().take(*orderings);
    let given: Option<Vec<_>> = given.map(ordering).collect();
    let order = match given {
        Some(given) if given.len() == *orderings => given
            .into_iter()
            .fold((false, false), |all, one| (all.0 | one.0, all.1 | one.1)),
        // Not written out: as strong as it can be.
        _ => (true, true),
    };
    Some((*stores, order))
}

impl Body<'_> {
    /// Asks which object a place is.
    pub fn object(&self, receiver: &Expr) -> TokenStream {
        let krate = &self.context.krate;
        let span = hygienic(receiver.span());
        let object = ident("object");
        if self.may_refer(receiver) {
            return quote_spanned!(span=> #krate::__private::Object::UNKNOWN);
        }
        let unknown = quote_spanned!(span=> #krate::__private::Object::UNKNOWN);
        let probe = |receiver: &Expr| {
            let seen = self.seen(receiver);
            quote_spanned!(span=> #krate::__private::Probe::new(#seen).object())
        };
        let probe = self.unless_it_runs(receiver, probe, &unknown);
        quote_spanned! {span=> {
            let #object = #probe;
            #object
        }}
    }

    /// What asks a place that is evaluated again, or else the answer for what
    /// is not known, where a step of the place runs code, or an index is moved.
    ///
    /// ```text
    /// if STEP(BASE).is_plain() && … { ASKS(PLACE) } else { LEFT.here(); OTHER }
    /// ```
    pub fn unless_it_runs(
        &self,
        place: &Expr,
        asks: impl FnOnce(&Expr) -> TokenStream,
        other: &TokenStream,
    ) -> TokenStream {
        let (again, there) = chain::again(place, &self.context.krate);
        let asks = asks(&again);
        let bases = chain::steps_of(place);
        if bases.is_empty() {
            return asks;
        }
        let span = hygienic(place.span());
        let plain = bases.iter().map(|base| {
            let ask = if base.is_indexed {
                "indexes"
            } else {
                "is_plain"
            };
            self.step(&base.expr, ask)
        });
        let left = self.alone_here(place, RUNS_CODE);
        quote_spanned! {span=>
            if true #(&& #plain)* #(&& #there)* { #asks } else { #left #other }
        }
    }

    fn operation(&self, stores: bool, (acquire, release): (bool, bool)) -> TokenStream {
        let krate = &self.context.krate;
        quote! {
            #krate::__private::Atomic { stores: #stores, acquire: #acquire, release: #release }
        }
    }

    /// A method call.
    ///
    /// Input: `RECEIVER.METHOD(ARGUMENTS)`, where the receiver is a place that
    /// may be evaluated twice. Output, by the method's name:
    ///
    /// ```text
    /// locked(SITE, Probe::new(&M).object(), false, M.lock(), None)
    /// atomically(atomic(Probe::new(&A).object(), OPERATION), OPERATION, A.load(Acquire))
    /// met(meets(SITE, Probe::new(&C).object()), C.recv())
    /// ```
    pub fn method(&mut self, expression: &mut Expr) {
        let Expr::MethodCall(call) = expression else {
            return;
        };
        let driven = driven_on(call).cloned();
        self.method_by_name(expression);
        if let Some(future) = driven {
            self.driven(expression, &future);
        }
    }

    fn method_by_name(&mut self, expression: &mut Expr) {
        let Expr::MethodCall(call) = expression else {
            return;
        };
        let is_last = call
            .attrs
            .iter()
            .any(|attr| attr.path().is_ident("leakcheck_last"));
        call.attrs
            .retain(|attr| !attr.path().is_ident("leakcheck_last"));
        if is_last {
            self.last_poll(call);
            return;
        }
        let name = call.method.to_string();
        let name = name.as_str();
        if SPAWNS.contains(&name) && !call.args.is_empty() {
            self.spawn_method(expression);
            return;
        }
        if is_of_pool(call) {
            self.pool_method(expression);
            return;
        }
        if is_joined(call) {
            self.join(expression);
            return;
        }
        if name == "unpark" && call.args.is_empty() {
            self.unpark(expression);
            return;
        }
        if self.unsafety && matches!(name, "get_unchecked" | "get_unchecked_mut") {
            self.element(expression);
            return;
        }
        let original = call.clone();
        self.borrows_shared(&original);
        let mut asks = self.coerced(&original.args);
        if is_place(&original.receiver) {
            asks.extend(self.received(&original.receiver));
        }
        self.receiver(call);
        self.lent_to_method(call, &original);
        for argument in &mut call.args {
            self.visit_expr_mut(argument);
        }
        if simple(&original.receiver) {
            self.pointer_method(expression, &original);
            self.counted_method(expression, &original);
            if original.method == "drop_in_place" {
                let krate = &self.context.krate;
                let receiver = &original.receiver;
                let span = hygienic(receiver.span());
                let drops = |pointer: &Expr| quote_spanned!(span=> #krate::__private::Pointer::new(&#pointer).drops());
                asks.push(self.unless_it_runs(receiver, drops, &quote!(true)));
            }
            if !self.ordered(expression, &original) && !is_inert(&original) {
                self.announces_method(expression, &original);
            }
        } else if self.unsafety {
            self.computed_pointer_method(expression, &original);
        }
        self.inert_method(expression, &original);
        self.ask(expression, asks, "deref");
    }

    /// What a method does with a shared variable, only its type says: left
    /// alone, unless it is one that orders and nothing else.
    fn borrows_shared(&mut self, call: &ExprMethodCall) {
        if !self.unsafety || !chain::is_place(&call.receiver) {
            return;
        }
        let name = call.method.to_string();
        let orders = [LOCKS, SHARES, TRIES]
            .iter()
            .any(|names| names.contains(&name.as_str()))
            || meets(call) && !COLLECTS.contains(&name.as_str())
            || ATOMICS.iter().any(|(atomic, ..)| *atomic == name);
        let shared = match Chain::of(self.context, &call.receiver).root {
            Root::Static(known) => known,
            Root::Pointer(pointer) => !self.typed.is_box(&pointer),
            Root::Computed | Root::Other => false,
        };
        if shared && !orders {
            self.alone(call, "what a method does with it is not known");
        }
    }

    /// The receiver is a place that the call borrows, or an expression.
    fn receiver(&mut self, call: &mut ExprMethodCall) {
        let consumer = !KEEPS_GUARD.contains(&call.method.to_string().as_str());
        if consumer && lock_of(&call.receiver).is_some() {
            self.behind_guard(&mut call.receiver);
        } else {
            self.place(&mut call.receiver);
        }
    }

    /// False if the method is none that orders.
    fn ordered(&mut self, expression: &mut Expr, original: &ExprMethodCall) -> bool {
        let name = original.method.to_string();
        let name = name.as_str();
        let krate = self.context.krate.clone();
        let span = hygienic(original.method.span());
        let collects = COLLECTS.contains(&name) || matches!(name, "get" | "set");
        let object = if collects && self.may_be_behind(&original.receiver) {
            self.ask(expression, vec![quote!(true)], name);
            quote_spanned!(span=> #krate::__private::Object::UNKNOWN)
        } else {
            self.object(&original.receiver)
        };
        let object = quote_spanned! {span=>
            #object.called(const { #krate::__private::hash(#name) })
        };
        if original.args.is_empty() && (LOCKS.contains(&name) || SHARES.contains(&name)) {
            let wrap = self.locked(original);
            let span = hygienic(original.method.span());
            let value = wrap(quote_spanned! {span=>
                #krate::__private::second(#krate::__private::takes(#object), #expression)
            });
            *expression = Expr::Verbatim(value);
        } else if original.args.is_empty() && TRIES.contains(&name) {
            let site = self.site(original);
            let shared = name == "try_read" || name == "try_read_owned";
            let value = ident("__leakcheck_value");
            let told = quote_spanned! {span=>
                #krate::__private::second(#krate::__private::takes(#object), #expression),
                |#value| #krate::__private::took(
                    #site,
                    #object,
                    #shared,
                    #krate::__private::Outcome::new(#value).happened(),
                    #krate::__private::core::option::Option::None,
                )
            };
            *expression = library(&krate, "pass", told, expression);
        } else if meets(original) {
            if name == "set" {
                // What was there is dropped.
                let asks = self.does(&original.receiver, "Operator");
                self.ask(expression, Vec::from_iter(asks), "drop");
            }
            let site = self.site(original);
            let told = quote_spanned! {span=>
                #krate::__private::meets(#site, #object), #expression
            };
            *expression = library(&krate, "met", told, expression);
        } else if let Some((stores, order)) = operation(original) {
            let operation = self.operation(stores, order);
            let told = quote_spanned! {span=>
                #krate::__private::atomic(#object, #operation), #operation, #expression
            };
            *expression = library(&krate, "atomically", told, expression);
        } else {
            return false;
        }
        true
    }

    /// What wraps the result of a call that takes a lock.
    fn locked(&mut self, lock: &ExprMethodCall) -> impl FnOnce(TokenStream) -> TokenStream + use<> {
        let krate = self.context.krate.clone();
        let span = hygienic(lock.method.span());
        let site = self.site(lock);
        let object = self.object(&lock.receiver);
        let name = lock.method.to_string();
        let object = quote_spanned! {span=>
            #object.called(const { #krate::__private::hash(#name) })
        };
        let shared = SHARES.contains(&lock.method.to_string().as_str());
        let release = match self.release.take() {
            Some(release) => {
                quote_spanned!(span=> #krate::__private::core::option::Option::Some(&#release))
            }
            None => quote_spanned!(span=> #krate::__private::core::option::Option::None),
        };
        move |value| {
            let told = quote_spanned!(span=> #site, #object, #shared, #value, #release);
            library(&krate, "locked", told, &value).into_token_stream()
        }
    }

    /// The object that a variable is, which is awaited itself.
    pub fn awaited_end(&self, base: &Expr) -> Option<TokenStream> {
        let awaited = match base {
            Expr::Reference(reference) => &reference.expr,
            other => other,
        };
        simple(awaited).then(|| self.object(awaited))
    }

    /// `LOCK.lock().await`: taken when the future is ready. None if the future
    /// is another.
    pub fn awaits_lock(
        &mut self,
        base: &Expr,
    ) -> Option<impl FnOnce(TokenStream) -> TokenStream + use<>> {
        let Expr::MethodCall(call) = base else {
            return None;
        };
        let call = lock_of(base)
            .filter(|lock| std::ptr::eq(*lock, call))?
            .clone();
        Some(self.locked(&call))
    }

    /// Input: `HANDLE.join()`. Output:
    ///
    /// ```text
    /// joined(Joins::new(&HANDLE).thread(), HANDLE.join())
    /// match HANDLE_CALL { h => joined(Joins::new(&h).thread(), h.join()) }
    /// ```
    fn join(&mut self, expression: &mut Expr) {
        let krate = self.context.krate.clone();
        let span = hygienic(expression.span());
        let Expr::MethodCall(call) = expression else {
            return;
        };
        if simple(&call.receiver) {
            let receiver = call.receiver.clone();
            let handle = ident("handle");
            let asks = |handle: &Expr| quote_spanned!(span=> #krate::__private::Joins::new(&#handle).thread());
            let none = quote_spanned!(span=> #krate::__private::core::option::Option::None);
            let asked = self.unless_it_runs(&receiver, asks, &none);
            let told = quote_spanned! {span=>
                {
                    let #handle = #asked;
                    #krate::__private::joins(#handle)
                },
                #expression
            };
            *expression = library(&krate, "joined", told, expression);
            return;
        }
        let returned = is_returned(&call.receiver);
        self.place(&mut call.receiver);
        if !returned {
            return;
        }
        let receiver = call.receiver.clone();
        let handle = ident("__leakcheck_handle");
        *call.receiver = parse_quote_spanned!(span=> #handle);
        *expression = parse_quote_spanned! {span=>
            match #receiver {
                #handle => #krate::__private::joined(
                    #krate::__private::joins(#krate::__private::Joins::new(&#handle).thread()),
                    #expression,
                )
            }
        };
    }

    /// Input: `THREAD.unpark()`. Output: the thread that wakes knows what was
    /// done before.
    ///
    /// ```text
    /// second(Wakes::new(&T).wakes(), met(meets(SITE, Probe::new(&T).object()), T.unpark()))
    /// pass(HANDLE.thread(), |t| Wakes::new(t).wakes()).unpark()
    /// ```
    fn unpark(&mut self, expression: &mut Expr) {
        let Expr::MethodCall(call) = expression else {
            return;
        };
        let original = call.clone();
        let krate = self.context.krate.clone();
        let span = hygienic(call.method.span());
        self.place(&mut call.receiver);
        let receiver = &original.receiver;
        if simple(receiver) {
            self.ordered(expression, &original);
            let asks = |thread: &Expr| quote_spanned!(span=> #krate::__private::Wakes::new(&#thread).wakes());
            let wakes = self.unless_it_runs(receiver, asks, &quote!(()));
            *expression = library(
                &krate,
                "second",
                quote!({ #wakes; }, #expression),
                expression,
            );
        } else if is_returned(receiver) {
            let thread = ident("__leakcheck_thread");
            let value = &call.receiver;
            let told = quote_spanned! {span=>
                #value, |#thread| #krate::__private::Wakes::new(#thread).wakes()
            };
            *call.receiver = library(&krate, "pass", told, value);
        }
    }

    /// Input: `SLICE.get_unchecked(I)`. Output:
    ///
    /// ```text
    /// pass(SLICE.get_unchecked(I), |e| Element::new(e).access(SITE))
    /// ```
    fn element(&mut self, expression: &mut Expr) {
        let site = self.site(expression);
        let krate = self.context.krate.clone();
        let span = hygienic(expression.span());
        if let Expr::MethodCall(call) = expression {
            self.place(&mut call.receiver);
            for argument in &mut call.args {
                self.visit_expr_mut(argument);
            }
        }
        let element = ident("__leakcheck_element");
        let told = quote_spanned! {span=>
            #expression, |#element| #krate::__private::Element::new(#element).access(#site)
        };
        *expression = library(&krate, "pass", told, expression);
    }

    /// A call of a function.
    ///
    /// Input: `fence(ORDER)`. Output: `second(fence(OPERATION), fence(ORDER))`.
    /// Input: `thread::park()`. Output: `parked(parks(SITE), thread::park())`.
    pub fn call(&mut self, expression: &mut Expr) {
        let whole = expression.clone();
        let Expr::Call(call) = expression else { return };
        let Expr::Call(original) = &whole else {
            return;
        };
        let Some(function) = path_of(call) else {
            self.place(&mut call.func);
            for argument in &mut call.args {
                self.visit_expr_mut(argument);
            }
            let asks = self.coerced(&original.args);
            let before = self.names_callee(call, original);
            self.before(expression, before);
            self.ask(expression, asks, "deref");
            return;
        };
        if self.spawn_call(expression, &function) {
            return;
        }
        let Expr::Call(call) = expression else { return };
        // What takes any type coerces nothing.
        let [owner, name] = &function;
        let says_a_type = matches!(&*call.func, Expr::Path(path)
            if path.path.segments.iter().any(|part| !part.arguments.is_none()));
        let takes_any = owner.is_empty() && ["black_box", "drop"].contains(&name.as_str());
        let asks = if takes_any && !says_a_type {
            Vec::new()
        } else {
            self.coerced(&call.args)
        };
        for argument in &mut call.args {
            self.visit_expr_mut(argument);
        }
        let before = self.names_callee(call, original);
        let krate = &self.context.krate;
        let span = hygienic(whole.span());
        if owner == "ptr" && self.unsafety && is_of_std(original) {
            self.pointer_function(expression, name, &whole);
        } else if name == "fence"
            && (owner.is_empty() || owner == "atomic")
            && let Some(order) = call.args.first().and_then(ordering)
        {
            let operation = self.operation(false, order);
            let told = quote_spanned!(span=> #krate::__private::fence(#operation), #expression);
            *expression = library(krate, "second", told, expression);
        } else if owner == "thread" && (name == "park" || name == "park_timeout") {
            let site = self.site(&whole);
            let told = quote_spanned!(span=> #krate::__private::parks(#site), #expression);
            *expression = library(krate, "parked", told, expression);
        } else if name == "drop" && (owner.is_empty() || owner == "mem") {
            self.drops_arguments(call);
        } else if let Some(future) = driven_by(original) {
            self.driven(expression, future);
        }
        self.before(expression, before);
        self.ask(expression, asks, "deref");
    }
}

/// The last two segments of the called path; the first may be empty.
fn path_of(call: &ExprCall) -> Option<[String; 2]> {
    let Expr::Path(path) = &*call.func else {
        return None;
    };
    if path.qself.is_some() {
        return None;
    }
    let mut segments = path.path.segments.iter().rev();
    let name = segments.next()?.ident.to_string();
    let owner = segments.next().map(|owner| owner.ident.to_string());
    Some([owner.unwrap_or_default(), name])
}
