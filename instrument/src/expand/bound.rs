//! Blocks with variables that a pattern binds: arms, branches, turns of loops.

use syn::visit::Visit as _;
use syn::visit_mut::VisitMut as _;
use syn::{Block, Expr, Pat, Stmt};

use super::body::Body;
use super::ends::Names;
use super::guards::is_moved;

impl Body<'_> {
    /// A block with variables that these patterns bind.
    pub fn bound_block(&mut self, bound: &[Pat], block: &mut Block) {
        let original = block.clone();
        self.visit_block_mut(block);
        self.ends_behind(bound, &original, block);
    }

    /// The body of a loop; unless its head is `known`, each turn begins with
    /// code that is not tracked.
    pub fn turns(&mut self, bound: &[Pat], body: &mut Block, known: bool) {
        self.bound_block(bound, body);
        if !known {
            let mark = self.mark(body);
            body.stmts.insert(0, mark);
        }
    }

    /// What goes into a block before what is there: the variables that its
    /// patterns bind by value end behind it.
    ///
    /// Input: `if let Some(x) = … { BODY }`. Output:
    ///
    /// ```text
    /// if let Some(x) = … { let dropped = Dropped::of(&x); BODY }
    /// ```
    fn ends_behind(&mut self, patterns: &[Pat], original: &Block, block: &mut Block) {
        let mut names = Names::default();
        for pattern in patterns {
            names.visit_pat(pattern);
        }
        let mut names = names.all();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !is_moved(name, &original.stmts));
        let sees: Vec<Stmt> = names.into_iter().map(|name| self.sees(name)).collect();
        block.stmts.splice(0..0, sees);
    }
}

/// The patterns of a condition, whose variables its block has.
pub fn bound_by(condition: &Expr) -> Vec<Pat> {
    match condition {
        Expr::Let(let_) => vec![(*let_.pat).clone()],
        Expr::Binary(binary) if matches!(binary.op, syn::BinOp::And(_)) => {
            let mut bound = bound_by(&binary.left);
            bound.extend(bound_by(&binary.right));
            bound
        }
        _ => Vec::new(),
    }
}
