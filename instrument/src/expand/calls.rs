//! Which statements may run code that is not tracked.
//!
//! A call by a path is announced where it is ([`super::callee`]): the library
//! asks which function it is. So is a method of a place, if nothing happens
//! between that and the call. What locks, orders or spawns tells of itself. All
//! else makes the statement *opaque*.
//!
//! Blocks inside of a statement are looked at when they are walked.

use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprBlock, ExprCall, ExprMethodCall, ExprUnsafe, Macro, Pat, Stmt};

use super::address::{address_of, takes_address};
use super::body::Body;
use super::chain::is_place;
use super::foreign::{EACH, is_returned, is_variant, may_pass};
use super::macros::{arguments, rewritten};
use super::names::{CALLS_BACK, INERT_METHODS, LOCKS, POINTER_STEPS, SHARES, SPAWNS, TRIES};
use super::spawn::is_of_pool;
use super::steps::askable;
use super::sync::{is_joined, meets, operation, simple};

impl Body<'_> {
    /// True if a statement may run code that is not tracked and does not tell of
    /// itself, blocks inside of it left out.
    pub fn runs_anything(&self, statement: &Stmt) -> bool {
        let mut heads = Heads::of(self);
        match statement {
            Stmt::Item(_) => {}
            // A semicolon alone.
            Stmt::Expr(Expr::Verbatim(nothing), Some(_)) if nothing.is_empty() => {}
            Stmt::Local(_) | Stmt::Expr(..) | Stmt::Macro(_) => heads.visit_stmt(statement),
        }
        heads.anything
    }

    /// As [`Body::runs_anything`], of an expression.
    pub fn expression_runs_anything(&self, expression: &Expr) -> bool {
        let mut heads = Heads::of(self);
        heads.visit_expr(expression);
        heads.anything
    }

    /// True if nothing is told while the expression is computed, and it runs no
    /// code but of operators, which are asked about before.
    pub fn is_quiet(&self, expression: &Expr) -> bool {
        match expression {
            Expr::Lit(_) => true,
            Expr::Path(_) if !self.unsafety => true,
            Expr::Path(path) => path
                .path
                .get_ident()
                .is_some_and(|name| name == "self" || self.typed.times(&name.to_string()) > 0),
            Expr::Paren(inner) => self.is_quiet(&inner.expr),
            Expr::Group(inner) => self.is_quiet(&inner.expr),
            Expr::Reference(inner) => self.is_quiet(&inner.expr),
            Expr::Field(field) => self.is_quiet(&field.base),
            Expr::Cast(cast) => self.is_quiet(&cast.expr),
            Expr::Unary(unary) => {
                self.is_quiet(&unary.expr)
                    && !(self.unsafety && matches!(unary.op, syn::UnOp::Deref(_)))
            }
            Expr::Binary(binary) => {
                !super::operators::is_assignment(&binary.op)
                    && self.is_quiet(&binary.left)
                    && self.is_quiet(&binary.right)
            }
            Expr::Index(index) => {
                !self.unsafety && self.is_quiet(&index.expr) && self.is_quiet(&index.index)
            }
            Expr::Range(range) => [&range.start, &range.end]
                .into_iter()
                .flatten()
                .all(|end| self.is_quiet(end)),
            Expr::Tuple(made) => made.elems.iter().all(|it| self.is_quiet(it)),
            Expr::Array(made) => made.elems.iter().all(|it| self.is_quiet(it)),
            _ => false,
        }
    }

    /// True for a method that is announced where it is called.
    pub fn announces(&self, call: &ExprMethodCall) -> bool {
        simple(&call.receiver)
            && self.is_quiet(&call.receiver)
            && call.args.iter().all(|argument| self.is_quiet(argument))
            && !matches!(&*call.receiver, Expr::Path(path) if is_variant(path))
    }
}

struct Heads<'b, 'c> {
    body: &'b Body<'c>,
    anything: bool,
    /// In the arguments of a macro that is left as it is.
    untold: bool,
}

impl<'b, 'c> Heads<'b, 'c> {
    const fn of(body: &'b Body<'c>) -> Self {
        Self {
            body,
            anything: false,
            untold: false,
        }
    }

    /// What is not rewritten tells nothing of what it does.
    fn untold(&mut self, walk: impl FnOnce(&mut Self)) {
        let around = std::mem::replace(&mut self.untold, true);
        walk(self);
        self.untold = around;
    }

    fn call(&mut self, call: &ExprCall) {
        let Expr::Path(path) = &*call.func else {
            self.anything = true;
            return;
        };
        self.anything |= self.untold;
        // What is given a scope runs here, and is no argument like others.
        let last = path.path.segments.last();
        let scopes = last.is_some_and(|last| {
            ["scope", "scope_fifo", "in_place_scope"]
                .iter()
                .any(|name| last.ident == name)
        });
        self.anything |= scopes && !call.args.iter().all(|it| matches!(it, Expr::Closure(_)));
    }

    fn method(&mut self, call: &ExprMethodCall) {
        let name = call.method.to_string();
        let name = name.as_str();
        let locks = call.args.is_empty()
            && [LOCKS, SHARES, TRIES]
                .iter()
                .any(|names| names.contains(&name));
        let orders = locks || meets(call) || operation(call).is_some();
        let is_variant = matches!(&*call.receiver, Expr::Path(path) if is_variant(path));
        let is_told = is_joined(call) && (simple(&call.receiver) || is_returned(&call.receiver))
            || SPAWNS.contains(&name) && !is_variant
            // What happens in an argument comes after what goes before the call.
            || simple(&call.receiver)
                && orders
                && !CALLS_BACK.contains(&name)
                && call.args.iter().all(|argument| self.body.is_quiet(argument));
        let is_known = is_told
            || is_inert(call) && (asks_receiver(&call.receiver) || is_of_literal(call))
            || !orders && self.body.announces(call);
        self.anything |= self.untold || !is_known || is_of_pool(call);
    }
}

impl<'ast> Visit<'ast> for Heads<'_, '_> {
    fn visit_block(&mut self, _: &'ast Block) {}

    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Call(call) => self.call(call),
            Expr::MethodCall(call) => self.method(call),
            Expr::ForLoop(each) if !is_range(&each.expr) => self.anything = true,
            // What is left of it is dropped.
            Expr::Field(field) if self.untold && !is_place(&field.base) => self.anything = true,
            Expr::Closure(_) | Expr::Async(_) | Expr::Const(_) => return,
            Expr::Verbatim(_) | Expr::Yield(_) | Expr::TryBlock(_) => self.anything = true,
            _ => {}
        }
        visit::visit_expr(self, expression);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        if self.body.context.is_own_macro(called) {
            self.anything = true;
            return;
        }
        let told = rewritten(called);
        if let Some(place) = address_of(called) {
            self.untold(|heads| heads.visit_expr(&place));
            return;
        }
        let condition = super::asserted::bare_condition(called);
        let Some(arguments) = arguments(called).filter(|_| told || condition.is_some()) else {
            self.anything = true;
            return;
        };
        if told {
            for argument in &arguments {
                self.visit_expr(argument);
            }
            return;
        }
        self.untold(|heads| {
            for argument in &arguments {
                heads.visit_expr(argument);
            }
        });
    }
}

/// `5.to_string()`, which no other trait may offer.
fn is_of_literal(call: &ExprMethodCall) -> bool {
    matches!(&*call.receiver, Expr::Lit(_)) && EACH.iter().any(|name| call.method == name)
}

/// True for a receiver of which the type is asked, or is known.
fn asks_receiver(receiver: &Expr) -> bool {
    match receiver {
        Expr::Paren(inner) => asks_receiver(&inner.expr),
        Expr::Reference(inner) => asks_receiver(&inner.expr),
        Expr::Path(path) => !is_variant(path),
        Expr::Cast(_) | Expr::RawAddr(_) => true,
        Expr::Macro(called) => takes_address(&called.mac),
        place if is_place(place) => askable(place),
        other => may_pass(other),
    }
}

/// The place that a loop goes through: `x`, `&x`, `x.iter()`.
pub fn simple_head(head: &Expr) -> Option<&Expr> {
    match head {
        Expr::Path(path) if path.path.get_ident().is_some() => Some(head),
        Expr::Reference(borrow) if simple(&borrow.expr) => Some(&borrow.expr),
        Expr::MethodCall(call)
            if (call.method == "iter"
                || call.method == "try_iter"
                || call.method == "into_iter")
                && call.args.is_empty()
                && simple(&call.receiver) =>
        {
            Some(&call.receiver)
        }
        _ => None,
    }
}
/// True for a method that runs no code of others, on the types that are known.
pub fn is_inert(call: &ExprMethodCall) -> bool {
    INERT_METHODS.iter().any(|name| call.method == name) && !may_lock(call)
}

/// True for `CALL().read()` and `CALL().write()`, which take a lock unless the
/// call returns a pointer.
fn may_lock(call: &ExprMethodCall) -> bool {
    let name = call.method.to_string();
    let is_lock = call.args.is_empty() && ["read", "write"].contains(&name.as_str());
    is_lock && !is_pointer(&call.receiver)
}

/// True for what surely is a pointer.
fn is_pointer(expression: &Expr) -> bool {
    match expression {
        Expr::Paren(inner) => is_pointer(&inner.expr),
        Expr::Cast(_) | Expr::RawAddr(_) => true,
        Expr::Macro(called) => takes_address(&called.mac),
        Expr::Block(ExprBlock { block, .. }) | Expr::Unsafe(ExprUnsafe { block, .. }) => {
            let Some(Stmt::Expr(last, None)) = block.stmts.last() else {
                return false;
            };
            is_pointer(last)
        }
        Expr::MethodCall(call) => POINTER_STEPS.iter().any(|step| call.method == step),
        _ => false,
    }
}

/// True for `a..b`: its iterator is known.
pub fn is_range(expression: &Expr) -> bool {
    match expression {
        Expr::Range(_) => true,
        Expr::Paren(paren) => is_range(&paren.expr),
        _ => false,
    }
}
