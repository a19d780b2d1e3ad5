//! Lock guards whose end can be seen.
//!
//! A guard's type is not changed. Its end is seen where the scope drops it: a
//! variable that is only used by reference until its block ends or `drop`
//! takes it, or a temporary, which ends with its statement. Of other variables
//! that their scope drops, whatever they begin with, the library asks whether they
//! are guards ([`super::ends`]). Anything else, and it takes the lock as held until
//! somebody else has it.

use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprMethodCall, Ident, Local, Macro, Pat, Stmt};

use super::bound::bound_by;
use super::chain::is_place;
use super::names::{KEEPS_GUARD, LOCKS, MACROS, SHARES, TAKES_GUARD};
use super::place::bare;
use super::sync::simple;

/// What guard a statement makes.
pub enum Guarded {
    /// One with this name, that its scope drops.
    Named(String),
    /// None whose end is certain.
    No,
}

/// What guard a statement makes, given the statements after it.
pub fn of(statement: &Stmt, rest: &[Stmt]) -> Guarded {
    let Stmt::Local(Local {
        pat: Pat::Ident(name),
        init: Some(init),
        ..
    }) = statement
    else {
        return Guarded::No;
    };
    if init.diverge.is_some() || name.by_ref.is_some() || lock_of(&init.expr).is_none() {
        return Guarded::No;
    }
    if is_moved(&name.ident, rest) || is_given(&name.ident, rest) {
        Guarded::No
    } else {
        Guarded::Named(name.ident.to_string())
    }
}

/// True if a variable is used otherwise than by reference, or by `drop`.
pub fn is_moved(name: &Ident, rest: &[Stmt]) -> bool {
    let mut uses = Uses { name, moved: false };
    for statement in rest {
        if drops(statement).is_none_or(|dropped| dropped != name) {
            uses.visit_stmt(statement);
        }
    }
    uses.moved
}

/// True if a guard in this variable may go on where the variable is used by
/// reference only, as it seems: by a method that takes it, or by an exchange.
pub fn is_given(name: &Ident, rest: &[Stmt]) -> bool {
    let mut gifts = Gifts { name, found: false };
    for statement in rest {
        gifts.visit_stmt(statement);
    }
    gifts.found
}

/// True if a block drops nothing between the end of its statements and that of what
/// was bound before it: what its last expression makes on the way may live longer
/// than its variables (until the edition of 2024).
pub fn ends_plainly(statements: &[Stmt]) -> bool {
    match statements.last() {
        Some(Stmt::Expr(last, None)) => makes_nothing(last),
        Some(Stmt::Macro(called)) => called.semi_token.is_some(),
        _ => true,
    }
}

/// True if an expression leaves no temporary with an end of its own.
pub fn makes_nothing(value: &Expr) -> bool {
    match value {
        Expr::Lit(_) | Expr::Path(_) | Expr::Loop(_) | Expr::Closure(_) => true,
        Expr::Paren(inner) => makes_nothing(&inner.expr),
        Expr::Group(inner) => makes_nothing(&inner.expr),
        Expr::Field(field) => makes_nothing(&field.base),
        Expr::Unary(unary) => makes_nothing(&unary.expr),
        Expr::Cast(cast) => makes_nothing(&cast.expr),
        Expr::Binary(both) => makes_nothing(&both.left) && makes_nothing(&both.right),
        Expr::Assign(assigned) => makes_nothing(&assigned.left) && makes_nothing(&assigned.right),
        Expr::Tuple(made) => made.elems.iter().all(makes_nothing),
        Expr::Return(left) => left.expr.as_deref().is_none_or(makes_nothing),
        Expr::Break(left) => left.expr.as_deref().is_none_or(makes_nothing),
        Expr::Continue(_) => true,
        Expr::Block(block) => ends_plainly(&block.block.stmts),
        Expr::Unsafe(block) => ends_plainly(&block.block.stmts),
        // A condition and the branches end on their own.
        Expr::If(branches) => {
            let otherwise = branches.else_branch.as_ref();
            bound_by(&branches.cond).is_empty()
                && otherwise.is_none_or(|(_, otherwise)| makes_nothing(otherwise))
        }
        Expr::While(_) => true,
        Expr::ForLoop(turns) => makes_nothing(&turns.expr),
        Expr::Range(range) => {
            let ends = [&range.start, &range.end];
            ends.iter()
                .all(|end| end.as_deref().is_none_or(makes_nothing))
        }
        Expr::Reference(borrow) => makes_nothing(&borrow.expr),
        Expr::Match(matched) => makes_nothing(&matched.expr),
        _ => false,
    }
}

/// The call that takes a lock, if the expression is the guard it returns.
pub fn lock_of(expression: &Expr) -> Option<&ExprMethodCall> {
    match expression {
        Expr::Await(awaited) => lock_of(&awaited.base),
        Expr::Try(tried) => lock_of(&tried.expr),
        Expr::Paren(paren) => lock_of(&paren.expr),
        Expr::MethodCall(call) => {
            let name = call.method.to_string();
            let name = name.as_str();
            if (LOCKS.contains(&name) || SHARES.contains(&name))
                && call.args.is_empty()
                && simple(&call.receiver)
            {
                Some(call)
            } else if KEEPS_GUARD.contains(&name) {
                lock_of(&call.receiver)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// `drop(x);`
pub fn drops(statement: &Stmt) -> Option<&Ident> {
    let Stmt::Expr(Expr::Call(call), Some(_)) = statement else {
        return None;
    };
    let Expr::Path(function) = &*call.func else {
        return None;
    };
    let named = function.path.segments.last()?.ident == "drop" && call.args.len() == 1;
    match call.args.first() {
        Some(Expr::Path(argument)) if named => argument.path.get_ident(),
        _ => None,
    }
}

/// What sees the release of the guard that this statement drops.
pub fn dropped(statement: &Stmt, names: &[(String, Ident)]) -> Option<Ident> {
    let dropped = drops(statement)?;
    let mut known = names.iter().rev();
    known
        .find(|(name, _)| dropped == name)
        .map(|(_, release)| release.clone())
}

/// Whether a variable is used otherwise than by reference.
struct Uses<'n> {
    name: &'n Ident,
    moved: bool,
}

impl Uses<'_> {
    fn is_it(&self, expression: &Expr) -> bool {
        match expression {
            Expr::Path(path) => path.path.is_ident(self.name),
            Expr::Paren(paren) => self.is_it(&paren.expr),
            _ => false,
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_expr(&mut self, expression: &'ast Expr) {
        let by_reference = match expression {
            Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => {
                self.is_it(&unary.expr)
            }
            Expr::Field(field) => self.is_it(&field.base),
            Expr::Reference(reference) => self.is_it(&reference.expr),
            Expr::MethodCall(call) if self.is_it(&call.receiver) => {
                // `self` by value: tokio's `downgrade`, parking_lot's `unlock`.
                for argument in &call.args {
                    self.visit_expr(argument);
                }
                let name = call.method.to_string();
                !["downgrade", "unlock", "unlock_fair", "into_mapped", "map"]
                    .contains(&name.as_str())
            }
            Expr::Index(index) if self.is_it(&index.expr) => {
                self.visit_expr(&index.index);
                true
            }
            Expr::Closure(closure) if closure.capture.is_some() => {
                let mut inside = Mentions {
                    name: self.name,
                    found: false,
                };
                inside.visit_expr(&closure.body);
                self.moved |= inside.found;
                return;
            }
            _ => false,
        };
        if by_reference {
            return;
        }
        self.moved |= self.is_it(expression);
        visit::visit_expr(self, expression);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        let name = called
            .path
            .segments
            .last()
            .map(|last| last.ident.to_string());
        let by_reference = MACROS.contains(&name.as_deref().unwrap_or_default())
            || name.as_deref() == Some("assert");
        let word = self.name.to_string();
        self.moved |= !by_reference && mentions(&called.tokens, &word);
    }
}

/// Whether a guard may be given away where a reference is written.
struct Gifts<'n> {
    name: &'n Ident,
    found: bool,
}

impl<'ast> Visit<'ast> for Gifts<'_> {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let uses = Uses {
            name: self.name,
            moved: false,
        };
        let method = call.method.to_string();
        let takes = TAKES_GUARD.iter().any(|begin| method.starts_with(begin));
        self.found |= takes && uses.is_it(&call.receiver);
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let last = match &*call.func {
            Expr::Path(function) => function.path.segments.last(),
            _ => None,
        };
        let exchanges = last.is_some_and(|last| {
            ["swap", "replace", "take"]
                .iter()
                .any(|it| last.ident == it)
        });
        let mut inside = Mentions {
            name: self.name,
            found: false,
        };
        if exchanges {
            inside.visit_expr_call(call);
        }
        self.found |= inside.found;
        visit::visit_expr_call(self, call);
    }
}

struct Mentions<'n> {
    name: &'n Ident,
    found: bool,
}

impl<'ast> Visit<'ast> for Mentions<'_> {
    fn visit_ident(&mut self, ident: &'ast Ident) {
        self.found |= ident == self.name;
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.found |= mentions(&called.tokens, &self.name.to_string());
    }
}

fn mentions(tokens: &proc_macro2::TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        proc_macro2::TokenTree::Group(group) => mentions(&group.stream(), word),
        other => other.to_string() == word,
    })
}

/// In a test, what is polled last is where the executor can still run tasks.
///
/// Input, as `#[tokio::test]` leaves it: `return RUNTIME.block_on(BODY);`, where the
/// runtime is made by calls. [`super::test`] wraps the argument. One in a variable
/// is dropped before the test is judged, and what it still ran with it.
pub fn check_at_the_end(block: &mut Block) {
    let call = match block.stmts.last_mut() {
        Some(Stmt::Expr(Expr::Return(returned), _)) => returned.expr.as_deref_mut(),
        Some(Stmt::Expr(last, _)) => Some(last),
        _ => None,
    };
    let call = match call {
        Some(Expr::Block(inner)) => return check_at_the_end(&mut inner.block),
        other => other,
    };
    if let Some(Expr::MethodCall(call)) = call
        && call.method == "block_on"
        && call.args.len() == 1
        && !is_place(bare(&call.receiver))
    {
        call.attrs.push(syn::parse_quote!(#[leakcheck_last]));
    }
}
