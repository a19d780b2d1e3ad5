//! Ends of values that others may wait for: the end of a channel is told to
//! the other ends, a permit goes back, a token says that a task is done.
//!
//! A value's type is not changed. Its end is seen where the scope drops it, by
//! a variable that is declared after it, and so goes before it; or where
//! `drop` takes it. Whether the type is of those that matter, the library asks.
//! The guard of a lock ends where nothing else does in between, or it is left
//! alone: what is told too soon would be a race.
//!
//! What it misses: what is moved away, into a collection or a struct, and
//! dropped there. A function that is spawned publishes once its body is left,
//! before what it has captured goes.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{
    Block, Expr, FieldPat, FnArg, Ident, Local, Pat, PatIdent, Signature, Stmt, Type,
    parse_quote_spanned,
};

use super::body::Body;
use super::calls::simple_head;
use super::guards::{drops, ends_plainly, is_given, is_moved};
use super::names::{COMPUTED_MACROS, MACROS};
use super::operated::may_make;
use super::place::{hygienic, ident, library};
use super::sync::{meets, simple};

/// The variables that a statement binds, and that their scope drops.
fn bound(statement: &Stmt) -> Names<'_> {
    let mut names = Names::default();
    if let Stmt::Local(Local {
        pat,
        init: Some(init),
        ..
    }) = statement
        && may_matter(&init.expr)
    {
        names.visit_pat(pat);
    }
    names
}

/// A variable that ends with its scope.
struct End {
    name: Ident,
    /// It may have been moved away before.
    perhaps: bool,
    /// Nothing happens between its end and that of what sees it, and nothing but
    /// its scope ends it.
    at_once: bool,
}

impl End {
    /// Of a variable that ends next to what sees it if it is `alone`.
    fn of(name: &Ident, rest: &[Stmt], alone: bool) -> Self {
        Self {
            name: name.clone(),
            perhaps: is_moved(name, rest),
            at_once: alone && !is_given(name, rest),
        }
    }
}

/// False for what surely is no such value, or none at all.
pub fn may_matter(init: &Expr) -> bool {
    match init {
        Expr::Lit(_)
        | Expr::Reference(_)
        | Expr::RawAddr(_)
        | Expr::Index(_)
        | Expr::Return(_)
        | Expr::Break(_)
        | Expr::Continue(_) => false,
        Expr::Paren(inner) => may_matter(&inner.expr),
        Expr::Binary(_) | Expr::Unary(_) => may_make(init),
        Expr::Macro(called) => !is_known(&called.mac),
        _ => true,
    }
}

/// True for a macro of std's that makes nothing whose end matters.
fn is_known(called: &syn::Macro) -> bool {
    called.path.segments.last().is_some_and(|last| {
        last.ident != "vec"
            && [MACROS, COMPUTED_MACROS]
                .iter()
                .any(|names| names.iter().any(|name| last.ident == name))
    })
}

/// True if a macro that is not known is called in it, closures left out.
fn has_unknown_macro(init: &Expr) -> bool {
    struct Unknown(bool);

    impl<'ast> Visit<'ast> for Unknown {
        fn visit_macro(&mut self, called: &'ast syn::Macro) {
            self.0 |= !super::macros::is_known(called);
        }

        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
        fn visit_block(&mut self, _: &'ast Block) {}
    }

    let mut unknown = Unknown(false);
    unknown.visit_expr(init);
    unknown.0
}

/// A number, a reference, a pointer.
fn is_plain(of: &Type) -> bool {
    match of {
        Type::Reference(_) | Type::Ptr(_) => true,
        Type::Path(path) => {
            let name = path.path.get_ident();
            name.is_some_and(|name| super::typed::is_number(&name.to_string()))
        }
        _ => false,
    }
}

/// The arguments that are dropped at the end of a function.
fn arguments(signature: &Signature, block: &Block) -> Vec<End> {
    let mut ends = Vec::new();
    // The last one ends first.
    let mut alone = ends_plainly(&block.stmts);
    for argument in signature.inputs.iter().rev() {
        let FnArg::Typed(argument) = argument else {
            continue;
        };
        // Under a condition, or with a lint level.
        if argument.attrs.is_empty() && !matches!(*argument.ty, Type::Reference(_) | Type::Ptr(_)) {
            let mut names = Names::default();
            names.visit_pat(&argument.pat);
            let alone = alone && matches!(*argument.pat, Pat::Ident(_));
            let names = names.all().into_iter().rev();
            ends.extend(names.map(|name| End::of(name, &block.stmts, alone)));
        }
        alone &= is_plain(&argument.ty);
    }
    ends.reverse();
    ends
}

/// The types of arguments of which a part has no name, or one that may be no
/// variable's; none for one that has no name itself.
fn unnamed(signature: &Signature) -> impl Iterator<Item = Option<&Type>> {
    signature.inputs.iter().filter_map(|argument| {
        let FnArg::Typed(argument) = argument else {
            return None;
        };
        if !argument.attrs.is_empty()
            || matches!(&*argument.pat, Pat::Ident(name) if is_variable(&name.ident))
            || matches!(*argument.ty, Type::Reference(_) | Type::Ptr(_))
        {
            return None;
        }
        Some((!super::coercions::is_opaque(&argument.ty)).then_some(&*argument.ty))
    })
}

/// True for a name that is no constant's and no variant's.
fn is_variable(name: &Ident) -> bool {
    !name.to_string().starts_with(char::is_uppercase)
}

/// Variables that a pattern binds by value.
#[derive(Default)]
pub struct Names<'p> {
    seen: Vec<&'p Ident>,
    /// Names that begin with a capital: where a pattern may not match, those of
    /// constants or variants, perhaps.
    capitals: Vec<&'p Ident>,
}

impl<'p> Names<'p> {
    /// All of them that surely are variables.
    pub fn all(self) -> Vec<&'p Ident> {
        self.seen
    }

    /// True if there may be others, in a pattern that may not match: a variant
    /// has a small letter, as a rule.
    pub fn has_others(&self, known: &BTreeSet<String>) -> bool {
        self.capitals.iter().any(|name| {
            let name = name.to_string();
            !name.contains(char::is_lowercase) && !known.contains(&name)
        })
    }
}

impl<'p> Visit<'p> for Names<'p> {
    fn visit_pat_ident(&mut self, name: &'p PatIdent) {
        if name.by_ref.is_none() {
            if is_variable(&name.ident) {
                self.seen.push(&name.ident);
            } else {
                self.capitals.push(&name.ident);
            }
        }
    }

    // What is bound under a condition is left alone.
    fn visit_field_pat(&mut self, field: &'p FieldPat) {
        if field.attrs.is_empty() {
            visit::visit_field_pat(self, field);
        }
    }

    fn visit_expr(&mut self, _: &'p Expr) {}
}

/// Receivers of methods that order, whose futures a call is given.
#[derive(Default)]
struct Met<'e>(Vec<&'e Expr>);

impl<'e> Visit<'e> for Met<'e> {
    fn visit_expr(&mut self, expression: &'e Expr) {
        match expression {
            Expr::Closure(_) | Expr::Async(_) | Expr::Block(_) | Expr::Const(_) => return,
            Expr::MethodCall(call) if meets(call) && simple(&call.receiver) => {
                self.0.push(&call.receiver);
            }
            _ => {}
        }
        visit::visit_expr(self, expression);
    }
}

/// True for a statement that is under no condition.
fn is_always_there(statement: &Stmt) -> bool {
    super::attributes::conditions(statement).is_empty()
}

impl Body<'_> {
    /// What goes after a statement that binds variables.
    ///
    /// Input: `let x = …;`. Output:
    ///
    /// ```text
    /// let x = …;
    /// let dropped = Dropped::of(&x);
    /// ```
    pub fn sees_the_end(&mut self, statement: &Stmt, rest: &[Stmt]) -> Vec<Stmt> {
        let names = bound(statement);
        let always = matches!(statement, Stmt::Local(Local { init: Some(init), .. })
            if init.diverge.is_none());
        let others = if always {
            // What else a pattern may name has no value.
            !names.capitals.is_empty()
        } else {
            names.has_others(&self.context.constants)
        };
        let mut seen = self.sees_bound(names.all(), rest, !others);
        if others {
            seen.push(self.sees_any(None));
        }
        if let Stmt::Macro(called) = statement
            && (!super::macros::is_known(&called.mac) || self.context.is_own_macro(&called.mac))
            && (called.semi_token.is_some() || rest.iter().any(is_always_there))
        {
            // What it binds ends with the scope.
            seen.push(self.sees_any(None));
        }
        if let Stmt::Local(local) = statement {
            match (&local.init, &local.pat) {
                // What a macro has made besides ends with what it returns.
                (Some(init), _) if has_unknown_macro(&init.expr) => seen.push(self.sees_any(None)),
                // It gets its first value later.
                (None, Pat::Type(typed)) if !is_plain(&typed.ty) => {
                    let of = (!super::coercions::is_opaque(&typed.ty)).then_some(&*typed.ty);
                    seen.push(self.sees_any(of));
                }
                (None, pattern) if !matches!(pattern, Pat::Type(_)) => {
                    seen.push(self.sees_any(None));
                }
                _ => {}
            }
        }
        seen
    }

    /// Sees the end of a value of this type, or of one that has no name.
    pub fn sees_any(&mut self, of: Option<&Type>) -> Stmt {
        let krate = self.context.krate.clone();
        let span = hygienic(of.span());
        let dropped = self.numbered("__leakcheck_dropped");
        match of {
            Some(of) => parse_quote_spanned! {span=>
                let #dropped = #krate::__private::Dropped::some::<#of>();
            },
            None => parse_quote_spanned! {span=>
                let #dropped = #krate::__private::Dropped::any();
            },
        }
    }

    /// What goes before the body of a function that takes values.
    pub fn sees_arguments(&mut self, signature: &Signature, block: &Block) -> Vec<Stmt> {
        let mut seen = Vec::new();
        let mut ends = arguments(signature, block);
        if let Some(receiver) = signature.receiver()
            && !self.by_reference
            && receiver.attrs.is_empty()
        {
            let own = Ident::new("self", receiver.self_token.span);
            ends.push(End::of(&own, &block.stmts, false));
        }
        seen.extend(ends.iter().map(|end| self.sees(end)));
        seen.extend(unnamed(signature).map(|of| self.sees_any(of)));
        seen
    }

    /// What goes before the body of a closure that takes values.
    pub fn sees_parameters<'p>(
        &mut self,
        parameters: impl IntoIterator<Item = &'p Pat>,
        block: &Block,
    ) -> Vec<Stmt> {
        let mut seen = Vec::new();
        let parameters: Vec<&Pat> = parameters.into_iter().collect();
        let alone = parameters.len() == 1 && ends_plainly(&block.stmts);
        for parameter in parameters {
            let (pattern, of) = match parameter {
                Pat::Type(typed) => (&*typed.pat, Some(&*typed.ty)),
                other => (other, None),
            };
            if of.is_some_and(is_plain) {
                continue;
            }
            seen.push(match pattern {
                Pat::Ident(name) if name.subpat.is_none() && is_variable(&name.ident) => {
                    self.sees(&End::of(&name.ident, &block.stmts, alone))
                }
                _ => self.sees_any(of.filter(|of| !super::coercions::is_opaque(of))),
            });
        }
        seen
    }

    /// What goes before the body of a closure that may take what it captures: that
    /// ends with the call.
    pub fn sees_captured(&mut self, names: &[Ident], block: &Block) -> Option<Stmt> {
        let is_taken = |name: &Ident| {
            let place: Expr = syn::parse_quote!(#name);
            !self.typed.is_plain(&place) && is_moved(name, &block.stmts)
        };
        names.iter().any(is_taken).then(|| self.sees_any(None))
    }

    /// Sees the end of this variable.
    fn sees(&mut self, end: &End) -> Stmt {
        let End {
            name,
            perhaps,
            at_once,
        } = end;
        let krate = self.context.krate.clone();
        let span = hygienic(name.span());
        let dropped = self.numbered("__leakcheck_dropped");
        let of = ident(match (perhaps, at_once) {
            (true, _) => "perhaps",
            (_, true) => "of",
            (_, false) => "among",
        });
        parse_quote_spanned!(span=> let #dropped = #krate::__private::Dropped::#of(&#name);)
    }

    /// What goes into a block before what is there: the ends of variables that
    /// its patterns bind; `alone`, if nothing else ends there.
    pub fn sees_bound(&mut self, names: Vec<&Ident>, rest: &[Stmt], alone: bool) -> Vec<Stmt> {
        let alone = alone && names.len() == 1;
        let ends = names.into_iter().map(|name| End::of(name, rest, alone));
        ends.map(|end| self.sees(&end)).collect()
    }

    /// What goes before `drop(x);`: `drop(Dropped::ending(&x));`.
    pub fn sees_drop(&self, statement: &Stmt) -> Option<Stmt> {
        let name = drops(statement)?;
        let krate = &self.context.krate;
        let span = hygienic(name.span());
        Some(parse_quote_spanned! {span=>
            #krate::__private::core::mem::drop(#krate::__private::Dropped::ending(&#name));
        })
    }

    /// What goes before the body of a future that is spawned: dropped before
    /// what it has captured.
    pub fn leaves(&self, block: &Block) -> Stmt {
        let krate = &self.context.krate;
        let span = hygienic(block.span());
        let leaving = ident("__leakcheck_leaving");
        parse_quote_spanned!(span=> let #leaving = #krate::__private::Leaving::new();)
    }

    /// The objects whose futures an awaited call waits for, as small as they go
    /// into the future around.
    pub fn awaited_objects(&self, base: &Expr) -> Vec<TokenStream> {
        let mut met = Met::default();
        met.visit_expr(base);
        let objects = met.0.into_iter();
        objects
            .map(|receiver| {
                let span = hygienic(receiver.span());
                let object = self.object(receiver);
                quote_spanned!(span=> #object.small())
            })
            .collect()
    }

    /// Input: `for PATTERN in RECEIVER { BODY }`. Output: each turn may have
    /// come from who sent, and the end of all from who dropped.
    ///
    /// ```text
    /// match meets(SITE, Probe::new(&RECEIVER).object()) {
    ///     each => {
    ///         for PATTERN in RECEIVER { again([each.small()], ()); BODY }
    ///         again([each.small()], ())
    ///     }
    /// }
    /// ```
    pub fn each_turn(&self, expression: &mut Expr, object: &TokenStream, site: &TokenStream) {
        let Expr::ForLoop(turns) = expression else {
            return;
        };
        let krate = self.context.krate.clone();
        let span = hygienic(turns.expr.span());
        let each = ident("__leakcheck_each");
        let again = library(&krate, "again", quote!([#each.small()], ()), &*turns.expr);
        turns
            .body
            .stmts
            .insert(0, parse_quote_spanned!(span=> #again;));
        *expression = parse_quote_spanned! {span=>
            match #krate::__private::meets(#site, #object) {
                #each => {
                    #turns
                    #again
                }
            }
        };
    }

    /// What is iterated, if it may be an end of a channel.
    pub fn iterated(&self, head: &Expr) -> Option<(TokenStream, TokenStream)> {
        let place = simple_head(head)?;
        let object = if self.typed.knows_iterated(place) || self.may_refer(place) {
            self.object(place)
        } else {
            let krate = &self.context.krate;
            let span = hygienic(place.span());
            quote_spanned!(span=> #krate::__private::Object::new(&#place))
        };
        Some((object, self.site(head)))
    }
}
