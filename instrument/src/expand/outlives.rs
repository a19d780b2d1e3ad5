//! Temporaries of a block's last expression, which end with the statement around the
//! block before the edition of 2024: what else that does is still under their locks.
//!
//! The rules are those of the reference: "Temporary scopes". Bodies of functions,
//! loops, branches and arms are scopes of their own.

use syn::{Expr, Local, Stmt};

/// Where the walk is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Outlives {
    /// In a block that is a part of a statement, with more of that to come.
    in_part: bool,
    /// The next block is such a one.
    next_is_part: bool,
    /// In the last expression of such a block.
    here: bool,
    /// At an expression that is all that its statement does.
    whole: bool,
}

impl Outlives {
    /// True where a temporary may live longer than its block.
    pub const fn is_here(self) -> bool {
        self.here
    }

    /// At a statement; what was before is returned.
    pub fn of_statement(&mut self, statement: &Stmt, is_last: bool) -> Self {
        let here = is_last && self.in_part && matches!(statement, Stmt::Expr(_, None));
        let is_block = |value: &Expr| matches!(value, Expr::Block(_) | Expr::Unsafe(_));
        let whole = match statement {
            Stmt::Expr(value, _) => is_block(value) && !here,
            Stmt::Local(Local {
                init: Some(init), ..
            }) => is_block(&init.expr),
            _ => false,
        };
        let inside = Self {
            here,
            whole,
            ..*self
        };
        std::mem::replace(self, inside)
    }

    /// In a block; what was before is returned.
    pub fn of_block(&mut self) -> Self {
        let inside = Self {
            in_part: self.next_is_part,
            ..Self::default()
        };
        let before = Self {
            next_is_part: false,
            ..*self
        };
        *self = inside;
        before
    }

    /// True for the first expression of a statement that is a block, and no more.
    pub const fn is_whole_statement(&mut self) -> bool {
        std::mem::replace(&mut self.whole, false)
    }

    /// The next block is an expression.
    pub const fn in_block(&mut self, is_whole: bool) {
        self.next_is_part = !is_whole;
    }
}
