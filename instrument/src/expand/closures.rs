//! Closures and async blocks: what is named in one is captured, and no more
//! may be named there than was.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, ExprBlock, ExprClosure, Ident, Stmt, parse_quote_spanned};

use super::body::Body;
use super::chain;
use super::declared::Declared;
use super::foreign::has_unsafe;
use super::place::{hygienic, ident, quiet_parens};

impl Body<'_> {
    /// A closure that is not spawned: who calls it, and on which thread, is not known.
    /// Unless it is called `at_once`, by what is known, where it does not access
    /// anything.
    pub fn closure(&mut self, closure: &mut ExprClosure, at_once: bool) {
        quiet_parens(&mut closure.body);
        if closure.asyncness.is_none() {
            let accesses = self.unsafety || has_unsafe(&closure.body);
            let tells = accesses || !at_once && !tells_nothing(&closure.body);
            let around = self.binds_in(closure);
            self.capturing(|body| body.in_its_own(&mut closure.body));
            self.leaves_closure(around);
            if tells {
                self.called_back(&mut closure.body);
            }
        }
    }

    /// The variables that a closure binds, and nothing else does, from now on;
    /// what they were.
    pub fn binds_in(&mut self, closure: &ExprClosure) -> Around {
        let mut bound = Bound::default();
        bound.visit_expr_closure(closure);
        self.binds(bound, closure.capture.is_some())
    }

    fn binds(&mut self, bound: Bound, moves: bool) -> Around {
        let all = bound.0.into_iter();
        let only = all.filter(|(name, times)| self.typed.times(name) == *times);
        let only = only.map(|(name, _)| name).collect();
        Around {
            inside: std::mem::replace(&mut self.inside, only),
            moves: std::mem::replace(&mut self.moves, moves),
        }
    }

    /// The variables from around that are named in the body of a closure.
    pub fn captured_by(&self, body: &Expr) -> Vec<Ident> {
        struct Named<'b, 'c>(&'b Body<'c>, Vec<Ident>);

        impl<'ast> Visit<'ast> for Named<'_, '_> {
            fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
                if let Some(name) = path.path.get_ident() {
                    let text = name.to_string();
                    if self.0.typed.times(&text) > 0 && !self.0.inside.contains(&text) {
                        self.1.push(name.clone());
                    }
                }
            }
        }

        let mut named = Named(self, Vec::new());
        named.visit_expr(body);
        let Named(_, mut names) = named;
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The variables from around that a closure may capture, and whether nothing
    /// in it has their name.
    pub fn named_around(&mut self, closure: &ExprClosure) -> Vec<(Ident, bool)> {
        let (mut parameters, mut inside) = (Bound::default(), Bound::default());
        for parameter in &closure.inputs {
            parameters.visit_pat(parameter);
        }
        inside.visit_expr(&closure.body);
        let around = self.binds_in(closure);
        let names = self.captured_by(&closure.body);
        self.leaves_closure(around);
        let names = names.into_iter().filter_map(|name| {
            let text = name.to_string();
            let is_alone = !inside.0.contains_key(&text);
            (!parameters.0.contains_key(&text)).then_some((name, is_alone))
        });
        names.collect()
    }

    /// As it was around the closure.
    pub fn leaves_closure(&mut self, around: Around) {
        self.inside = around.inside;
        self.moves = around.moves;
    }

    /// An async block that is not spawned: who polls it, and on which thread, is not
    /// known.
    ///
    /// Input: `async { BODY }`. Output: `async { let opaque = Opaque::begin(); BODY }`.
    pub fn async_block(&mut self, block: &mut Block, moves: bool) {
        let is_empty = block.stmts.is_empty();
        self.capturing_block(block, moves);
        if !is_empty {
            let krate = &self.context.krate;
            let span = hygienic(block.span());
            let guard = ident("__leakcheck_polled");
            let begin = quote_spanned!(span=> #krate::__private::Opaque::begin());
            block
                .stmts
                .insert(0, parse_quote_spanned!(span=> let #guard = #begin;));
        }
    }

    /// As [`Body::capturing`], of an async block.
    pub fn capturing_block(&mut self, block: &mut Block, moves: bool) {
        let mut bound = Bound::default();
        bound.visit_block(block);
        let around = self.binds(bound, moves);
        self.capturing(|body| body.visit_block_mut(block));
        self.leaves_closure(around);
    }

    /// The body of a closure: what is asked goes before it.
    fn in_its_own(&mut self, body: &mut Expr) {
        if matches!(body, Expr::Block(_) | Expr::Unsafe(_)) {
            self.visit_expr_mut(body);
            return;
        }
        self.declared = Some(Declared {
            only_asks: true,
            ..Declared::default()
        });
        self.closure_body(body);
        self.declared = None;
    }

    /// Walks what has no part in the statement around it, and captures.
    pub fn capturing(&mut self, walk: impl FnOnce(&mut Self)) {
        let declared = self.declared.take();
        let release = self.release.take();
        let around = std::mem::replace(&mut self.in_closure, true);
        walk(self);
        self.in_closure = around;
        self.release = release;
        self.declared = declared;
    }

    /// A closure body, or another expression, as a block of its own.
    pub fn as_block(&mut self, mut expression: Expr) -> Block {
        quiet_parens(&mut expression);
        let mut block = match expression {
            Expr::Block(ExprBlock {
                attrs,
                label: None,
                block,
            }) if attrs.is_empty() => block,
            other => Block {
                brace_token: syn::token::Brace(hygienic(other.span())),
                stmts: vec![Stmt::Expr(other, None)],
            },
        };
        let opaque = std::mem::replace(&mut self.opaque, false);
        self.capturing(|body| body.visit_block_mut(&mut block));
        self.opaque = opaque;
        block
    }

    /// True for a variable of which a closure may capture only what it refers to:
    /// a reference to the variable itself would live less long.
    pub fn captures_behind(&self, place: &Expr) -> bool {
        let place = super::place::bare(place);
        !self.moves
            && self.is_captured(place)
            && !matches!(place, Expr::Path(path) if path.path.is_ident("self"))
            && matches!(place, Expr::Path(_))
    }

    /// True for such a variable of which nothing says whether it is a reference: what
    /// the program uses of it may be behind a `&mut`, which no method reaches without
    /// borrowing more.
    pub fn may_refer(&self, place: &Expr) -> bool {
        self.captures_behind(place)
            && !self.typed.is_reference(place)
            && !self.typed.surely_knows(place)
            && !self.typed.is_made(place)
            && !self.typed.is_shared(place)
    }

    /// True for a part of a captured variable that may be a `&mut` itself: as
    /// [`Body::may_refer`].
    pub fn may_be_behind(&self, place: &Expr) -> bool {
        !self.moves
            && self.is_captured(place)
            && matches!(super::place::bare(place), Expr::Field(_))
            && !names_self(place)
            && !self.typed.is_shared(place)
            && (!self.typed.is_whole(place) || self.typed.may_borrow(place))
    }

    /// A reference to what a method is called on, by which a closure captures no more
    /// than by that call.
    ///
    /// Input: `x`. Output: `&x`, or in a closure:
    ///
    /// ```text
    /// { use ::leakcheck::__private::Seen as _; x.__leakcheck_seen() }
    /// ```
    pub fn seen(&self, place: &Expr) -> TokenStream {
        let span = hygienic(place.span());
        if self.moves || !self.is_captured(place) {
            return quote_spanned!(span=> &#place);
        }
        if self.typed.is_reference(place) {
            return quote_spanned!(span=> &*#place);
        }
        let krate = &self.context.krate;
        quote_spanned!(span=> { use #krate::__private::Seen as _; #place.__leakcheck_seen() })
    }

    /// Asks about the type of what a method is called on, see [`chain::typed`].
    pub fn asks_receiver(&self, place: &Expr, asks: &TokenStream) -> TokenStream {
        let krate = &self.context.krate;
        if let Some(asked) = self.of_another(place, "Runs", asks) {
            return asked;
        }
        if self.may_refer(place) || self.is_open(place) {
            let span = hygienic(place.span());
            return quote_spanned!(span=> #krate::__private::Runs::of_any().#asks);
        }
        if self.captures_behind(place) {
            return self.asks_seen(place, "Runs", asks);
        }
        chain::typed(place, "Runs", asks, krate)
    }

    /// Asks about the type of what a method is called on, by [`Body::seen`].
    pub fn asks_seen(&self, place: &Expr, answers: &str, asks: &TokenStream) -> TokenStream {
        let span = hygienic(place.span());
        let seen = self.seen(place);
        let like = quote_spanned!(span=> like(#seen));
        chain::asked(&like, answers, asks, &self.context.krate, span)
    }

    /// True for a part of a captured variable of which the closure may capture less
    /// than is asked about.
    pub fn is_open(&self, place: &Expr) -> bool {
        !self.moves
            && !matches!(super::place::bare(place), Expr::Path(_))
            && self.captures_part(place)
    }

    /// Asks about the type of a place in another variable of the same type, which
    /// there is none of: so nothing is captured. Its type must be written.
    ///
    /// Input: `x.inner`, `Step`, `derefs()`, of `x: &mut X`. Output:
    ///
    /// ```text
    /// Step::of(|x: &mut X| &raw const x.inner).derefs()
    /// ```
    pub fn of_another(
        &self,
        place: &Expr,
        answers: &str,
        asks: &TokenStream,
    ) -> Option<TokenStream> {
        if !self.is_captured(place) {
            return None;
        }
        let (name, of) = self.typed.written(place)?;
        let krate = &self.context.krate;
        let span = hygienic(place.span());
        let answers = ident(answers);
        let place = chain::unevaluated(super::place::bare(place), krate);
        Some(quote_spanned! {span=>
            #krate::__private::#answers::of(|#name: #of| &raw const #place).#asks
        })
    }

    /// Asks about the type of a step of a place, see [`chain::step`].
    ///
    /// In a closure that would capture what the step goes out from, all of `self`
    /// where a field of it is used. So it is asked of another value of that type,
    /// which there is none of. Of another variable with parts that may be in use
    /// elsewhere nothing is asked: its steps may run anything.
    ///
    /// Input: `self.inner`, `is_plain`. Output, in a closure:
    ///
    /// ```text
    /// Step::of(|this: &Self| &raw const this.inner).is_plain()
    /// ```
    pub fn step(&self, place: &Expr, ask: &str) -> TokenStream {
        let krate = &self.context.krate;
        let asks = ident(ask);
        if let Some(asked) = self.of_another(place, "Step", &quote!(#asks())) {
            return asked;
        }
        if self.captures_behind(place)
            && self.typed.is_reference(place)
            && self.typed.is_whole(place)
        {
            let behind: Expr = syn::parse_quote!(*#place);
            return chain::step(&behind, ask, krate);
        }
        if self.is_captured(place) && self.typed.is_parted(place)
            || self.captures_behind(place)
            || self.is_open(place)
        {
            // What it captured besides could be borrowed, or gone.
            return quote!(false);
        }
        let receiver = match &self.receiver {
            Some(receiver) if self.in_closure && names_self(place) => receiver,
            _ => return chain::step(place, ask, krate),
        };
        let span = hygienic(place.span());
        let ask = ident(ask);
        let this = ident("this");
        let mut place = chain::unevaluated(place, krate);
        Renamed(&this).visit_expr_mut(&mut place);
        quote_spanned! {span=>
            #krate::__private::Step::of(|#this: #receiver| &raw const #place).#ask()
        }
    }
}

/// True for what only names values, and takes them apart or puts them together.
fn tells_nothing(body: &Expr) -> bool {
    match body {
        Expr::Lit(_) | Expr::Path(_) => true,
        Expr::Paren(inner) => tells_nothing(&inner.expr),
        Expr::Group(inner) => tells_nothing(&inner.expr),
        Expr::Reference(borrow) => tells_nothing(&borrow.expr),
        Expr::Field(field) => tells_nothing(&field.base),
        Expr::Tuple(made) => made.elems.iter().all(tells_nothing),
        Expr::Block(ExprBlock { block, .. }) => match block.stmts.as_slice() {
            [] => true,
            [Stmt::Expr(last, None)] => tells_nothing(last),
            _ => false,
        },
        _ => false,
    }
}

/// What is known outside of a closure.
pub struct Around {
    inside: BTreeSet<String>,
    moves: bool,
}

/// How often names are bound.
#[derive(Default)]
struct Bound(BTreeMap<String, usize>);

impl<'ast> Visit<'ast> for Bound {
    fn visit_item(&mut self, _: &'ast syn::Item) {}

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        for argument in super::macros::arguments(called).into_iter().flatten() {
            Visit::visit_expr(self, &argument);
        }
    }

    fn visit_pat_ident(&mut self, name: &'ast syn::PatIdent) {
        *self.0.entry(name.ident.to_string()).or_default() += 1;
        visit::visit_pat_ident(self, name);
    }
}

fn names_self(place: &Expr) -> bool {
    struct Names(bool);

    impl<'ast> Visit<'ast> for Names {
        fn visit_ident(&mut self, name: &'ast Ident) {
            self.0 |= name == "self";
        }
    }

    let mut names = Names(false);
    names.visit_expr(place);
    names.0
}

/// Calls `self` otherwise.
struct Renamed<'n>(&'n Ident);

impl VisitMut for Renamed<'_> {
    fn visit_expr_path_mut(&mut self, path: &mut syn::ExprPath) {
        if path.path.is_ident("self") {
            path.path = self.0.clone().into();
        } else {
            visit_mut::visit_expr_path_mut(self, path);
        }
    }
}
