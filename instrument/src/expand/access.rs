//! Accesses to shared variables: static variables that may change, and what
//! raw pointers point to. Only inside of `unsafe`, where such code must be.
//!
//! A place has a root, a static variable or a pointer, and a path of fields
//! and indices. The library is told the address of the whole place, by
//! `&raw const`, which reads nothing. That evaluates the place twice: a place
//! is left alone unless it is made of names, fields, dereferences and indices
//! by names or numbers. A pointer that a call returns is bound first.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::visit_mut::VisitMut as _;
use syn::{Block, Expr, ExprBinary, ExprPath, ExprReference, ExprUnary, parse_quote_spanned};

use super::body::{Body, is_assignment};
use super::guards::lock_of;
use super::place::{bare, hygienic, ident, library};
use super::sync::simple;

/// What is done with a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Read,
    Write,
    Borrow,
    BorrowMut,
}

/// Where a place begins.
enum Root {
    /// A static variable; true if it is known to be one that may change.
    Static(bool),
    /// A dereference of a pointer that may be evaluated twice.
    Pointer(Expr),
    /// A dereference of what a call or the like returns.
    Computed,
    /// Something else.
    Other,
}

impl Body<'_> {
    fn root(&self, place: &Expr) -> Root {
        match place {
            Expr::Paren(paren) => self.root(&paren.expr),
            Expr::Field(field) => self.root(&field.base),
            Expr::Index(index) if simple(&index.index) || is_number(&index.index) => {
                self.root(&index.expr)
            }
            Expr::Path(path) => self.static_root(path),
            Expr::Unary(ExprUnary {
                op: syn::UnOp::Deref(_),
                expr,
                ..
            }) => {
                if simple(expr) {
                    Root::Pointer((**expr).clone())
                } else if is_computed(expr) {
                    Root::Computed
                } else {
                    Root::Other
                }
            }
            _ => Root::Other,
        }
    }

    fn static_root(&self, path: &ExprPath) -> Root {
        match upper_name(path) {
            Some(name) if self.context.statics.contains(&name) => Root::Static(true),
            Some(name) if self.context.constants.contains(&name) => Root::Other,
            Some(_) => Root::Static(false),
            None => Root::Other,
        }
    }

    /// The call that tells the library of an access to a place, before it.
    fn hook(&self, place: &Expr, used: Use, whole: &Expr) -> Option<TokenStream> {
        let krate = &self.context.krate;
        let own = upper_root(place).and_then(|name| self.context.variables.get(&name));
        let site = match own {
            Some(own) if own.skip => return None,
            Some(own) => {
                let mut context = self.context.clone();
                context.args = context.args.to_variable(own);
                context.site(whole, &self.function, self.opaque)
            }
            None => self.site(whole),
        };
        let span = hygienic(place.span());
        match self.root(place) {
            Root::Static(known) => {
                let tell = match (used, known) {
                    (Use::Write, _) => quote_spanned! {span=>
                        #krate::__private::write_static(#site, &raw const #place)
                    },
                    (Use::BorrowMut, true) => quote_spanned! {span=>
                        #krate::__private::Whole::new(&raw const #place).write(#site)
                    },
                    (Use::Read, true) => quote_spanned! {span=>
                        #krate::__private::read_static(#site, &raw const #place)
                    },
                    (Use::Borrow, true) => quote_spanned! {span=>
                        #krate::__private::Plain::new(&raw const #place).read(#site)
                    },
                    // It may be a constant, which has no address of its own.
                    (Use::Read, false) => {
                        let allow = ident("allow");
                        quote_spanned! {span=>
                            #[#allow(static_mut_refs)]
                            let place = &#place;
                            #krate::__private::read(#site, place)
                        }
                    }
                    (Use::Borrow | Use::BorrowMut, false) => return None,
                };
                Some(tell)
            }
            Root::Pointer(pointer) => {
                let tell = self.tell(&site, place, used);
                Some(quote_spanned! {span=>
                    if #krate::__private::Raw::new(&#pointer).is() { #tell }
                })
            }
            Root::Computed | Root::Other => None,
        }
    }

    fn tell(&self, site: &TokenStream, place: &Expr, used: Use) -> TokenStream {
        let krate = &self.context.krate;
        let span = hygienic(place.span());
        match used {
            Use::Read => quote_spanned!(span=> #krate::__private::read(#site, &raw const #place)),
            Use::Write => quote_spanned!(span=> #krate::__private::write(#site, &raw const #place)),
            Use::Borrow => quote_spanned! {span=>
                #krate::__private::Plain::new(&raw const #place).read(#site)
            },
            Use::BorrowMut => quote_spanned! {span=>
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
        let site = self.site(place);
        let span = hygienic(place.span());
        let bound = ident("__leakcheck_pointer");
        let mut copy = place.clone();
        let Some(hole) = pointer_of(&mut copy) else {
            return;
        };
        *hole = parse_quote_spanned!(span=> (*#bound));
        let tell = self.tell(&site, &copy, used);
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

    /// A place whose value is taken.
    ///
    /// Input: `PLACE`. Output:
    ///
    /// ```text
    /// ::leakcheck::__private::second(HOOK, PLACE)
    /// ```
    pub fn value(&mut self, expression: &mut Expr) {
        if self.unsafety && matches!(self.root(expression), Root::Computed) {
            self.computed(expression, Use::Read);
            return;
        }
        let hook = if self.unsafety {
            self.hook(expression, Use::Read, expression)
        } else {
            None
        };
        self.inside_place(expression);
        self.before(expression, hook);
    }

    fn before(&self, expression: &mut Expr, hook: Option<TokenStream>) {
        let Some(hook) = hook else { return };
        let span = hygienic(expression.span());
        let told = quote_spanned!(span=> { #hook; }, #expression);
        *expression = library(&self.context.krate, "second", told, expression);
    }

    /// What a place is made of: calls in it, and indices.
    pub fn inside_place(&mut self, place: &mut Expr) {
        match place {
            Expr::Paren(paren) => self.inside_place(&mut paren.expr),
            Expr::Field(field) => self.behind_guard(&mut field.base),
            Expr::Index(index) => {
                self.behind_guard(&mut index.expr);
                if !simple(&index.index) {
                    self.visit_expr_mut(&mut index.index);
                }
            }
            Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => {
                self.behind_guard(&mut unary.expr);
            }
            Expr::Path(_) => {}
            other => self.visit_expr_mut(other),
        }
    }

    /// What is used by reference: if it is a lock's guard, a temporary of this
    /// statement.
    pub fn behind_guard(&mut self, used: &mut Expr) {
        if self.release.is_none() && lock_of(used).is_some() {
            self.release = self.new_release();
            self.inside_place(used);
            self.release = None;
        } else {
            self.inside_place(used);
        }
    }

    /// Input: `PLACE = VALUE`, `PLACE += VALUE`. Output: told once the value
    /// is there.
    ///
    /// ```text
    /// PLACE = ::leakcheck::__private::first(VALUE, HOOK)
    /// ```
    pub fn assign(&mut self, expression: &mut Expr) {
        let whole = expression.clone();
        let (left, right) = match expression {
            Expr::Assign(assign) => (&mut assign.left, &mut assign.right),
            Expr::Binary(ExprBinary {
                left, op, right, ..
            }) if is_assignment(op) => (left, right),
            _ => return,
        };
        if matches!(
            **left,
            Expr::Tuple(_) | Expr::Array(_) | Expr::Struct(_) | Expr::Infer(_)
        ) {
            self.visit_expr_mut(right);
            return;
        }
        self.visit_expr_mut(right);
        if !self.unsafety {
            self.inside_place(left);
            return;
        }
        if matches!(self.root(left), Root::Computed) {
            self.computed(left, Use::Write);
            return;
        }
        let hook = self.hook(left, Use::Write, &whole);
        self.inside_place(left);
        if let Some(hook) = hook {
            let span = hygienic(right.span());
            let told = quote_spanned!(span=> #right, { #hook; });
            **right = library(&self.context.krate, "first", told, right);
        }
    }

    /// Input: `PLACE == OTHER`, which borrows both. Output:
    ///
    /// ```text
    /// ::leakcheck::__private::second(HOOK, PLACE == OTHER)
    /// ```
    pub fn compare(&mut self, expression: &mut Expr) {
        let Expr::Binary(binary) = expression else {
            return;
        };
        let mut hooks = Vec::new();
        for operand in [&mut binary.left, &mut binary.right] {
            if self.unsafety && matches!(self.root(operand), Root::Computed) {
                self.computed(operand, Use::Read);
                continue;
            }
            if self.unsafety {
                hooks.extend(self.hook(operand, Use::Read, operand));
            }
            self.place(operand);
        }
        if !hooks.is_empty() {
            self.before(expression, Some(quote!(#(#hooks;)*)));
        }
    }

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
        let Some(place) = place else { return };
        if upper_root(&place).is_none() || !matches!(self.root(&place), Root::Static(_)) {
            return;
        }
        let krate = &self.context.krate;
        let span = hygienic(expression.span());
        self.before(
            expression,
            Some(quote_spanned!(span=> #krate::__private::static_at(&raw const #place))),
        );
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
        if !is_place(expr) {
            self.visit_expr_mut(expr);
            return;
        }
        if self.unsafety && matches!(self.root(expr), Root::Computed) {
            self.computed(expr, used);
            return;
        }
        let hook = if self.unsafety {
            self.hook(expr, used, &whole)
        } else {
            None
        };
        self.inside_place(expr);
        self.before(expression, hook);
    }
}

/// The upper-case names that a body assigns to or takes the address of.
pub fn written(block: &Block, names: &mut BTreeSet<String>) {
    struct Written<'n>(&'n mut BTreeSet<String>);

    impl<'ast> Visit<'ast> for Written<'_> {
        fn visit_expr(&mut self, expression: &'ast Expr) {
            let place = match expression {
                Expr::Assign(assign) => Some(&*assign.left),
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

/// The argument of `addr_of!` and `addr_of_mut!`.
fn address_of(called: &syn::Macro) -> Option<Expr> {
    let last = called.path.segments.last()?;
    if last.ident != "addr_of" && last.ident != "addr_of_mut" {
        return None;
    }
    called.parse_body().ok()
}

/// The upper-case name that a place begins with.
fn upper_root(place: &Expr) -> Option<String> {
    match place {
        Expr::Paren(paren) => upper_root(&paren.expr),
        Expr::Field(field) => upper_root(&field.base),
        Expr::Index(index) => upper_root(&index.expr),
        Expr::Path(path) => upper_name(path),
        _ => None,
    }
}

/// The last name of a path, if it looks like a static variable's.
fn upper_name(path: &ExprPath) -> Option<String> {
    if path.qself.is_some() {
        return None;
    }
    let mut segments = path.path.segments.iter().rev();
    let name = segments.next()?.ident.to_string();
    let of_type = segments
        .next()
        .is_some_and(|owner| owner.ident.to_string().starts_with(char::is_uppercase));
    let upper = name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && !name.contains(|c: char| c.is_ascii_lowercase());
    (upper && !of_type).then_some(name)
}

fn is_place(expression: &Expr) -> bool {
    match expression {
        Expr::Paren(paren) => is_place(&paren.expr),
        Expr::Path(_) | Expr::Field(_) | Expr::Index(_) => true,
        Expr::Unary(unary) => matches!(unary.op, syn::UnOp::Deref(_)),
        _ => false,
    }
}

fn is_number(expression: &Expr) -> bool {
    matches!(expression, Expr::Lit(_))
}

/// What can be bound to a name and passed on.
fn is_computed(expression: &Expr) -> bool {
    match expression {
        Expr::Paren(paren) => is_computed(&paren.expr),
        Expr::Call(_) | Expr::MethodCall(_) | Expr::Cast(_) | Expr::RawAddr(_) => true,
        Expr::Macro(called) => called
            .mac
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "addr_of" || last.ident == "addr_of_mut"),
        _ => false,
    }
}

/// The pointer that the place dereferences first.
fn pointer_of(place: &mut Expr) -> Option<&mut Expr> {
    match place {
        Expr::Paren(paren) => pointer_of(&mut paren.expr),
        Expr::Field(field) => pointer_of(&mut field.base),
        Expr::Index(index) => pointer_of(&mut index.expr),
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => Some(&mut unary.expr),
        _ => None,
    }
}
