//! Temporaries that live as long as the variables that a `let` binds: what is
//! borrowed there is kept, and a lock's guard is not given back before.
//!
//! The rules are those of the reference: "Temporary lifetime extension".

use syn::visit::{self, Visit};
use syn::{Expr, ExprCall, Local, Stmt};

use super::guards::lock_of;
use super::pattern::binds_by_reference;
use super::sync::simple;

/// True if a guard that a statement makes is kept by what it binds.
pub fn keeps_guard(local: &Local) -> bool {
    let Some(init) = &local.init else {
        return false;
    };
    is_extending(&init.expr) || binds_by_reference(&local.pat) && is_extended(&init.expr)
}

/// True if what is borrowed in an expression, whose value a variable gets, is a
/// guard.
fn is_extending(value: &Expr) -> bool {
    match value {
        Expr::Reference(borrow) => is_extended(&borrow.expr),
        Expr::RawAddr(raw) => is_extended(&raw.expr),
        Expr::Paren(inner) => is_extending(&inner.expr),
        Expr::Group(inner) => is_extending(&inner.expr),
        Expr::Cast(cast) => is_extending(&cast.expr),
        Expr::Tuple(made) => made.elems.iter().any(is_extending),
        Expr::Array(made) => made.elems.iter().any(is_extending),
        Expr::Struct(made) => made.fields.iter().any(|field| is_extending(&field.expr)),
        Expr::Call(call) => may_construct(call) && call.args.iter().any(is_extending),
        other => ends_of(other).into_iter().any(is_extending),
    }
}

/// True if a place that is borrowed so is in a guard.
fn is_extended(place: &Expr) -> bool {
    match place {
        Expr::Paren(inner) => is_extended(&inner.expr),
        Expr::Group(inner) => is_extended(&inner.expr),
        Expr::Field(field) => is_extended(&field.base),
        Expr::Index(index) => is_extended(&index.expr),
        Expr::Unary(unary) => is_extended(&unary.expr),
        other => lock_of(other).is_some() || is_extending(other),
    }
}

/// What blocks and branches end with.
fn ends_of(value: &Expr) -> Vec<&Expr> {
    match value {
        Expr::Block(block) => tail(&block.block).into_iter().collect(),
        Expr::Unsafe(block) => tail(&block.block).into_iter().collect(),
        Expr::If(branches) => {
            let otherwise = branches.else_branch.as_ref().map(|(_, end)| &**end);
            tail(&branches.then_branch)
                .into_iter()
                .chain(otherwise)
                .collect()
        }
        Expr::Match(matched) => matched.arms.iter().map(|arm| &*arm.body).collect(),
        _ => Vec::new(),
    }
}

fn tail(block: &syn::Block) -> Option<&Expr> {
    match block.stmts.last() {
        Some(Stmt::Expr(last, None)) => Some(last),
        _ => None,
    }
}

/// `Some(…)`, `Own(…)`: what is borrowed in it is kept, which is not so in what a
/// function is given.
fn may_construct(call: &ExprCall) -> bool {
    let Expr::Path(path) = &*call.func else {
        return false;
    };
    path.path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        name.starts_with(|c: char| c.is_ascii_uppercase())
    })
}

/// True if a value that is made here may keep what is borrowed in it: its name must
/// stay as it is.
pub fn may_keep(call: &ExprCall) -> bool {
    struct Borrows(bool);

    impl<'ast> Visit<'ast> for Borrows {
        fn visit_expr_reference(&mut self, borrow: &'ast syn::ExprReference) {
            self.0 |= !simple(&borrow.expr);
            visit::visit_expr_reference(self, borrow);
        }

        fn visit_expr_raw_addr(&mut self, raw: &'ast syn::ExprRawAddr) {
            self.0 |= !simple(&raw.expr);
            visit::visit_expr_raw_addr(self, raw);
        }

        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
    }

    let mut borrows = Borrows(false);
    borrows.visit_expr_call(call);
    may_construct(call) && borrows.0
}

#[cfg(test)]
mod tests {
    use syn::{Stmt, parse_quote};

    use super::keeps_guard;

    #[test]
    fn what_is_borrowed_where_it_is_bound_is_kept() {
        let keeps = |statement: Stmt| match statement {
            Stmt::Local(local) => keeps_guard(&local),
            _ => unreachable!("a `let`"),
        };
        assert!(keeps(parse_quote!(let a = &*M.lock();)));
        assert!(keeps(parse_quote!(let a = &mut M.lock().unwrap().0[1];)));
        assert!(keeps(parse_quote!(let a = (1, S { r: &M.lock() }, [2]);)));
        assert!(keeps(parse_quote!(let a = Some(&*M.lock());)));
        assert!(keeps(parse_quote!(let a = if c { &*M.lock() } else { d };)));
        assert!(keeps(parse_quote!(let ref a = *M.lock();)));
        assert!(keeps(parse_quote!(let S(ref a, _) = *M.lock();)));
        assert!(!keeps(parse_quote!(let a = *M.lock();)));
        assert!(!keeps(parse_quote!(let a = f(&*M.lock());)));
        assert!(!keeps(parse_quote!(let a = M.lock().len();)));
        assert!(!keeps(parse_quote!(let a = (&*M.lock()).len();)));
    }
}
