//! A place as a chain: a root, a static variable or a pointer, and steps of
//! fields, indices and dereferences.
//!
//! A step may run code: a `Deref` or an `Index` of the program's own. Which
//! one does, only its type tells.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprPath, ExprUnary, parse_quote_spanned};

use super::Context;
use super::address::takes_address;
use super::place::{bare, hygienic, ident};
use super::sync::simple;

/// Where a place begins.
#[derive(Clone)]
pub enum Root {
    /// A static variable; true if it is known to be one that may change.
    Static(bool),
    /// A dereference of a pointer that is a place itself.
    Pointer(Expr),
    /// A dereference of what a call or the like returns.
    Computed,
    /// Something else.
    Other,
}

/// What a step goes out from: it may be a type with a `Deref`, or an `Index`,
/// of its own.
#[derive(Clone)]
pub struct Base {
    pub expr: Expr,
    /// The step is an index.
    pub is_indexed: bool,
}

impl Base {
    fn of(expr: &Expr, is_indexed: bool) -> Self {
        let expr = expr.clone();
        Self { expr, is_indexed }
    }

    /// What asks whether the step stays in the same memory.
    pub const fn asks_memory(&self) -> &'static str {
        if self.is_indexed {
            "is_array"
        } else {
            "is_own"
        }
    }
}

/// A place.
#[derive(Clone)]
pub struct Chain {
    pub root: Root,
    /// What the steps go out from, the outermost last.
    pub bases: Vec<Base>,
    /// There is an index, so that nothing can be moved out of the place.
    pub is_indexed: bool,
    /// There is an index that is neither a name nor a number.
    pub is_index_computed: bool,
    /// What the last field belongs to, and its name; where there is none, the
    /// place itself.
    pub owner: Option<(Expr, String)>,
}

impl Chain {
    /// Of this place.
    pub fn of(context: &Context, place: &Expr) -> Self {
        let mut chain = Self::empty();
        chain.descend(context, place);
        chain.bases.reverse();
        let owner = field_of(place);
        chain.owner = owner.filter(|(base, _)| has_simple_steps(base));
        chain
    }

    const fn empty() -> Self {
        Self {
            root: Root::Other,
            bases: Vec::new(),
            is_indexed: false,
            is_index_computed: false,
            owner: None,
        }
    }

    fn descend(&mut self, context: &Context, place: &Expr) {
        match place {
            Expr::Paren(paren) => self.descend(context, &paren.expr),
            Expr::Field(field) => {
                self.bases.push(Base::of(&field.base, false));
                self.descend(context, &field.base);
            }
            Expr::Index(index) => {
                self.is_indexed = true;
                self.is_index_computed |= !is_plain_index(&index.index);
                self.bases.push(Base::of(&index.expr, true));
                self.descend(context, &index.expr);
            }
            Expr::Path(path) => self.root = static_root(context, path),
            Expr::Unary(ExprUnary {
                op: syn::UnOp::Deref(_),
                expr,
                ..
            }) => {
                if simple(expr) {
                    self.root = Root::Pointer((**expr).clone());
                    self.pointer(expr);
                } else if is_computed(expr) {
                    self.root = Root::Computed;
                }
            }
            _ => {}
        }
    }

    /// The steps to a pointer.
    fn pointer(&mut self, pointer: &Expr) {
        match pointer {
            Expr::Paren(paren) => self.pointer(&paren.expr),
            Expr::Field(field) => {
                self.bases.push(Base::of(&field.base, false));
                self.pointer(&field.base);
            }
            Expr::Index(index) => {
                self.is_indexed = true;
                self.bases.push(Base::of(&index.expr, true));
                self.pointer(&index.expr);
            }
            Expr::Unary(unary) => {
                self.bases.push(Base::of(&unary.expr, false));
                self.pointer(&unary.expr);
            }
            _ => {}
        }
    }

    /// True if no step can run code: a name, or a dereference of one.
    pub fn is_bare(&self) -> bool {
        self.bases.is_empty()
    }

    /// True if it begins with `self`.
    pub fn is_of_self(&self) -> bool {
        let first = match (&self.root, self.bases.first()) {
            (Root::Pointer(pointer), None) => pointer,
            (Root::Pointer(_), Some(base)) => &base.expr,
            _ => return false,
        };
        matches!(first, Expr::Path(path) if path.path.is_ident("self"))
    }
}

/// What the steps of a place go out from, dereferences among them.
pub fn steps_of(place: &Expr) -> Vec<Base> {
    let mut chain = Chain::empty();
    chain.pointer(place);
    chain.bases.reverse();
    chain.bases
}

fn static_root(context: &Context, path: &ExprPath) -> Root {
    match upper_name(path) {
        Some(name) if context.statics.contains(&name) => Root::Static(true),
        Some(name) if context.constants.contains(&name) => Root::Other,
        Some(_) => Root::Static(false),
        None => Root::Other,
    }
}

/// The name that a place begins with.
pub fn root_of(place: &Expr) -> Option<&ExprPath> {
    match place {
        Expr::Paren(paren) => root_of(&paren.expr),
        Expr::Field(field) => root_of(&field.base),
        Expr::Index(index) => root_of(&index.expr),
        Expr::Path(path) => Some(path),
        _ => None,
    }
}

fn field_of(place: &Expr) -> Option<(Expr, String)> {
    match place {
        Expr::Paren(paren) => field_of(&paren.expr),
        Expr::Field(field) => {
            let name = match &field.member {
                syn::Member::Named(name) => name.to_string(),
                syn::Member::Unnamed(index) => index.index.to_string(),
            };
            Some(((*field.base).clone(), name))
        }
        Expr::Index(index) => field_of(&index.expr),
        _ => None,
    }
}

/// True for what names a place and calls nothing that is written there.
pub fn has_simple_steps(place: &Expr) -> bool {
    match place {
        Expr::Index(index) => is_plain_index(&index.index) && has_simple_steps(&index.expr),
        Expr::Field(field) => has_simple_steps(&field.base),
        Expr::Paren(paren) => has_simple_steps(&paren.expr),
        Expr::Unary(unary) => has_simple_steps(&unary.expr),
        other => simple(other),
    }
}

/// True if there is an index by a name: it may be a value that is moved.
pub fn is_indexed_by_name(place: &Expr) -> bool {
    match place {
        Expr::Index(index) => {
            !matches!(*index.index, Expr::Lit(_)) || is_indexed_by_name(&index.expr)
        }
        Expr::Field(field) => is_indexed_by_name(&field.base),
        Expr::Paren(paren) => is_indexed_by_name(&paren.expr),
        Expr::Unary(unary) => is_indexed_by_name(&unary.expr),
        _ => false,
    }
}

/// True if there is a field on the way.
pub fn has_field(place: &Expr) -> bool {
    match place {
        Expr::Field(_) => true,
        Expr::Index(index) => has_field(&index.expr),
        Expr::Paren(paren) => has_field(&paren.expr),
        _ => false,
    }
}

fn is_plain_index(index: &Expr) -> bool {
    simple(index) || matches!(index, Expr::Lit(_))
}

/// Puts another index for each of a place's that is no literal.
struct Indices<F>(F);

impl<F: FnMut(&Expr) -> Option<Expr>> VisitMut for Indices<F> {
    fn visit_expr_index_mut(&mut self, index: &mut syn::ExprIndex) {
        visit_mut::visit_expr_index_mut(self, index);
        if !matches!(*index.index, Expr::Lit(_))
            && let Some(other) = (self.0)(&index.index)
        {
            *index.index = other;
        }
    }
}

/// A place as it may stand in a closure that is never called: an index is
/// only looked at, for the closure must not take it.
pub fn unevaluated(place: &Expr, krate: &TokenStream) -> Expr {
    let mut place = place.clone();
    let looked = |index: &Expr| {
        let span = hygienic(index.span());
        Some(parse_quote_spanned!(span=> #krate::__private::any(&(#index))))
    };
    Indices(looked).visit_expr_mut(&mut place);
    place
}

/// A place as it is evaluated again, where all its indices are there again, and what
/// says so: a variable that is no number may be moved by the first time.
pub fn again(place: &Expr, krate: &TokenStream) -> (Expr, Vec<TokenStream>) {
    let mut place = place.clone();
    let mut there = Vec::new();
    let repeated = |index: &Expr| {
        if upper_root(index).is_some() {
            // A constant is made anew, and of a static variable nothing is moved.
            return None;
        }
        let span = hygienic(index.span());
        let looked = quote_spanned!(span=> #krate::__private::Index::of(&(#index)));
        there.push(quote_spanned!(span=> #looked.is_there()));
        Some(parse_quote_spanned!(span=> #looked.again()))
    };
    Indices(repeated).visit_expr_mut(&mut place);
    (place, there)
}

/// Asks about the type of a place, which is not looked at: another part of it
/// may have been moved away. What follows a `break` is typed, and is not checked
/// for that.
///
/// Input: `PLACE`, `is_plain`. Output:
///
/// ```text
/// {
///     let step = 'asks: {
///         let step = Step::unasked();
///         break 'asks step;
///         Step::at(&raw const PLACE) // or `like(&NAME)`
///     };
///     step.is_plain()
/// }
/// ```
pub fn step(place: &Expr, ask: &str, krate: &TokenStream) -> TokenStream {
    let ask = ident(ask);
    typed(place, "Step", &quote!(#ask()), krate)
}

/// As [`step`], with what is asked, and the type of the library that answers.
///
/// A name may be a constant's or a function's, which has no address; a field
/// may be of a packed struct, which has no reference.
pub fn typed(place: &Expr, answers: &str, asks: &TokenStream, krate: &TokenStream) -> TokenStream {
    let span = hygienic(place.span());
    let constant = upper_root(place).is_some();
    let place = unevaluated(bare(place), krate);
    let at = match &place {
        Expr::Path(_) => quote_spanned!(span=> like(&#place)),
        // Of a constant there is no address, and of a packed one no reference.
        Expr::Field(_) if constant => quote_spanned!(span=> value(#place)),
        Expr::Index(_) if constant => quote_spanned!(span=> like(&#place)),
        place => quote_spanned!(span=> at(&raw const #place)),
    };
    asked(&at, answers, asks, krate, span)
}

/// As [`typed`], by how it is asked.
pub fn asked(
    at: &TokenStream,
    answers: &str,
    asks: &TokenStream,
    krate: &TokenStream,
    span: proc_macro2::Span,
) -> TokenStream {
    let answers = ident(answers);
    let step = ident("step");
    // Of the expansion's own code, in a user's crate.
    let quiet = quote_spanned!(span=> allow(unreachable_code, static_mut_refs, unused_parens));
    let label = syn::Lifetime::new("'asks", span);
    quote_spanned! {span=> {
        #[#quiet]
        let #step = #label: {
            let #step = #krate::__private::#answers::unasked();
            break #label #step;
            #krate::__private::#answers::#at
        };
        #step.#asks
    }}
}

/// The upper-case name that a place begins with.
pub fn upper_root(place: &Expr) -> Option<String> {
    root_of(place).and_then(upper_name)
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
    let upper = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && !name.contains(|c: char| c.is_ascii_lowercase());
    (upper && !of_type).then_some(name)
}

/// True for what stands for a place, not for a value.
pub fn is_place(expression: &Expr) -> bool {
    match expression {
        Expr::Paren(paren) => is_place(&paren.expr),
        Expr::Path(_) | Expr::Field(_) | Expr::Index(_) => true,
        Expr::Unary(unary) => matches!(unary.op, syn::UnOp::Deref(_)),
        _ => false,
    }
}

/// True for what a dereference leads to, or a part of it.
pub fn is_behind(place: &Expr) -> bool {
    match place {
        Expr::Paren(paren) => is_behind(&paren.expr),
        Expr::Field(field) => is_behind(&field.base),
        Expr::Index(index) => is_behind(&index.expr),
        Expr::Unary(unary) => matches!(unary.op, syn::UnOp::Deref(_)),
        _ => false,
    }
}

/// What can be bound to a name and passed on.
fn is_computed(expression: &Expr) -> bool {
    match expression {
        Expr::Paren(paren) => is_computed(&paren.expr),
        Expr::Call(_) | Expr::MethodCall(_) | Expr::Cast(_) | Expr::RawAddr(_) => true,
        Expr::Macro(called) => takes_address(&called.mac),
        _ => false,
    }
}

/// The pointer that the place dereferences first.
pub fn pointer_of(place: &mut Expr) -> Option<&mut Expr> {
    match place {
        Expr::Paren(paren) => pointer_of(&mut paren.expr),
        Expr::Field(field) => pointer_of(&mut field.base),
        Expr::Index(index) => pointer_of(&mut index.expr),
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => Some(&mut unary.expr),
        _ => None,
    }
}
