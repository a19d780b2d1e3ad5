//! Values that are borrowed where they are made: dropped when the statement
//! ends, or with the variable that borrows them.
//!
//! What a call returns goes through a function that asks its type. What a path
//! or a struct's name makes is asked about where it is not made, for the
//! compiler may keep it for ever.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{
    Expr, ExprCall, ExprClosure, ExprMethodCall, Macro, Stmt, parse_quote, parse_quote_spanned,
};

use super::attributes;
use super::body::Body;
use super::chain::{self, is_place};
use super::foreign::is_variant;
use super::names::POINTER_STEPS;
use super::operated::may_make;
use super::place::{argument, bare, hygienic, library};
use super::steps::askable;

/// What only holds what it is given.
const HOLDS: &[&str] = &["Some", "Ok", "Err", "Ready"];

/// Functions of std whose values the compiler may keep for ever, and that have no
/// code for their end: the type, if it is theirs, and the name.
const PROMOTED: &[(Option<&str>, &[&str])] = &[
    (
        Some("Duration"),
        &[
            "new",
            "from_secs",
            "from_millis",
            "from_micros",
            "from_nanos",
        ],
    ),
    (Some("RangeInclusive"), &["new"]),
    (Some("RawWaker"), &["new"]),
    (Some("RawWakerVTable"), &["new"]),
    (Some("TypeId"), &["of"]),
    (
        None,
        &[
            "align_of",
            "align_of_val",
            "max_value",
            "min_value",
            "needs_drop",
            "null",
            "null_mut",
            "size_of",
            "size_of_val",
        ],
    ),
];

impl Body<'_> {
    /// Input: `CALL()`, dropped when the statement ends. Output:
    /// `own.temporary(CALL())`; where a variable borrows it,
    /// `own.temporary(kept.kept(CALL()))`.
    pub fn temporary(&mut self, value: &mut Expr) {
        *value = argument(value);
        if self.extends
            && let Some(kept) = self.new_kept()
        {
            let told = quote!(&#kept, #value);
            *value = library(&self.context.krate, "Own::kept", told, &value.clone());
        }
        *value = match self.new_own() {
            Some(own) => library(
                &self.context.krate,
                "Own::temporary",
                quote!(&#own, #value),
                &value.clone(),
            ),
            None => library(
                &self.context.krate,
                "dropping",
                quote!(#value),
                &value.clone(),
            ),
        };
    }

    /// Input: `CALL().METHOD()`. Output: `own.temporary(CALL()).METHOD()`.
    ///
    /// Where the statement runs code that is not known anyway, that is after it,
    /// too.
    pub fn lent_to_method(&mut self, call: &mut ExprMethodCall, whole: &ExprMethodCall) {
        let is_pointer = matches!(bare(&whole.receiver), Expr::MethodCall(step)
            if POINTER_STEPS.iter().any(|name| step.method == name));
        if !self.opaque && !is_pointer && !is_place(&whole.receiver) {
            let extends = std::mem::replace(&mut self.extends, false);
            self.left_over(&mut call.receiver, &whole.receiver);
            self.extends = extends;
        }
    }

    /// Input: `&CALL()`. Output: `&AsItIs(own.temporary(CALL())).0`.
    pub fn lent(&mut self, value: &mut Expr, whole: &Expr) {
        if !self.opaque || self.extends {
            self.left_over(value, whole);
            if is_passed(whole) {
                let span = hygienic(value.span());
                let made = bare(value);
                let held = library(&self.context.krate, "AsItIs", quote!(#made), made);
                *value = parse_quote_spanned!(span=> #held.0);
            }
        }
    }

    /// What is made here, and not moved on: dropped with all that was moved into
    /// it. A place stays where it is.
    pub fn left_over(&mut self, value: &mut Expr, whole: &Expr) {
        match (&mut *value, whole) {
            (Expr::Paren(inner), Expr::Paren(whole)) => {
                self.left_over(&mut inner.expr, &whole.expr);
                // Only a block needs them, before `else`.
                let block = |it: &Expr| matches!(it, Expr::Block(_) | Expr::Unsafe(_));
                if block(&whole.expr) && !block(&inner.expr) {
                    *value = (*inner.expr).clone();
                }
            }
            (Expr::Group(value), Expr::Group(whole)) => {
                self.left_over(&mut value.expr, &whole.expr);
            }
            (Expr::Tuple(value), Expr::Tuple(whole)) => {
                self.parts(&mut value.elems, &whole.elems);
            }
            (Expr::Array(value), Expr::Array(whole)) => {
                self.parts(&mut value.elems, &whole.elems);
            }
            (Expr::Cast(value), Expr::Cast(whole)) => self.part(&mut value.expr, &whole.expr),
            (Expr::Repeat(value), Expr::Repeat(whole)) => self.part(&mut value.expr, &whole.expr),
            (Expr::Range(value), Expr::Range(whole)) => {
                let ends = [&mut value.start, &mut value.end].into_iter().flatten();
                let whole = [&whole.start, &whole.end].into_iter().flatten();
                for (value, whole) in ends.zip(whole) {
                    self.part(value, whole);
                }
            }
            (Expr::Call(value), Expr::Call(whole)) if constructor(whole).is_some() => {
                self.made(&Expr::Call(whole.clone()));
                self.parts(&mut value.args, &whole.args);
            }
            (Expr::Struct(value), Expr::Struct(whole)) => {
                self.made(&Expr::Struct(whole.clone()));
                for (value, whole) in value.fields.iter_mut().zip(&whole.fields) {
                    let conditional = self.conditional;
                    self.conditional |= !whole.attrs.is_empty();
                    self.part(&mut value.expr, &whole.expr);
                    self.conditional = conditional;
                }
            }
            (_, whole) if is_passed(whole) => self.temporary(value),
            (_, Expr::Call(call)) if is_promoted(call) => {}
            (_, Expr::Call(_) | Expr::Struct(_)) => self.made(whole),
            (_, Expr::Path(_)) => self.named_value(whole),
            (_, Expr::Closure(closure)) => self.taken_by(closure),
            (_, Expr::Macro(called)) => self.made_by(&called.mac),
            (_, whole) if is_place(whole) || makes_nothing(whole) => {}
            _ => self.drops_later(Drops::Anything),
        }
    }

    fn parts<'e>(
        &mut self,
        values: impl IntoIterator<Item = &'e mut Expr>,
        whole: impl IntoIterator<Item = &'e Expr>,
    ) {
        for (value, whole) in values.into_iter().zip(whole) {
            self.part(value, whole);
        }
    }

    /// What a macro makes ends here: of the known ones only a vector holds what it
    /// is given, and what others make the statement does not know anyway.
    pub fn made_by(&mut self, called: &Macro) {
        if !super::macros::takes_values(called) {
            return;
        }
        for made in super::macros::arguments(called).into_iter().flatten() {
            if is_place(&made) {
                self.moved(&made);
            } else if !makes_nothing(&made) {
                self.drops_later(Drops::Anything);
            }
        }
    }

    /// What is moved into something that is made here.
    fn part(&mut self, value: &mut Expr, whole: &Expr) {
        let conditional = self.conditional;
        let attributes = attributes::take(&mut whole.clone());
        self.conditional |= attributes.iter().any(attributes::is_condition);
        if is_place(whole) {
            self.moved(whole);
        } else {
            self.left_over(value, whole);
        }
        self.conditional = conditional;
    }

    /// What is taken out of a place, and ends here.
    pub fn moved(&mut self, place: &Expr) {
        if self.typed.is_plain(place) || self.typed.is_reference(place) {
            return;
        }
        if !askable(place) {
            self.drops_later(Drops::Anything);
        } else if matches!(bare(place), Expr::Path(path) if is_variant(path)) {
            self.named_value(bare(place));
        } else {
            self.drops_later(Drops::Like(place));
        }
    }

    /// What a closure may have taken ends with it.
    fn taken_by(&mut self, closure: &ExprClosure) {
        for (name, is_alone) in self.named_around(closure) {
            if is_alone {
                self.moved(&parse_quote!(#name));
            } else {
                self.drops_later(Drops::Anything);
            }
        }
    }

    /// Asks whether what is made has code of its own for its end.
    fn made(&mut self, whole: &Expr) {
        if let Expr::Call(call) = whole
            && constructor(call).is_some_and(|name| HOLDS.contains(&name.as_str()))
        {
            return;
        }
        self.drops_later(if is_repeatable(whole) {
            Drops::Made(whole)
        } else {
            Drops::Anything
        });
    }

    /// A value that a name makes: its type is not asked, for it may be one that
    /// only its use says.
    pub fn named_value(&mut self, value: &Expr) {
        if matches!(value, Expr::Path(path) if may_end(path)) {
            self.drops_later(Drops::Anything);
        }
    }

    /// What is asked before the statement may run code when that ends.
    fn drops_later(&mut self, drops: Drops<'_>) {
        // What is not there has no type.
        let drops = if self.conditional {
            Drops::Anything
        } else {
            drops
        };
        if self.extends
            && let Some(kept) = self.new_kept()
        {
            let asks = drops.asks(Some(&kept), &self.context.krate);
            let span = hygienic(asks.span());
            self.declare_hooks(vec![parse_quote_spanned!(span=> #kept.keeps(#asks);)]);
        }
        // That the end of the statement is seen.
        let own = self.new_own();
        let asks = drops.asks(own.as_ref(), &self.context.krate);
        self.asks_at_least(vec![asks], "drop");
    }
}

/// What ends with a statement.
enum Drops<'e> {
    /// What is in a place.
    Like(&'e Expr),
    /// What is made here, and may be written once more where it is not made.
    Made(&'e Expr),
    /// What cannot be asked.
    Anything,
}

impl Drops<'_> {
    /// Asks whether that runs code of its own, where `own` is at hand for the end.
    fn asks(&self, own: Option<&syn::Ident>, krate: &TokenStream) -> TokenStream {
        let told = match own {
            Some(own) => quote!(drops_with(&#own)),
            None => quote!(drops()),
        };
        match self {
            Self::Like(place) => chain::typed(place, "Runs", &told, krate),
            Self::Made(whole) => {
                let value = chain::unevaluated(whole, krate);
                let span = hygienic(whole.span());
                let value = quote_spanned!(span=> value(#value));
                chain::asked(&value, "Runs", &told, krate, span)
            }
            Self::Anything => quote!(true),
        }
    }
}

/// True for a value that a name makes, with code for its end perhaps: `Unit`,
/// `State::FREE`.
fn may_end(path: &syn::ExprPath) -> bool {
    const KNOWN: &[&str] = &[
        "None",
        "PhantomData",
        "Option",
        "Poll",
        "Ordering",
        "Duration",
        "Instant",
        "Self",
    ];
    let mut names = path.path.segments.iter().rev().take(2);
    is_variant(path)
        && !names.any(|part| {
            let name = part.ident.to_string();
            KNOWN.contains(&name.as_str()) || super::typed::is_number(&name)
        })
}

/// True for what is made by a call, an operator or a block, and not by a name.
fn is_passed(value: &Expr) -> bool {
    match value {
        Expr::Paren(inner) => is_passed(&inner.expr),
        Expr::Call(call) => constructor(call).is_none() && !is_promoted(call),
        Expr::MethodCall(_) | Expr::Try(_) | Expr::Await(_) => true,
        Expr::Binary(_) | Expr::Unary(_) => may_make(value),
        Expr::Unsafe(block) => matches!(block.block.stmts.as_slice(), [Stmt::Expr(_, None)]),
        Expr::Block(block) => {
            block.label.is_none() && matches!(block.block.stmts.as_slice(), [Stmt::Expr(_, None)])
        }
        _ => false,
    }
}

/// True for what surely makes no value with code for its end.
fn makes_nothing(value: &Expr) -> bool {
    match value {
        Expr::Binary(_) => !may_make(value),
        Expr::Unary(_)
        | Expr::Lit(_)
        | Expr::RawAddr(_)
        | Expr::Reference(_)
        | Expr::Assign(_)
        | Expr::Let(_)
        | Expr::Infer(_)
        | Expr::ForLoop(_)
        | Expr::While(_)
        | Expr::Return(_)
        | Expr::Break(_)
        | Expr::Continue(_) => true,
        Expr::Macro(called) => super::macros::is_known(&called.mac),
        _ => false,
    }
}

/// The name by which a variant or a struct is made: `Some(…)`.
fn constructor(call: &ExprCall) -> Option<String> {
    let Expr::Path(path) = &*call.func else {
        return None;
    };
    let name = path.path.segments.last()?.ident.to_string();
    name.starts_with(|c: char| c.is_ascii_uppercase())
        .then_some(name)
}

/// True for a call of [`PROMOTED`].
pub fn is_promoted(call: &ExprCall) -> bool {
    let Expr::Path(path) = &*call.func else {
        return false;
    };
    let mut names = path.path.segments.iter().rev().map(|part| &part.ident);
    let (name, owner) = (names.next(), names.next());
    PROMOTED.iter().any(|(of, functions)| {
        of.is_none_or(|of| owner.is_some_and(|owner| owner == of))
            && functions
                .iter()
                .any(|function| name.is_some_and(|name| name == function))
    })
}

/// True for what may be written once more, where it is not made, and has a type
/// there.
fn is_repeatable(made: &Expr) -> bool {
    let is_part = |part: &Expr| match part {
        Expr::Lit(_) => true,
        Expr::Reference(inner) => is_place(&inner.expr) && askable(&inner.expr),
        Expr::Path(path) if is_variant(path) => false,
        place => is_place(place) && askable(place),
    };
    match made {
        Expr::Call(call) => call.args.iter().all(is_part),
        Expr::Struct(made) => {
            let rest = made.rest.as_deref();
            rest.is_none_or(|rest| is_place(rest) && askable(rest))
                && made.fields.iter().all(|field| is_part(&field.expr))
        }
        _ => false,
    }
}
