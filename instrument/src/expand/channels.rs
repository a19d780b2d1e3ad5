//! The two ends of a channel, where they are made: which of their words tells
//! the channel, the library learns from a pair that is surely one.

use syn::{Expr, Ident, Local, Pat, Stmt, parse_quote_spanned};

use super::body::Body;
use super::place::hygienic;

/// Functions that make a channel: those whose name has the word in it, and
/// these.
const MAKERS: [&str; 3] = ["bounded", "unbounded", "rendezvous"];

impl Body<'_> {
    /// Tells of two ends that are made together.
    ///
    /// Input: `let (S, mut R) = channel();`. Output: the same, and
    ///
    /// ```text
    /// ::leakcheck::__private::made(&S, &R);
    /// ```
    pub fn ends_made(&self, statement: &Stmt) -> Option<Stmt> {
        let Stmt::Local(local) = statement else {
            return None;
        };
        let (one, other) = pair(local)?;
        let krate = &self.context.krate;
        let span = hygienic(one.span());
        Some(parse_quote_spanned!(span=> #krate::__private::made(&#one, &#other);))
    }
}

/// Two variables that a call makes, whose name is a channel's.
fn pair(local: &Local) -> Option<(&Ident, &Ident)> {
    let init = local.init.as_ref().filter(|init| init.diverge.is_none())?;
    if !is_maker(&init.expr) {
        return None;
    }
    let Pat::Tuple(tuple) = bare(&local.pat) else {
        return None;
    };
    let mut each = tuple.elems.iter();
    let both = (each.next()?, each.next()?);
    let none = each.next().is_none();
    none.then_some(())?;
    Some((variable(both.0)?, variable(both.1)?))
}

fn bare(pattern: &Pat) -> &Pat {
    match pattern {
        Pat::Paren(inner) => bare(&inner.pat),
        Pat::Type(typed) => bare(&typed.pat),
        other => other,
    }
}

/// A variable that is bound by value, and meant to be used.
fn variable(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            let text = name.ident.to_string();
            let is_variable = text.starts_with(|c: char| c.is_lowercase());
            is_variable.then_some(&name.ident)
        }
        _ => None,
    }
}

fn is_maker(expression: &Expr) -> bool {
    let name = match expression {
        Expr::Paren(inner) => return is_maker(&inner.expr),
        Expr::Group(inner) => return is_maker(&inner.expr),
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        },
        Expr::MethodCall(call) => Some(call.method.to_string()),
        _ => None,
    };
    name.is_some_and(|name| name.contains("channel") || MAKERS.contains(&name.as_str()))
}
