//! Accesses to shared variables: static variables that may change, and what
//! raw pointers point to. Only inside of `unsafe`, where such code must be.
//!
//! A place is a chain ([`super::chain`]). The library is told the address of
//! the whole place, and no step of it may run twice: it might be a `Deref` or
//! an `Index` of the program's own. There are four ways:
//!
//! - a name, or a dereference of one, is evaluated before, by `&raw const`;
//! - out of what is indexed nothing can be moved: its address is taken once,
//!   and the access goes through that ([`Way::Once`]);
//! - a borrow is looked at once it is there ([`Way::Borrowed`]);
//! - a chain of fields is evaluated before if the types of its steps say that
//!   this runs nothing, which is asked when the program runs, or else left
//!   alone and counted.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, ExprReference, parse_quote_spanned};

use super::body::Body;
use super::chain::{
    Base, Chain, Root, has_field, has_simple_steps, is_indexed_by_name, is_place, pointer_of,
    unevaluated, upper_root,
};
use super::guards::lock_of;
use super::left::TAKEN_APART;
use super::place::{bare, first_span, hygienic, ident, library};
use super::steps::askable;
use super::sync::simple;
use super::way::{
    LIVES_ON, NO_STATEMENT, NOT_KNOWN, POINTER_COMPUTED, POINTS_TO_ANYTHING, RUNS_CODE, Use, Way,
};

impl Body<'_> {
    /// The same place of the source, and what the accessed field belongs to.
    fn site_of(&self, whole: &Expr, chain: &Chain) -> TokenStream {
        let site = self.site(whole);
        let Some((base, field)) = &chain.owner else {
            return site;
        };
        if matches!(chain.root, Root::Static(false)) || self.captures_part(base) {
            return site;
        }
        let krate = &self.context.krate;
        let span = hygienic(whole.span());
        let base = unevaluated(base, krate);
        quote_spanned! {span=>
            #site.within(#krate::__private::Owner::of(|| &raw const #base).named(#field))
        }
    }

    /// How an access to this place is told; `whole` is what a report shows.
    pub fn way(&mut self, place: &Expr, used: Use, whole: &Expr) -> Way {
        if !self.unsafety {
            return Way::No;
        }
        let chain = Chain::of(self.context, place);
        if upper_root(place).is_some_and(|name| self.context.skipped.contains(&name)) {
            return Way::No;
        }
        let krate = self.context.krate.clone();
        let span = hygienic(place.span());
        let borrows = matches!(used, Use::Borrow | Use::BorrowMut);
        let site = self.site_of(whole, &chain);
        if borrows
            && let Expr::Unary(unary) = bare(place)
            && self.typed.is_inferred(&unary.expr)
        {
            return Way::Alone(POINTS_TO_ANYTHING);
        }
        match &chain.root {
            Root::Other => match place {
                Expr::Unary(unary) if matches!(*unary.expr, Expr::Index(_)) => {
                    Way::Alone(POINTER_COMPUTED)
                }
                _ => Way::No,
            },
            Root::Pointer(pointer) if self.typed.is_box(pointer) => Way::No,
            Root::Static(false) => self.perhaps(place, used, &chain, &site),
            Root::Static(true) if chain.is_bare() && !used.is_in_place() => {
                Way::Before(self.tell(&site, place, used, true))
            }
            Root::Pointer(pointer) if chain.is_bare() && !used.is_in_place() => {
                let tell = self.tell(&site, place, used, false);
                Way::Before(quote_spanned! {span=>
                    if #krate::__private::Raw::new(&#pointer).is() { #tell; }
                })
            }
            Root::Computed if !chain.is_indexed => Way::Computed,
            Root::Computed if borrows && self.extends => Way::Alone(LIVES_ON),
            Root::Computed => match self.new_root() {
                Some(root) if borrows => Way::BorrowedOf { site, root },
                Some(root) => Way::OnceOf { site, root },
                None => Way::Alone(NO_STATEMENT),
            },
            Root::Static(true) | Root::Pointer(_) => {
                let reach = self.reach(&chain, whole);
                // Out of what a reference leads to, nothing can be moved.
                let stays = chain.is_indexed
                    || used.is_in_place()
                    || self.by_reference && chain.is_of_self();
                if borrows {
                    Way::Borrowed { site, reach }
                } else if stays {
                    Way::Once { site, reach }
                } else {
                    let hook = ident(if used == Use::Write {
                        "write_reached"
                    } else {
                        "read_reached"
                    });
                    let tell = quote_spanned! {span=>
                        #krate::__private::#hook(#site, reach, &raw const #place)
                    };
                    let guarded = self.guarded(&chain.bases, &tell, whole);
                    Way::Before(quote_spanned! {span=>
                        let reach = #reach;
                        if reach.is_shared() { #guarded }
                    })
                }
            }
        }
    }

    /// What kind of memory a place is, by the types of its steps.
    fn reach(&self, chain: &Chain, whole: &Expr) -> TokenStream {
        let krate = &self.context.krate;
        let span = hygienic(whole.span());
        if let Root::Pointer(pointer) = &chain.root {
            if self.is_captured(pointer) && self.typed.is_reference(pointer) {
                return quote_spanned!(span=> #krate::__private::Reach::of_pointer(false));
            }
            let pointer = unevaluated(pointer, krate);
            return quote_spanned! {span=>
                #krate::__private::Reach::of_pointer(
                    #krate::__private::IsRaw::of(|| &raw const #pointer).is()
                )
            };
        }
        let known = chain.bases.iter().all(|base| has_simple_steps(&base.expr));
        let bases = chain.bases.iter().filter(|_| known);
        let own = bases.map(|base| self.step(&base.expr, base.asks_memory()));
        quote_spanned!(span=> #krate::__private::Reach::of_variable(#known #(&& #own)*))
    }

    /// Tells only if no step runs code.
    ///
    /// ```text
    /// if STEP(BASE).is_plain() && … { HOOK } else { LEFT.here() }
    /// ```
    fn guarded(&self, bases: &[Base], tell: &TokenStream, whole: &Expr) -> TokenStream {
        let span = hygienic(whole.span());
        let plain = bases.iter().map(|base| self.step(&base.expr, "is_plain"));
        let alone = self.alone_here(whole, RUNS_CODE);
        quote_spanned!(span=> if true #(&& #plain)* { #tell; } else { #alone })
    }

    /// A name that may be a variable's or a constant's, which has no address
    /// of its own: a reference to it makes a value, and drops it. Told if
    /// neither that nor a step runs code.
    ///
    /// ```text
    /// if Step::told(|| like(&PLACE)).drops_nothing() && … { read(SITE, &PLACE) } else { LEFT.here() }
    /// ```
    fn perhaps(&self, place: &Expr, used: Use, chain: &Chain, site: &TokenStream) -> Way {
        if matches!(used, Use::Borrow | Use::BorrowMut) {
            return Way::No;
        }
        let twice = chain
            .bases
            .iter()
            .any(|base| is_indexed_by_name(&base.expr));
        if chain.is_index_computed || twice || chain.is_indexed && used.is_in_place() {
            return Way::Alone(NOT_KNOWN);
        }
        let krate = &self.context.krate;
        let span = hygienic(place.span());
        let allow = ident("allow");
        let bases = chain.bases.iter().map(|base| {
            let expr = &base.expr;
            let ask = ident(if base.is_indexed {
                "indexes"
            } else {
                "is_plain"
            });
            quote_spanned! {span=> {
                let step = #krate::__private::Step::told(|| #krate::__private::like(&#expr));
                step.#ask() && step.drops_nothing()
            }}
        });
        let alone = self.alone_here(place, RUNS_CODE);
        Way::Before(quote_spanned! {span=>
            #[#allow(static_mut_refs)]
            let plain = #krate::__private::Step::told(|| #krate::__private::like(&#place))
                .drops_nothing() #(&& #bases)*;
            if plain {
                #[#allow(static_mut_refs)]
                let place = &#place;
                #krate::__private::read(#site, place)
            } else {
                #alone
            }
        })
    }

    pub fn tell(&self, site: &TokenStream, place: &Expr, used: Use, stays: bool) -> TokenStream {
        let krate = &self.context.krate;
        let span = hygienic(place.span());
        match (used, stays) {
            (Use::Read | Use::Compare | Use::Match, true) => quote_spanned! {span=>
                #krate::__private::read_static(#site, &raw const #place)
            },
            (Use::Read | Use::Compare | Use::Match, false) => quote_spanned! {span=>
                #krate::__private::read(#site, &raw const #place)
            },
            (Use::Write, true) => quote_spanned! {span=>
                #krate::__private::write_static(#site, &raw const #place)
            },
            (Use::Write, false) => quote_spanned! {span=>
                #krate::__private::write(#site, &raw const #place)
            },
            (Use::Borrow, _) => quote_spanned! {span=>
                #krate::__private::Plain::new(&raw const #place).read(#site)
            },
            (Use::BorrowMut, _) => quote_spanned! {span=>
                #krate::__private::Whole::new(&raw const #place).write(#site)
            },
        }
    }

    /// Rewrites the pointer that a place dereferences, where it is computed.
    ///
    /// Input: `(*CALL).field`, in any use. Output: the pointer passes by.
    ///
    /// ```text
    /// (*pass(CALL, |p| if Raw::new(p).is() { read(SITE, &raw const (**p).field) })).field
    /// ```
    fn computed(&mut self, place: &mut Expr, used: Use) {
        let span = hygienic(place.span());
        let bound = ident("__leakcheck_pointer");
        let mut copy = place.clone();
        let Some(hole) = pointer_of(&mut copy) else {
            return;
        };
        *hole = parse_quote_spanned!(span=> (*#bound));
        let chain = Chain::of(self.context, &copy);
        let site = match &chain.owner {
            Some((base, field)) => {
                let site = self.site(place);
                let krate = &self.context.krate;
                quote_spanned! {span=>
                    #site.within(#krate::__private::Owner::of(|| &raw const #base).named(#field))
                }
            }
            None => self.site(place),
        };
        let tell = self.tell(&site, &copy, used, false);
        // The first is the reference to the pointer.
        let tell = match chain.bases.get(1..) {
            Some(bases) if !bases.is_empty() => self.guarded(bases, &tell, place),
            _ => tell,
        };
        let krate = self.context.krate.clone();
        let Some(pointer) = pointer_of(place) else {
            return;
        };
        self.visit_expr_mut(pointer);
        let plain = bare(pointer);
        let passed = quote_spanned! {span=>
            #plain,
            |#bound| {
                if #krate::__private::Raw::new(#bound).is() { #tell; }
            }
        };
        *pointer = library(&krate, "pass", passed, pointer);
    }

    /// Rewrites the pointer that a place dereferences, so that the variable
    /// `root` knows whether it is one.
    ///
    /// Input: `(*CALL)[I]`. Output:
    ///
    /// ```text
    /// (*pass(CALL, |p| root.is_raw(Raw::new(p).is())))[I]
    /// ```
    fn passed_by(&mut self, place: &mut Expr, root: &syn::Ident) {
        self.inside_place(place);
        let span = hygienic(place.span());
        let krate = self.context.krate.clone();
        let Some(pointer) = pointer_of(place) else {
            return;
        };
        let bound = ident("__leakcheck_pointer");
        let plain = bare(pointer);
        let passed = quote_spanned! {span=>
            #plain, |#bound| #root.set(#krate::__private::Raw::new(#bound).is())
        };
        *pointer = library(&krate, "pass", passed, pointer);
    }

    /// Input: `PLACE`, with an index. Output:
    ///
    /// ```text
    /// *::leakcheck::__private::loads(SITE, REACH, &raw const PLACE)
    /// *::leakcheck::__private::stores(SITE, REACH, &raw mut PLACE)
    /// *::leakcheck::__private::as_it_is(Tag::new(&raw const PLACE).looks(SITE, REACH, || LEFT))
    /// ```
    fn once(&self, place: &mut Expr, used: Use, site: &TokenStream, reach: &TokenStream) {
        let krate = &self.context.krate;
        let span = hygienic(place.span());
        let told = if used == Use::Write {
            let told = quote_spanned!(span=> #site, #reach, &raw mut #place);
            library(krate, "stores", told, place)
        } else if used == Use::Compare {
            let told = quote_spanned! {span=>
                #krate::__private::At::new(&raw const #place).looks(#site, #reach)
            };
            library(krate, "as_it_is", told, place)
        } else if used == Use::Match {
            let alone = self.alone_here(place, TAKEN_APART);
            let told = quote_spanned! {span=>
                #krate::__private::Tag::new(&raw const #place).looks(#site, #reach, || { #alone })
            };
            library(krate, "as_it_is", told, place)
        } else {
            let told = quote_spanned!(span=> #site, #reach, &raw const #place);
            library(krate, "loads", told, place)
        };
        let told = if has_field(place) {
            self.as_copy(&told, used)
        } else {
            quote!(#told)
        };
        let first = first_span(&place.to_token_stream());
        *place = parse_quote_spanned!(first=> *#told);
    }

    /// A field may be of a packed struct, and lie at an odd address.
    ///
    /// Input: `loads(…)`, `stores(…)`. Output:
    ///
    /// ```text
    /// Lies::at(loads(…)).copied(|p| p.read_unaligned()).place()
    /// Written::new(stores(…), |p| p.read_unaligned(), |p, v| p.write_unaligned(v)).place()
    /// ```
    fn as_copy(&self, address: &Expr, used: Use) -> TokenStream {
        let krate = &self.context.krate;
        let span = hygienic(address.span());
        let quiet = quote_spanned!(span=> allow(unused_unsafe));
        let [at, value] = ["__leakcheck_at", "__leakcheck_value"].map(ident);
        let read = quote_spanned! {span=> |#at| {
            #[#quiet]
            let #value = unsafe { #at.read_unaligned() };
            #value
        }};
        if used == Use::Write {
            let back = quote_spanned! {span=> |#at, #value| {
                #[#quiet]
                let () = unsafe { #at.write_unaligned(#value) };
            }};
            quote_spanned! {span=>
                #krate::__private::Written::new(#address, #read, #back).place()
            }
        } else {
            quote_spanned!(span=> #krate::__private::Lies::at(#address).copied(#read).place())
        }
    }

    /// A place whose value is taken.
    ///
    /// Input: `PLACE`. Output:
    ///
    /// ```text
    /// ::leakcheck::__private::second(HOOK, PLACE)
    /// ```
    pub fn value(&mut self, expression: &mut Expr) {
        let whole = expression.clone();
        let way = self.way(expression, Use::Read, &whole);
        self.operand(expression, Use::Read, way, &whole);
        self.stepped(expression, &whole);
    }

    /// A place that is used where it stands, not borrowed by name.
    pub fn operand(&mut self, place: &mut Expr, used: Use, way: Way, whole: &Expr) {
        match way {
            Way::No | Way::Borrowed { .. } | Way::BorrowedOf { .. } => self.inside_place(place),
            Way::Before(hook) => {
                self.inside_place(place);
                self.before(place, Some(hook));
            }
            Way::Once { site, reach } => {
                self.inside_place(place);
                self.once(place, used, &site, &reach);
            }
            Way::OnceOf { site, root } => {
                self.passed_by(place, &root);
                self.once(place, used, &site, &quote!(&#root));
            }
            Way::Computed => self.computed(place, used),
            Way::Alone(why) => {
                self.alone(whole, why);
                self.inside_place(place);
            }
        }
    }

    pub fn before(&self, expression: &mut Expr, hook: Option<TokenStream>) {
        let Some(hook) = hook else { return };
        let span = hygienic(expression.span());
        let told = quote_spanned!(span=> { #hook; }, #expression);
        *expression = library(&self.context.krate, "second", told, expression);
    }

    /// What a place is made of: calls in it, and indices.
    pub fn inside_place(&mut self, place: &mut Expr) {
        match place {
            Expr::Paren(paren) => self.inside_place(&mut paren.expr),
            Expr::Field(field) => self.stepped_from(&mut field.base, false),
            Expr::Index(index) => {
                self.stepped_from(&mut index.expr, true);
                if !simple(&index.index) {
                    self.indexed(&mut index.index);
                }
            }
            Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => {
                self.stepped_from(&mut unary.expr, false);
            }
            Expr::Path(_) => {}
            other => self.visit_expr_mut(other),
        }
    }

    fn stepped_from(&mut self, base: &mut Expr, is_indexed: bool) {
        let whole = base.clone();
        self.behind_guard(base);
        if let Expr::Path(path) = &whole
            && self.is_made_of(path)
        {
            self.moved(&whole);
        }
        if !is_place(&whole) {
            self.computed_base(base, &whole, is_indexed);
        }
    }

    /// True for a name that may be a constant's, of which a value is made where it
    /// stands.
    fn is_made_of(&self, path: &syn::ExprPath) -> bool {
        let last = path.path.segments.last();
        last.is_some_and(|last| {
            let name = last.ident.to_string();
            let is_variable = |all: &BTreeSet<String>| all.contains(&name);
            name.starts_with(char::is_uppercase)
                && !is_variable(&self.context.statics)
                && !is_variable(&self.context.unchanged)
        })
    }

    /// What is used by reference: if it is a lock's guard, a temporary of this
    /// statement, unless a variable keeps it.
    pub fn behind_guard(&mut self, used: &mut Expr) {
        if self.release.is_none() && !self.keeps_guard && lock_of(used).is_some() {
            self.release = self.new_release();
            self.inside_place(used);
            self.release = None;
        } else {
            self.inside_place(used);
        }
    }

    /// An argument of a macro that only looks at it.
    ///
    /// Input: `println!("{}", PLACE)`. Output: its address is taken once.
    ///
    /// ```text
    /// println!("{}", *as_it_is(At::new(&raw const PLACE).looks(SITE, REACH)))
    /// ```
    pub fn looked_at_by_macro(&mut self, argument: &mut Expr) {
        let whole = argument.clone();
        if !is_place(&whole) {
            self.place(argument);
            return;
        }
        match self.way(argument, Use::Compare, &whole) {
            // A constant, or a variable: nothing may go before it here.
            Way::Before(_) => {
                self.alone(&whole, NOT_KNOWN);
                self.inside_place(argument);
            }
            way => self.operand(argument, Use::Compare, way, &whole),
        }
    }

    /// Input: `&PLACE`, `&mut PLACE`. Output:
    ///
    /// ```text
    /// ::leakcheck::__private::second(HOOK, &mut PLACE)
    /// ```
    pub fn borrow(&mut self, expression: &mut Expr) {
        let whole = expression.clone();
        let Expr::Reference(ExprReference {
            expr, mutability, ..
        }) = expression
        else {
            return;
        };
        let used = if mutability.is_some() {
            Use::BorrowMut
        } else {
            Use::Borrow
        };
        if !is_place(expr) && self.is_promoted(expr) {
            // What the compiler computes stays where it is.
            let operators = (**expr).clone();
            self.operated_constants(expression, &operators);
            return;
        }
        if !is_place(expr) {
            let is_matched = matches!(bare(expr), Expr::Match(_));
            let lent = (**expr).clone();
            self.visit_expr_mut(expr);
            if !is_matched {
                self.unexpected(expr);
            }
            self.lent(expr, &lent);
            return;
        }
        match self.way(expr, used, &whole) {
            Way::No | Way::Once { .. } | Way::OnceOf { .. } => self.inside_place(expr),
            Way::Before(hook) => {
                self.inside_place(expr);
                self.before(expression, Some(hook));
            }
            Way::Borrowed { site, reach } => {
                self.inside_place(expr);
                self.borrowed(expression, used, &site, &reach);
            }
            Way::BorrowedOf { site, root } => {
                self.passed_by(expr, &root);
                self.borrowed(expression, used, &site, &quote!(&#root));
            }
            Way::Computed => self.computed(expr, used),
            Way::Alone(why) => {
                self.alone(&whole, why);
                self.inside_place(expr);
            }
        }
        if let Expr::Reference(reference) = &whole {
            if askable(&reference.expr) {
                self.stepped(expression, &reference.expr);
            } else {
                self.stepped_before(&reference.expr);
            }
        }
    }

    /// What is borrowed may be wanted as what it derefs to: a call of the
    /// library would take that for the type of its value.
    ///
    /// Input: `&mut LOCK.lock()`. Output: nothing is expected of a field's base.
    ///
    /// ```text
    /// &mut AsItIs(locked(SITE, Probe::new(&LOCK).object(), false, LOCK.lock(), None)).0
    /// ```
    fn unexpected(&self, value: &mut Expr) {
        match value {
            Expr::Paren(inner) => self.unexpected(&mut inner.expr),
            Expr::Verbatim(_) | Expr::Match(_) => {
                let span = hygienic(value.span());
                let held = library(&self.context.krate, "AsItIs", quote!(#value), value);
                *value = parse_quote_spanned!(span=> #held.0);
            }
            _ => {}
        }
    }
}
