//! Blocks with variables that a pattern binds: arms, branches, turns of loops.

use syn::spanned::Spanned as _;
use syn::visit::Visit as _;
use syn::visit_mut::VisitMut as _;
use syn::{Block, Expr, Ident, Pat, Stmt, parse_quote_spanned};

use super::asked::Asked;
use super::body::Body;
use super::chain;
use super::ends::Names;
use super::guards::{ends_plainly, makes_nothing};
use super::place::{bare, hygienic};

impl Body<'_> {
    /// A block with variables that these patterns bind: those bound by value end
    /// behind what goes into it.
    ///
    /// Input: `if let Some(x) = … { BODY }`. Output:
    ///
    /// ```text
    /// if let Some(x) = … { let dropped = Dropped::of(&x); BODY }
    /// ```
    pub fn bound_block(&mut self, bound: &[Pat], block: &mut Block) {
        let (names, others) = self.names_of(bound);
        let original = (!names.is_empty()).then(|| block.clone());
        self.visit_block_mut(block);
        if let Some(original) = original {
            let alone = !others && ends_plainly(&original.stmts);
            let sees = self.sees_bound(names, &original.stmts, alone);
            block.stmts.splice(0..0, sees);
        }
        if others {
            block.stmts.insert(0, self.sees_any(None));
        }
    }

    /// The body of an arm that is no block: as one, if something goes before it.
    ///
    /// Input: `Some(x) => x + 1`. Output:
    ///
    /// ```text
    /// Some(x) => { let dropped = Dropped::of(&x); { HOOKS x + 1 } }
    /// ```
    pub fn arm(&mut self, bound: &Pat, body: &mut Expr) {
        let (names, others) = self.names_of(std::slice::from_ref(bound));
        let original = (!names.is_empty()).then(|| body.clone());
        match &self.declared {
            Some(around) => {
                let asked = around.asked.of_arm(body);
                let asked = self.asked_in(asked, body);
                if let Some(around) = &mut self.declared {
                    around.asked.leaves(asked.as_ref());
                }
                self.asks_in(asked, body);
            }
            None => self.visit_expr_mut(body),
        }
        let mut sees = match original {
            Some(original) => {
                let alone = !others && makes_nothing(&original);
                self.sees_bound(names, &[Stmt::Expr(original, None)], alone)
            }
            None => Vec::new(),
        };
        if others {
            sees.push(self.sees_any(None));
        }
        if !sees.is_empty() {
            let span = hygienic(body.span());
            *body = parse_quote_spanned!(span=> { #(#sees)* #body });
        }
    }

    /// The variables that patterns bind by value, each once; and whether there may be
    /// others.
    fn names_of<'p>(&self, patterns: &'p [Pat]) -> (Vec<&'p Ident>, bool) {
        let mut names = Names::default();
        for pattern in patterns {
            names.visit_pat(pattern);
        }
        let others = names.has_others(&self.context.constants);
        let mut names = names.all();
        names.sort_unstable();
        names.dedup();
        (names, others)
    }

    /// As that, of a closure.
    pub fn closure_body(&mut self, body: &mut Expr) {
        let asked = self.asked_in(Asked::of_expression(body), body);
        self.asks_in(asked, body);
    }

    /// Walks a body; what is asked in it, of that.
    fn asked_in(&mut self, asked: Asked, body: &mut Expr) -> Option<Asked> {
        let around = std::mem::replace(&mut self.declared.as_mut()?.asked, asked);
        let conditional = std::mem::replace(&mut self.conditional, false);
        self.coerced_before([&*body]);
        self.visit_expr_mut(body);
        self.conditional = conditional;
        let asked = std::mem::replace(&mut self.declared.as_mut()?.asked, around);
        Some(self.with_own(asked))
    }

    fn asks_in(&mut self, asked: Option<Asked>, body: &mut Expr) {
        let Some(asked) = asked else { return };
        let (asks, _) = self.asks(asked, body.span());
        if !asks.is_empty() {
            let span = hygienic(body.span());
            *body = parse_quote_spanned!(span=> { #(#asks)* #body });
        }
    }

    /// What a condition binds, and does not keep if more of it fails.
    pub fn chained(&mut self, condition: &Expr) {
        let Expr::Binary(both) = condition else {
            return;
        };
        for part in [&*both.left, &*both.right] {
            if let Expr::Let(let_) = part
                && chain::is_place(&let_.expr)
            {
                self.moved(bare(&let_.expr));
            }
            self.chained(part);
        }
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
