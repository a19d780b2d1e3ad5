//! Places that a pattern takes apart: what of them is surely read.
//!
//! - A number, character or truth value that a `match` compares with literals
//!   is read as a whole.
//! - Where a variant is asked for, the tag is read: the library knows the types
//!   that are nothing else.
//! - A `let` that cannot fail reads what it binds, and nothing else: elements
//!   of tuples, fields of `Self` and of structs of the tracked module. Another
//!   path may be a variant's, whose fields have no place of their own.
//!
//! What it misses: all else is left alone and counted. Which parts a pattern
//! that may fail reads, and whether it does, only the compiler knows.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::visit_mut::VisitMut as _;
use syn::{Expr, ExprCall, ExprStruct, Lit, Member, Pat, Path, Stmt, Token, parse_quote_spanned};

use super::Context;
use super::body::Body;
use super::chain;
use super::left::TAKEN_APART;
use super::place::{hygienic, ident};
use super::way::{Use, Way};

impl Body<'_> {
    /// What a `match`, or an `if let`, looks into.
    ///
    /// Input: `match PLACE { 0 => …, n => … }`, `if let Idle = PLACE { … }`.
    /// Output: its address is taken once.
    pub fn matched<'p>(&mut self, place: &mut Expr, patterns: impl Iterator<Item = &'p Pat>) {
        let whole = place.clone();
        if chain::is_place(place) {
            self.stepped_before(&whole);
            self.named_value(&whole);
        } else {
            self.visit_expr_mut(place);
            let extends = std::mem::replace(&mut self.extends, false);
            self.left_over(place, &whole);
            self.extends = extends;
            return;
        }
        let used = used_by(patterns).filter(|_| self.unsafety && chain::is_place(place));
        let Some(used) = used else {
            self.looked_into(place);
            return;
        };
        match self.way(place, used, &whole) {
            // A constant, or a variable: nothing may go before it here.
            Way::Before(_) => self.looked_into(place),
            way => self.operand(place, used, way, &whole),
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
        if chain::is_place(place) {
            self.stepped_before(&place.clone());
        }
        match self.parts_read(pattern, may_fail, place) {
            Some(hooks) => {
                self.declare_hooks(hooks);
                self.inside_place(place);
            }
            None => self.looked_into(place),
        }
    }

    /// What a struct takes from another: the fields that it does not name, and
    /// nothing can be moved out of the place for them. What goes before it.
    ///
    /// Input: `S { a, ..PLACE }`, `S { ..PLACE }`. Output: left alone, and
    /// `second(HOOK, S { ..PLACE })`.
    pub fn rest_read(&mut self, made: &mut ExprStruct) -> Option<TokenStream> {
        let takes_all = made.fields.is_empty();
        let place = made.rest.as_deref_mut()?;
        if !chain::is_place(place) {
            self.visit_expr_mut(place);
            return None;
        }
        let whole = place.clone();
        self.stepped_before(&whole);
        if takes_all && let Way::Before(hook) = self.way(place, Use::Read, &whole) {
            self.inside_place(place);
            return Some(hook);
        }
        self.looked_into(place);
        None
    }

    /// What an assignment to a pattern takes apart. What goes before it.
    ///
    /// Input: `(a, _) = PLACE`. Output: `second({ HOOK of (PLACE).0 }, (a, _) = PLACE)`.
    pub fn assigned_from(&mut self, pattern: &Expr, place: &mut Expr) -> Option<TokenStream> {
        self.stepped_before(&place.clone());
        let pattern = as_pattern(pattern);
        match self.parts_read(&pattern, false, place) {
            Some(hooks) => {
                self.inside_place(place);
                (!hooks.is_empty()).then(|| quote!(#(#hooks)*))
            }
            None => {
                self.looked_into(place);
                None
            }
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
        for Part { place, of } in parts {
            let span = hygienic(place.span());
            // A reference's parts are bound by reference.
            let own: Vec<_> = of.iter().map(|base| self.step(base, "is_own")).collect();
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

/// True if a variable borrows what the pattern is given.
pub fn binds_by_reference(pattern: &Pat) -> bool {
    struct Borrows(bool);

    impl<'ast> Visit<'ast> for Borrows {
        fn visit_pat_ident(&mut self, name: &'ast syn::PatIdent) {
            self.0 |= name.by_ref.is_some();
            visit::visit_pat_ident(self, name);
        }
    }

    let mut borrows = Borrows(false);
    borrows.visit_pat(pattern);
    borrows.0
}

/// What patterns surely do with a value, by the first; none if that is not
/// known.
fn used_by<'p>(mut patterns: impl Iterator<Item = &'p Pat>) -> Option<Use> {
    let first = patterns.next()?;
    let used = if compares(first) {
        Use::Compare
    } else if asks_which(first) {
        Use::Match
    } else {
        return None;
    };
    let binds = binds_part(first) || patterns.any(binds_part);
    (!binds).then_some(used)
}

/// A variant without parts, or one of an option or a result: what has one
/// variant only is not read.
fn asks_which(pattern: &Pat) -> bool {
    match pattern {
        Pat::Path(path) => path.qself.is_none(),
        Pat::Ident(name) => {
            name.by_ref.is_none() && name.subpat.is_none() && is_variant(&name.ident.to_string())
        }
        Pat::TupleStruct(tuple) => {
            let known = ["Some", "Ok", "Err"];
            known.iter().any(|known| tuple.path.is_ident(known))
        }
        Pat::Or(either) => either.cases.first().is_some_and(asks_which),
        Pat::Paren(inner) => asks_which(&inner.pat),
        _ => false,
    }
}

/// True if a value that can only be a number or the like is compared.
fn compares(pattern: &Pat) -> bool {
    match pattern {
        Pat::Lit(literal) => !matches!(literal.lit, Lit::Str(_) | Lit::ByteStr(_) | Lit::CStr(_)),
        Pat::Range(_) => true,
        Pat::Or(either) => either.cases.first().is_some_and(compares),
        Pat::Paren(inner) => compares(&inner.pat),
        _ => false,
    }
}

/// True if a part of the value may be bound, or the value by reference: the
/// place could not be behind another pointer then.
fn binds_part(pattern: &Pat) -> bool {
    match pattern {
        Pat::Ident(name) => name.by_ref.is_some() || name.subpat.is_some(),
        Pat::Or(either) => either.cases.iter().any(binds_part),
        Pat::Paren(inner) => binds_part(&inner.pat),
        Pat::Lit(_) | Pat::Path(_) | Pat::Range(_) | Pat::Wild(_) | Pat::Const(_) => false,
        other => {
            let mut binds = Binds(false);
            binds.visit_pat(other);
            binds.0
        }
    }
}

/// Whether there is a binding in a pattern, or what may make one.
struct Binds(bool);

impl<'ast> Visit<'ast> for Binds {
    fn visit_pat_ident(&mut self, name: &'ast syn::PatIdent) {
        self.0 |= !is_variant(&name.ident.to_string()) || name.subpat.is_some();
    }

    fn visit_pat(&mut self, pattern: &'ast Pat) {
        self.0 |= matches!(pattern, Pat::Macro(_) | Pat::Verbatim(_));
        visit::visit_pat(self, pattern);
    }

    fn visit_field_pat(&mut self, field: &'ast syn::FieldPat) {
        self.visit_pat(&field.pat);
    }
}

fn is_variant(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
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

/// The pattern that an assignment takes a value apart by: a place binds by value.
fn as_pattern(assigned: &Expr) -> Pat {
    let span = hygienic(assigned.span());
    let each = |parts: &Punctuated<Expr, Token![,]>| -> Vec<Pat> {
        parts.iter().map(as_pattern).collect()
    };
    match assigned {
        Expr::Paren(inner) => as_pattern(&inner.expr),
        Expr::Infer(_) => parse_quote_spanned!(span=> _),
        Expr::Range(_) => parse_quote_spanned!(span=> ..),
        Expr::Tuple(parts) => {
            let each = each(&parts.elems);
            parse_quote_spanned!(span=> (#(#each,)*))
        }
        Expr::Array(parts) => {
            let each = each(&parts.elems);
            parse_quote_spanned!(span=> [#(#each),*])
        }
        Expr::Call(ExprCall { func, args, .. }) => {
            let each = each(args);
            parse_quote_spanned!(span=> #func(#(#each),*))
        }
        Expr::Struct(made) => {
            let path = &made.path;
            let fields = made.fields.iter().map(|field| {
                let (member, of) = (&field.member, as_pattern(&field.expr));
                quote_spanned!(span=> #member: #of)
            });
            parse_quote_spanned!(span=> #path { #(#fields,)* .. })
        }
        _ => {
            let bound = ident("bound");
            parse_quote_spanned!(span=> #bound)
        }
    }
}

fn is_struct(context: &Context, path: &Path) -> bool {
    path.get_ident()
        .is_some_and(|name| name == "Self" || context.structs.contains(&name.to_string()))
}

/// True if the pattern takes the value of a place, whatever it is.
pub fn takes_value(pattern: &Pat) -> bool {
    match pattern {
        Pat::Ident(ident) => ident.by_ref.is_none() && ident.subpat.is_none(),
        Pat::Type(typed) => takes_value(&typed.pat),
        _ => false,
    }
}

/// The variable that is all of a pattern.
pub fn name_of(pattern: &Pat) -> Option<String> {
    match pattern {
        Pat::Ident(ident) => Some(ident.ident.to_string()),
        _ => None,
    }
}
