//! Places that a pattern takes apart: what of them is surely read.
//!
//! - A number, character or truth value that a `match` compares with literals
//!   is read as a whole.
//! - A `let` that cannot fail reads what it binds, and nothing else: elements
//!   of tuples, fields of `Self` and of structs of the tracked module. Another
//!   path may be a variant's, whose fields have no place of their own.
//!
//! What it misses: all else is left alone and counted. Which parts a pattern
//! that may fail reads, and whether it does, only the compiler knows.

use quote::quote_spanned;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Arm, Expr, Lit, Member, Pat, Path, Stmt, Token, parse_quote_spanned};

use super::Context;
use super::access::{Use, Way};
use super::body::Body;
use super::chain;
use super::left::TAKEN_APART;
use super::place::hygienic;

impl Body<'_> {
    /// What a `match` looks into.
    ///
    /// Input: `match PLACE { 0 => …, n => … }`. Output: its address is taken once.
    pub fn matched(&mut self, place: &mut Expr, arms: &[Arm]) {
        let whole = place.clone();
        if !self.unsafety || !chain::is_place(place) || !is_read_whole(arms) {
            self.looked_into(place);
            return;
        }
        match self.way(place, Use::Compare, &whole) {
            // A constant, or a variable: nothing may go before it here.
            Way::Before(_) => self.looked_into(place),
            way => self.operand(place, Use::Compare, way, &whole),
        }
    }

    /// What a `let` takes apart.
    ///
    /// Input: `let (a, Self { b, .. }) = PLACE;`. Output:
    ///
    /// ```text
    /// { HOOK of (PLACE).0 } { HOOK of (PLACE).1.b }
    /// let (a, Self { b, .. }) = PLACE;
    /// ```
    pub fn taken_apart(&mut self, pattern: &Pat, may_fail: bool, place: &mut Expr) {
        match self.parts_read(pattern, may_fail, place) {
            Some(hooks) => {
                self.declare_hooks(hooks);
                self.inside_place(place);
            }
            None => self.looked_into(place),
        }
    }

    /// Statements that tell of what is read; none if that is not known.
    fn parts_read(&mut self, pattern: &Pat, may_fail: bool, place: &Expr) -> Option<Vec<Stmt>> {
        if may_fail || !self.unsafety || !chain::is_place(place) {
            return None;
        }
        let mut parts = Vec::new();
        if !parts_of(self.context, pattern, &Part::whole(place), &mut parts) {
            return None;
        }
        let mut hooks = Vec::new();
        let krate = self.context.krate.clone();
        for Part { place, of } in parts {
            let span = hygienic(place.span());
            // A reference's parts are bound by reference.
            let own = of.iter().map(|base| {
                let base = chain::unevaluated(base, &krate);
                quote_spanned!(span=> #krate::__private::Step::of(|| &raw const #base).is_own())
            });
            match self.way(&place, Use::Read, &place) {
                Way::Before(hook) => {
                    let alone = self.alone_here(&place, TAKEN_APART);
                    hooks.push(parse_quote_spanned! {span=>
                        if true #(&& #own)* { #hook; } else { #alone }
                    });
                }
                Way::No => {}
                Way::Once { .. }
                | Way::OnceOf { .. }
                | Way::Borrowed { .. }
                | Way::BorrowedOf { .. }
                | Way::Computed
                | Way::Alone(_) => return None,
            }
        }
        Some(hooks)
    }

    /// A place of which is not known what is read of it.
    pub fn looked_into(&mut self, place: &mut Expr) {
        if self.unsafety && chain::is_place(place) {
            let chain = chain::Chain::of(self.context, place);
            let whole = place.clone();
            match &chain.root {
                chain::Root::Static(_) => self.alone(&whole, TAKEN_APART),
                chain::Root::Pointer(pointer) if self.typed.is_box(pointer) => {}
                chain::Root::Pointer(_) | chain::Root::Computed => self.alone(&whole, TAKEN_APART),
                chain::Root::Other => {}
            }
        }
        self.place(place);
    }
}

/// True if a value that can only be a number or the like is compared first.
fn is_read_whole(arms: &[Arm]) -> bool {
    let first = arms.first().is_some_and(|arm| compares(&arm.pat));
    first && arms.iter().all(|arm| !binds_by_reference(&arm.pat))
}

fn compares(pattern: &Pat) -> bool {
    match pattern {
        Pat::Lit(literal) => !matches!(literal.lit, Lit::Str(_) | Lit::ByteStr(_) | Lit::CStr(_)),
        Pat::Range(_) => true,
        Pat::Or(either) => either.cases.first().is_some_and(compares),
        Pat::Paren(inner) => compares(&inner.pat),
        _ => false,
    }
}

fn binds_by_reference(pattern: &Pat) -> bool {
    match pattern {
        Pat::Ident(name) => {
            name.by_ref.is_some()
                || name
                    .subpat
                    .as_ref()
                    .is_some_and(|(_, inner)| binds_by_reference(inner))
        }
        Pat::Or(either) => either.cases.iter().any(binds_by_reference),
        Pat::Paren(inner) => binds_by_reference(&inner.pat),
        _ => false,
    }
}

/// A part of a place.
#[derive(Clone)]
struct Part {
    place: Expr,
    /// What it is a part of, the whole first.
    of: Vec<Expr>,
}

impl Part {
    fn whole(place: &Expr) -> Self {
        Self {
            place: place.clone(),
            of: Vec::new(),
        }
    }

    /// `(PLACE).member`
    fn member(&self, member: &Member) -> Self {
        let Self { place, of } = self;
        let span = place.span();
        let mut of = of.clone();
        of.push(place.clone());
        let place = match place {
            Expr::Unary(_) => parse_quote_spanned!(span=> (#place).#member),
            _ => parse_quote_spanned!(span=> #place.#member),
        };
        Self { place, of }
    }
}

/// The parts of a place that a pattern binds by value; false if that is not
/// known.
fn parts_of(context: &Context, pattern: &Pat, place: &Part, parts: &mut Vec<Part>) -> bool {
    match pattern {
        Pat::Wild(_) => true,
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            parts.push(place.clone());
            true
        }
        Pat::Paren(inner) => parts_of(context, &inner.pat, place, parts),
        Pat::Type(inner) => parts_of(context, &inner.pat, place, parts),
        Pat::Tuple(tuple) => elements_of(context, &tuple.elems, place, parts),
        Pat::TupleStruct(tuple) if tuple.qself.is_none() && is_struct(context, &tuple.path) => {
            elements_of(context, &tuple.elems, place, parts)
        }
        Pat::Struct(fields) if fields.qself.is_none() && is_struct(context, &fields.path) => {
            let mut each = fields.fields.iter();
            each.all(|field| {
                let inner = place.member(&field.member);
                field.attrs.is_empty() && parts_of(context, &field.pat, &inner, parts)
            })
        }
        _ => false,
    }
}

fn elements_of(
    context: &Context,
    elements: &Punctuated<Pat, Token![,]>,
    place: &Part,
    parts: &mut Vec<Part>,
) -> bool {
    let before = elements
        .iter()
        .take_while(|pattern| !matches!(pattern, Pat::Rest(_)));
    let known = before.clone().enumerate().all(|(at, pattern)| {
        let inner = place.member(&Member::from(at));
        parts_of(context, pattern, &inner, parts)
    });
    // Where those behind `..` are is not known.
    let mut behind = elements.iter().skip(before.count() + 1);
    known && behind.all(|pattern| matches!(pattern, Pat::Wild(_)))
}

fn is_struct(context: &Context, path: &Path) -> bool {
    path.get_ident()
        .is_some_and(|name| name == "Self" || context.structs.contains(&name.to_string()))
}
