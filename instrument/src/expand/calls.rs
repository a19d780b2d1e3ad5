//! Which calls of a statement may run code that is not tracked.
//!
//! A call is *inert* if it runs no code of others (constructors, known
//! functions of std), *tracked itself* if its expansion tells the library what
//! it does, or else it may be a tracked function or any other: one such call
//! in a statement, or several of one name, are announced by the name, which a
//! tracked function answers to. Other calls make the statement *opaque*.
//!
//! Blocks inside of a statement are looked at when they are walked.

use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprBlock, ExprCall, ExprMethodCall, ExprUnsafe, Macro, Pat, Stmt};

use super::address::takes_address;
use super::names::{
    INERT_FUNCTIONS, INERT_MACROS, INERT_METHODS, INERT_TYPES, LOCKS, MACROS, POINTER_STEPS,
    SHARES, SPAWNS, TRIES,
};
use super::sync::{is_joined, meets, operation, simple};

/// What a statement calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Calls {
    /// Nothing that is not known.
    Nothing,
    /// One function of this name.
    One(String),
    /// Several of this name.
    Each(String),
    /// Anything.
    Anything,
}

/// What a statement calls, blocks inside of it left out.
pub fn of_statement(statement: &Stmt) -> Calls {
    let mut heads = Heads::default();
    match statement {
        Stmt::Item(_) => {}
        Stmt::Local(_) | Stmt::Expr(..) | Stmt::Macro(_) => heads.visit_stmt(statement),
    }
    heads.into()
}

/// What an expression calls, blocks inside of it left out.
pub fn of_expression(expression: &Expr) -> Calls {
    let mut heads = Heads::default();
    heads.visit_expr(expression);
    heads.into()
}

#[derive(Default)]
struct Heads {
    names: Vec<String>,
    anything: bool,
    /// In the arguments of a macro that is left as it is.
    untold: bool,
}

impl From<Heads> for Calls {
    fn from(mut heads: Heads) -> Self {
        match (heads.anything, heads.names.len()) {
            (true, _) => Self::Anything,
            (false, 0) => Self::Nothing,
            (false, 1) => Self::One(heads.names.remove(0)),
            (false, _) if heads.names.iter().all(|name| *name == heads.names[0]) => {
                Self::Each(heads.names.remove(0))
            }
            (false, _) => Self::Anything,
        }
    }
}

impl Heads {
    fn call(&mut self, call: &ExprCall) {
        let Expr::Path(path) = &*call.func else {
            self.anything = true;
            return;
        };
        let mut segments = path.path.segments.iter().rev();
        let Some(last) = segments.next().map(|segment| segment.ident.to_string()) else {
            return;
        };
        let before = segments.next().map(|segment| segment.ident.to_string());
        let known = INERT_TYPES.iter().any(|(owner, functions)| {
            before.as_deref() == Some(owner) && functions.contains(&last.as_str())
        });
        // `CALLBACK(x)` calls what a variable holds.
        let constructor = last.starts_with(|c: char| c.is_ascii_uppercase())
            && (last.len() == 1 || last.contains(|c: char| c.is_ascii_lowercase()));
        let alone = before.is_none() && INERT_FUNCTIONS.contains(&last.as_str());
        if !(known || constructor || alone) {
            self.names.push(last);
        }
    }

    fn method(&mut self, call: &ExprMethodCall) {
        let name = call.method.to_string();
        let name = name.as_str();
        let told = is_joined(call)
            || simple(&call.receiver)
                && (call.args.is_empty()
                    && [LOCKS, SHARES, TRIES]
                        .iter()
                        .any(|names| names.contains(&name))
                    || meets(call)
                    || operation(call).is_some());
        let told = (told || SPAWNS.contains(&name)) && !self.untold;
        if !(told || is_inert(call)) {
            self.names.push(name.to_owned());
        }
    }
}

impl<'ast> Visit<'ast> for Heads {
    fn visit_block(&mut self, _: &'ast Block) {}

    fn visit_pat(&mut self, _: &'ast Pat) {}

    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Call(call) => self.call(call),
            Expr::MethodCall(call) => self.method(call),
            Expr::ForLoop(each) if !is_range(&each.expr) => self.anything = true,
            // Each turn is a call.
            Expr::While(turns) if of_expression(&turns.cond) != Calls::Nothing => {
                self.anything = true;
            }
            Expr::Closure(_) | Expr::Async(_) | Expr::Const(_) => return,
            _ => {}
        }
        visit::visit_expr(self, expression);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let name = called
            .path
            .segments
            .last()
            .map(|last| last.ident.to_string());
        let name = name.as_deref().unwrap_or_default();
        let arguments = match super::macros::arguments(called) {
            Some(arguments) if MACROS.contains(&name) || INERT_MACROS.contains(&name) => arguments,
            _ => {
                self.anything = true;
                return;
            }
        };
        // What is not rewritten tells nothing of what it does.
        let told = super::macros::rewritten(called);
        let around = std::mem::replace(&mut self.untold, !told);
        for argument in &arguments {
            self.visit_expr(argument);
        }
        self.untold = around;
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
