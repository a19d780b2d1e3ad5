//! Walks the body of a function and rewrites it.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Expr, ExprAsync, ExprForLoop, ExprMacro, Item, Local, Pat, Signature, Stmt,
    parse_quote_spanned,
};

use super::Context;
use super::address::address_of;
use super::asked::Asked;
use super::attributes;
use super::bound::bound_by;
use super::calls;
use super::chain::is_place;
use super::declared::Declared;
use super::extended;
use super::foreign::drops_a_value;
use super::guards::{self, Guarded};
use super::handles::Handles;
use super::macros::{FORMATS, prints};
use super::operated::is_told;
use super::operators::{is_assignment, is_comparison};
use super::outlives::Outlives;
use super::pattern::{binds_by_reference, name_of, takes_value};
use super::place::{bare, begins_with_colon, hygienic, ident};
use super::typed::{Typed, answers_to_a_name};
use crate::item::tracked_inside;

/// The walk.
pub struct Body<'c> {
    pub context: &'c Context,
    /// Path of the function from its module.
    pub function: String,
    pub name: String,
    pub is_test: bool,
    /// Inside of `unsafe`.
    pub unsafety: bool,
    /// The statement runs code that is not tracked.
    pub opaque: bool,
    /// The variable that sees the release of the next lock.
    pub release: Option<syn::Ident>,
    /// What is declared before the statement; none where there is none.
    pub declared: Option<Declared>,
    count: usize,
    /// In what is borrowed: the compiler may keep it for ever.
    pub borrowed: bool,
    /// Code that is not tracked ran in the statement before, after which
    /// nothing could stand.
    late: bool,
    /// Guards of the blocks around, and what sees their release.
    names: Vec<(String, syn::Ident)>,
    /// `self` is a reference.
    pub by_reference: bool,
    /// The type of `self`.
    pub receiver: Option<syn::Type>,
    /// Inside of a closure, which captures what is named in it.
    pub in_closure: bool,
    /// In what a variable begins with that is no handle, see
    /// [`super::handles`].
    pub handed_back: bool,
    /// In what a variable begins with: a temporary may live as long as that.
    pub extends: bool,
    /// In what a variable begins with, of which it keeps a guard that is made there.
    pub keeps_guard: bool,
    /// What is left alone: the place, and why.
    pub left: Vec<TokenStream>,
    /// Local variables whose type is known where they are used.
    pub typed: Typed,
    /// Local variables that are no handles.
    pub handles: Handles,
    /// Variables that the closure around binds, and nothing else does.
    pub inside: BTreeSet<String>,
    /// That closure captures by value.
    pub moves: bool,
    /// In what may not be there: nothing is asked of it before the statement.
    pub conditional: bool,
    /// What temporaries live longer than their blocks.
    pub outlives: Outlives,
}

impl<'c> Body<'c> {
    /// Of a function.
    pub fn new(context: &'c Context, signature: &Signature, is_test: bool) -> Self {
        let name = signature.ident.to_string();
        let mut path = context.owner.clone();
        path.push(name.clone());
        Self {
            context,
            function: path.join("::"),
            name,
            is_test,
            unsafety: signature.unsafety.is_some(),
            opaque: false,
            release: None,
            declared: None,
            count: 0,
            borrowed: false,
            late: false,
            names: Vec::new(),
            by_reference: is_reference(signature),
            receiver: signature.receiver().map(|receiver| (*receiver.ty).clone()),
            in_closure: false,
            handed_back: false,
            extends: false,
            keeps_guard: false,
            left: Vec::new(),
            typed: Typed::default(),
            handles: Handles::default(),
            inside: BTreeSet::new(),
            moves: false,
            conditional: false,
            outlives: Outlives::default(),
        }
    }

    /// A site at this expression.
    pub fn site(&self, of: &impl quote::ToTokens) -> TokenStream {
        self.context.site(of, &self.function, self.opaque)
    }

    /// A variable of the expansion's own.
    pub fn numbered(&mut self, name: &str) -> syn::Ident {
        self.count += 1;
        ident(&format!("{name}_{}", self.count))
    }

    /// Rewrites one statement; what comes before and after it goes to `out`.
    ///
    /// Input: `S`. Output, where `S` calls what is not known:
    ///
    /// ```text
    /// ::leakcheck::__private::opaque(); S ::leakcheck::__private::opaque();
    /// ```
    fn statement(
        &mut self,
        mut statement: Stmt,
        is_last: bool,
        rest: &[Stmt],
        out: &mut Vec<Stmt>,
    ) {
        if let Stmt::Item(item) = &mut statement {
            tracked_inside(&self.context.inside_function(&self.name), item);
            out.push(statement);
            return;
        }
        let krate = self.context.krate.clone();
        let span = hygienic(statement.span());
        let conditions = attributes::conditions(&statement);
        let is_last = is_last || !conditions.is_empty() && attributes::may_be_last(&statement);
        let begun = out.len();
        let late = std::mem::take(&mut self.late);
        let is_opaque = self.runs_anything(&statement);
        let opaque = self.opaque;
        self.opaque |= is_opaque;
        let borrowed = std::mem::replace(&mut self.borrowed, false);
        let declared = self.declared.replace(Declared {
            asked: Asked::of(&statement),
            ..Declared::default()
        });
        let extends = std::mem::replace(&mut self.extends, false);
        let conditional = std::mem::replace(&mut self.conditional, false);
        let outlives = self.outlives.of_statement(&statement, rest.is_empty());
        let guarded = guards::of(&statement, rest);
        let held = match &guarded {
            Guarded::Named(_) => {
                self.release = self.new_release();
                self.release.clone()
            }
            Guarded::No => None,
        };
        let made = self.ends_made(&statement);
        let ends = self.sees_the_end(&statement, rest);
        let drops = drops_a_value(&statement);
        if let Stmt::Expr(value, None) = &statement {
            self.coerced_before([value]);
        }
        if drops {
            self.dropped_at_once(&mut statement);
        } else {
            self.visit_stmt_mut(&mut statement);
        }
        self.release = None;
        self.outlives = outlives;
        self.extends = extends;
        self.conditional = conditional;
        let Declared {
            mut releases,
            roots,
            kept,
            hooks,
            asked,
            only_asks: _,
        } = std::mem::replace(&mut self.declared, declared).unwrap_or_default();
        self.opaque = opaque;
        self.borrowed = borrowed;

        if late || is_opaque {
            out.push(self.mark(&statement));
        }
        for release in &releases {
            out.push(parse_quote_spanned! {span=>
                let #release = #krate::__private::Release::new();
            });
        }
        for root in &roots {
            out.push(parse_quote_spanned! {span=>
                let #root = #krate::__private::Root::new();
            });
        }
        out.extend(kept.as_ref().map(
            |kept| parse_quote_spanned!(span=> let #kept = #krate::__private::Own::lasting();),
        ));
        out.extend(hooks);
        let (asks, over) = self.asks(asked, statement.span());
        out.extend(asks);
        attributes::under(&conditions, &mut out[begun..]);
        let leaves = leaves(&statement);
        out.push(statement);
        let begun = out.len();
        out.extend(made);
        out.extend(ends);
        if let Some(kept) = kept {
            let ending = self.numbered("__leakcheck_ending");
            out.push(parse_quote_spanned!(span=> let #ending = #kept.ending();));
        }
        releases.retain(|release| Some(release) != held.as_ref());
        if is_last {
            self.late = !conditions.is_empty() && is_opaque;
            return;
        }
        if leaves {
            // Under a condition, so that something may follow: not what tells.
            attributes::under(&conditions, &mut out[begun..]);
            return;
        }
        for release in &releases {
            out.push(parse_quote_spanned!(span=> #release.now();));
        }
        out.extend(over);
        if is_opaque {
            let mark = parse_quote_spanned!(span=> #krate::__private::opaque(););
            out.push(mark);
        }
        attributes::under(&conditions, &mut out[begun..]);
        if let (Guarded::Named(name), Some(release)) = (guarded, held) {
            self.names.push((name, release));
        }
    }

    /// An expression that is a place, whose value is not taken.
    pub fn place(&mut self, expression: &mut Expr) {
        match expression {
            Expr::Paren(inner) => self.place(&mut inner.expr),
            Expr::Field(_) | Expr::Index(_) | Expr::Unary(_) | Expr::Path(_) => {
                self.inside_place(expression);
            }
            other => self.visit_expr_mut(other),
        }
    }
}

/// True if `self` is behind a reference.
fn is_reference(signature: &Signature) -> bool {
    signature.receiver().is_some_and(|receiver| {
        receiver.reference.is_some() || matches!(*receiver.ty, syn::Type::Reference(_))
    })
}

impl VisitMut for Body<'_> {
    fn visit_item_mut(&mut self, _: &mut Item) {}

    // What is in a type, or in a pattern, is computed by the compiler.
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}

    fn visit_generic_argument_mut(&mut self, _: &mut syn::GenericArgument) {}

    fn visit_pat_mut(&mut self, _: &mut Pat) {}

    fn visit_block_mut(&mut self, block: &mut Block) {
        let statements = std::mem::take(&mut block.stmts);
        let count = statements.len();
        let mut out = Vec::with_capacity(count + 2);
        let names = self.names.len();
        let outlives = self.outlives.of_block();
        let opaque = statements
            .iter()
            .any(|statement| self.runs_anything(statement));
        let mut rest = statements.as_slice();
        let mut copies = statements.clone().into_iter();
        if opaque && let Some(first) = rest.first() {
            // Dropped last: what a destructor in this block does is not known.
            let krate = &self.context.krate;
            let span = hygienic(first.span());
            let guard = ident("__leakcheck_opaque");
            out.push(parse_quote_spanned! {span=>
                let #guard = #krate::__private::Opaque::begin();
            });
        }
        while let Some((statement, after)) = rest.split_first() {
            let dropped = guards::dropped(statement, &self.names[names..]);
            let conditions = attributes::conditions(statement);
            let begun = out.len();
            if dropped.is_none() {
                out.extend(self.sees_drop(statement));
            }
            attributes::under(&conditions, &mut out[begun..]);
            if let Some(own) = copies.next() {
                self.statement(own, after.is_empty(), after, &mut out);
            }
            if let Some(release) = dropped {
                let span = hygienic(statement.span());
                let mut seen = [parse_quote_spanned!(span=> #release.now();)];
                attributes::under(&conditions, &mut seen);
                out.extend(seen);
            }
            rest = after;
        }
        self.names.truncate(names);
        self.outlives = outlives;
        block.stmts = out;
    }

    fn visit_local_mut(&mut self, local: &mut Local) {
        let takes = takes_value(&local.pat);
        let keeps_guard = extended::keeps_guard(local);
        let Some(init) = &mut local.init else { return };
        // `let f = || …;` answers to its name.
        if let (Some(name), Expr::Closure(closure)) = (name_of(&local.pat), &mut *init.expr)
            && answers_to_a_name(closure)
        {
            let around = self.binds_in(closure);
            let body = std::mem::replace(&mut *closure.body, Expr::Verbatim(quote!()));
            let span = body.span();
            let captured = self.captured_by(&body);
            let mut block = self.as_block(body);
            self.leaves_closure(around);
            let mut arguments = self.sees_parameters(&closure.inputs, &block);
            arguments.extend(self.sees_captured(&captured, &block));
            block.stmts.splice(0..0, arguments);
            block.stmts.insert(0, self.entered_closure(&name, &block));
            *closure.body = parse_quote_spanned!(span=> #block);
            return;
        }
        if matches!(local.pat, Pat::Type(_)) {
            self.coerced_before([&*init.expr]);
        }
        let extends = std::mem::replace(&mut self.extends, true);
        let keeps_guard = std::mem::replace(&mut self.keeps_guard, keeps_guard);
        self.handed_back = name_of(&local.pat).is_some_and(|name| self.handles.denies(&name));
        let whole = (*init.expr).clone();
        if takes {
            if name_of(&local.pat).is_some_and(|name| name.starts_with(char::is_uppercase)) {
                // A constant, which it is compared with.
                self.named_value(&whole);
            }
            self.visit_expr_mut(&mut init.expr);
        } else {
            self.taken_apart(&local.pat, init.diverge.is_some(), &mut init.expr);
            self.extends = binds_by_reference(&local.pat);
            self.left_over(&mut init.expr, &whole);
        }
        self.extends = extends;
        self.keeps_guard = keeps_guard;
        self.handed_back = false;
        if let Some((_, diverge)) = &mut init.diverge {
            self.visit_expr_mut(diverge);
        }
    }

    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        let attributes = attributes::take(expression);
        let around = self.conditional;
        self.conditional |= attributes.iter().any(attributes::is_condition);
        self.expression(expression);
        self.conditional = around;
        attributes::put(attributes, expression);
    }

    fn visit_field_value_mut(&mut self, field: &mut syn::FieldValue) {
        let around = self.conditional;
        self.conditional |= !field.attrs.is_empty();
        self.visit_expr_mut(&mut field.expr);
        self.conditional = around;
    }

    fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
        match statement {
            Stmt::Macro(called) => {
                self.made_by(&called.mac);
                let told = self.asserts(&called.mac);
                // Nothing is bound before it.
                let _: Vec<TokenStream> = self.macro_(&mut called.mac);
                let told = told.map(|told| Stmt::Expr(Expr::Verbatim(told), None));
                self.declare_hooks(Vec::from_iter(told));
                if prints(&called.mac) {
                    let mac = Expr::Macro(ExprMacro {
                        attrs: std::mem::take(&mut called.attrs),
                        mac: called.mac.clone(),
                    });
                    *statement = Stmt::Expr(self.printed(mac), Some(syn::token::Semi::default()));
                }
            }
            Stmt::Local(local) => self.visit_local_mut(local),
            // A place as a statement is not read.
            Stmt::Expr(expression, Some(_)) => {
                if is_place(expression) {
                    self.moved(bare(expression));
                }
                match expression {
                    Expr::Path(_) | Expr::Field(_) | Expr::Index(_) => {
                        self.stepped_before(&expression.clone());
                        self.place(expression);
                    }
                    other => self.visit_expr_mut(other),
                }
            }
            Stmt::Expr(expression, None) => self.visit_expr_mut(expression),
            Stmt::Item(_) => {}
        }
    }
}

/// True for a statement after which no other is reached.
fn leaves(statement: &Stmt) -> bool {
    matches!(
        statement,
        Stmt::Expr(Expr::Return(_) | Expr::Break(_) | Expr::Continue(_), _)
    )
}

impl Body<'_> {
    /// An expression, without what is before it.
    fn expression(&mut self, expression: &mut Expr) {
        let is_whole = self.outlives.is_whole_statement();
        match expression {
            Expr::Const(_) | Expr::Verbatim(_) | Expr::Lit(_) => {}
            Expr::Assign(_) => self.assign(expression),
            Expr::Binary(binary) if is_assignment(&binary.op) => self.assign(expression),
            Expr::Binary(binary) if is_comparison(&binary.op) => self.compare(expression),
            Expr::Reference(reference) => {
                self.named_value(bare(&reference.expr));
                let around = std::mem::replace(&mut self.borrowed, true);
                self.borrow(expression);
                self.borrowed = around;
            }
            Expr::RawAddr(raw) => {
                self.stepped_before(&raw.expr.clone());
                self.place(&mut raw.expr);
                self.address(expression);
            }
            Expr::Binary(binary) if is_told(&binary.op) => self.operated(expression),
            Expr::Unary(unary) if !matches!(unary.op, syn::UnOp::Deref(_)) => {
                self.operated(expression);
            }
            Expr::Path(_) | Expr::Field(_) | Expr::Index(_) => self.value(expression),
            Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => self.value(expression),
            Expr::Call(_) => self.call(expression),
            Expr::MethodCall(_) => self.method(expression),
            Expr::Await(_) => self.await_(expression),
            Expr::Struct(made) => {
                self.coerced_fields(made);
                let whole = made.clone();
                let rest = made.rest.take();
                visit_mut::visit_expr_struct_mut(self, made);
                made.rest = rest;
                let told = self.rest_read(made);
                if let (Some(rest), Some(whole)) = (&mut made.rest, &whole.rest) {
                    // Of it only parts are moved on.
                    self.left_over(rest, whole);
                }
                self.before(expression, told);
            }
            Expr::Cast(cast) => {
                self.coerced_before([&*cast.expr]);
                visit_mut::visit_expr_cast_mut(self, cast);
            }
            Expr::Array(made) => {
                self.coerced_before(&made.elems);
                visit_mut::visit_expr_array_mut(self, made);
            }
            Expr::Tuple(made) => {
                self.coerced_before(&made.elems);
                visit_mut::visit_expr_tuple_mut(self, made);
            }
            Expr::Return(returned) => {
                self.coerced_before(returned.expr.as_deref());
                visit_mut::visit_expr_return_mut(self, returned);
            }
            Expr::Break(left) => {
                self.coerced_before(left.expr.as_deref());
                visit_mut::visit_expr_break_mut(self, left);
                if let (Some(_), Some(value)) = (&left.label, &mut left.expr)
                    && begins_with_colon(value)
                {
                    // Behind a label that would be read as the label of a loop.
                    let span = hygienic(value.span());
                    **value = parse_quote_spanned!(span=> (#value));
                }
            }
            Expr::Macro(ExprMacro { mac, .. }) => {
                if let Some(place) = address_of(mac) {
                    self.stepped_before(&place);
                }
                let told = self.asserts(mac);
                let prints = prints(mac);
                let asks = self.macro_(mac);
                self.address(expression);
                self.before(expression, told);
                self.ask(expression, asks, FORMATS);
                if prints {
                    *expression = self.printed(expression.clone());
                }
            }
            // So is a length.
            Expr::Repeat(repeated) => self.visit_expr_mut(&mut repeated.expr),
            Expr::Closure(closure) => self.closure(closure, false),
            Expr::Async(ExprAsync { block, capture, .. }) => {
                self.async_block(block, capture.is_some());
            }
            Expr::Block(inner) => {
                self.outlives.in_block(is_whole);
                self.visit_block_mut(&mut inner.block);
            }
            Expr::Unsafe(unsafe_) => {
                self.outlives.in_block(is_whole);
                let around = std::mem::replace(&mut self.unsafety, true);
                self.visit_block_mut(&mut unsafe_.block);
                self.unsafety = around;
            }
            Expr::Match(matching) => {
                let patterns = matching.arms.iter().map(|arm| &arm.pat);
                self.matched(&mut matching.expr, patterns);
                for arm in &mut matching.arms {
                    let conditional = self.conditional;
                    self.conditional |= !arm.attrs.is_empty();
                    if let Some((_, guard)) = &mut arm.guard {
                        self.visit_expr_mut(guard);
                    }
                    match &mut *arm.body {
                        Expr::Block(body) if body.label.is_none() => {
                            self.bound_block(std::slice::from_ref(&arm.pat), &mut body.block);
                        }
                        body => self.arm(&arm.pat, body),
                    }
                    self.conditional = conditional;
                }
            }
            Expr::If(branches) => {
                let bound = bound_by(&branches.cond);
                self.chained(&branches.cond);
                self.visit_expr_mut(&mut branches.cond);
                self.bound_block(&bound, &mut branches.then_branch);
                if let Some((_, otherwise)) = &mut branches.else_branch {
                    match &mut **otherwise {
                        Expr::Block(otherwise) => self.visit_block_mut(&mut otherwise.block),
                        otherwise => self.visit_expr_mut(otherwise),
                    }
                }
            }
            Expr::Let(let_) => self.matched(&mut let_.expr, std::iter::once(&*let_.pat)),
            Expr::Try(syn::ExprTry { expr, .. }) => {
                self.visit_expr_mut(expr);
                self.questioned(expr);
            }
            Expr::ForLoop(ExprForLoop {
                expr, body, pat, ..
            }) => {
                let known = calls::is_range(expr);
                let iterated = self.iterated(expr);
                self.visit_expr_mut(expr);
                self.turns(std::slice::from_ref(pat), body, known);
                if let Some((object, site)) = iterated {
                    self.each_turn(expression, &object, &site);
                }
            }
            Expr::While(turns) => {
                let known = !self.expression_runs_anything(&turns.cond);
                let bound = bound_by(&turns.cond);
                self.chained(&turns.cond);
                self.visit_expr_mut(&mut turns.cond);
                self.turns(&bound, &mut turns.body, known);
            }
            other => visit_mut::visit_expr_mut(self, other),
        }
    }
}
