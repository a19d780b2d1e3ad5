//! Operators, whose operands may have code of their own for them.
//!
//! The operands of operators within operators are one tree: what a known type
//! makes of known types is known. Places in it are asked about before the
//! statement ([`super::asked`]); what is computed goes through a function that
//! asks.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::visit_mut::VisitMut as _;
use syn::{BinOp, Expr, UnOp, parse_quote_spanned};

use super::Context;
use super::body::Body;
use super::chain::{self, is_place};
use super::foreign::{has_unsafe, is_variant};
use super::operators::{is_assignment, is_comparison};
use super::place::{bare, hygienic, library};
use super::steps::{askable, askable_behind_call};
use super::way::NOT_KNOWN;

/// What an operand is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A literal.
    Literal,
    /// Of a known type, or what comes from nothing.
    Plain,
    /// A place, whose type is asked for.
    Place,
    /// A value that is made here.
    Value,
    /// A place that is computed and borrowed: its value stays there.
    Looked,
}

/// What is known of a tree of operators.
#[derive(Default)]
pub struct Tree {
    /// What its operators call; the names are several where it has several.
    names: Vec<&'static str>,
    /// Places of operands.
    pub places: Vec<Expr>,
    /// Operands that are computed.
    computed: usize,
    /// Of these, those that are asked.
    made: Vec<Expr>,
    /// Variants and constants of types, of which the others tell the type.
    constants: usize,
    /// See [`Tree::fails`].
    fails: bool,
    /// What sees from when on operators may run.
    own: Option<syn::Ident>,
}

impl Tree {
    /// Of this operator.
    pub fn of(name: &'static str) -> Self {
        Self {
            names: vec![name],
            ..Self::default()
        }
    }

    /// What is called: no function has the name that stands for several.
    fn name(&self) -> &'static str {
        match self.names.as_slice() {
            [name] => name,
            _ => "…",
        }
    }

    /// Takes in what is known of an expression.
    pub fn looks(&mut self, body: &Body, expression: &mut Expr, borrowed: bool) {
        operands(
            body,
            expression,
            borrowed,
            self,
            &mut |tree, operand, at| match operand {
                Operand::Literal => {}
                Operand::Plain => {
                    tree.computed += usize::from(!is_place(at));
                    let is_constant = matches!(borrowed_in(at), Expr::Path(path)
                        if is_variant(path) && !is_of_number(path));
                    tree.constants += usize::from(is_constant);
                }
                Operand::Place => tree.places.push(at.clone()),
                Operand::Value | Operand::Looked => {
                    tree.computed += 1;
                    tree.made.push(at.clone());
                }
            },
        );
    }

    /// It is shown by a panic, whatever it is.
    pub const fn fails(&mut self) {
        self.fails = true;
    }

    /// What can only be asked where it is.
    pub fn made(&self) -> &[Expr] {
        &self.made
    }

    /// Takes in a place whose type is not asked for by name.
    pub fn holds(&mut self, place: &Expr) {
        self.places.push(place.clone());
    }
}

/// `x` of `&&x`.
fn borrowed_in(operand: &Expr) -> &Expr {
    match operand {
        Expr::Paren(inner) => borrowed_in(&inner.expr),
        Expr::Reference(inner) => borrowed_in(&inner.expr),
        other => other,
    }
}

/// Calls `each` with the operands of a tree, and takes in the names of its
/// operators.
fn operands(
    body: &Body,
    expression: &mut Expr,
    borrowed: bool,
    tree: &mut Tree,
    each: &mut dyn FnMut(&mut Tree, Operand, &mut Expr),
) {
    match expression {
        Expr::Paren(inner) => operands(body, &mut inner.expr, borrowed, tree, each),
        Expr::Group(inner) => operands(body, &mut inner.expr, borrowed, tree, each),
        Expr::Binary(binary) if arithmetic(&binary.op).is_some() => {
            tree.names.extend(arithmetic(&binary.op));
            operands(body, &mut binary.left, false, tree, each);
            operands(body, &mut binary.right, false, tree, each);
        }
        Expr::Unary(unary) if !matches!(unary.op, UnOp::Deref(_)) => {
            tree.names.extend(unary_name(&unary.op));
            operands(body, &mut unary.expr, false, tree, each);
        }
        Expr::Reference(reference) if !is_place(bare(&reference.expr)) => {
            operands(body, &mut reference.expr, true, tree, each);
        }
        Expr::Tuple(made) => {
            for element in &mut made.elems {
                operands(body, element, false, tree, each);
            }
        }
        Expr::Array(made) => {
            for element in &mut made.elems {
                operands(body, element, false, tree, each);
            }
        }
        other => {
            let operand = body.operand_of(other, borrowed);
            each(tree, operand, other);
        }
    }
}

impl Body<'_> {
    /// What an operand is.
    fn operand_of(&self, expression: &Expr, borrowed: bool) -> Operand {
        match expression {
            Expr::Lit(_) => Operand::Literal,
            Expr::Cast(_)
            | Expr::Return(_)
            | Expr::Break(_)
            | Expr::Continue(_)
            | Expr::Loop(_)
            | Expr::Let(_)
            | Expr::While(_)
            | Expr::ForLoop(_)
            | Expr::Assign(_)
            | Expr::Closure(_)
            | Expr::Range(_)
            | Expr::Infer(_)
            | Expr::Verbatim(_)
            | Expr::Const(_)
            | Expr::Binary(_) => Operand::Plain,
            Expr::Macro(called) => match called.mac.path.segments.last() {
                Some(name) if name.ident == "vec" || name.ident == "format" => Operand::Value,
                _ => Operand::Plain,
            },
            Expr::Reference(reference) => match self.operand_of(bare(&reference.expr), true) {
                Operand::Looked => Operand::Value,
                other => other,
            },
            Expr::Path(path) if path.qself.is_some() || is_variant(path) => {
                if is_of_number(path) || borrowed {
                    Operand::Plain
                } else {
                    Operand::Value
                }
            }
            place if is_place(place) => {
                if self.typed.is_plain(place) {
                    Operand::Plain
                } else if askable(place) || borrowed && self.unsafety && askable_behind_call(place)
                {
                    Operand::Place
                } else if borrowed {
                    Operand::Looked
                } else {
                    Operand::Value
                }
            }
            _ => Operand::Value,
        }
    }

    /// Gives a tree the variable that it needs; where there is none, what is
    /// accessed in it is not certain. What was so before.
    pub fn lasting(&mut self, tree: &mut Tree, expression: &Expr) -> bool {
        let opaque = self.opaque;
        if !tree.made.is_empty() && (tree.computed > 1 || !tree.places.is_empty()) {
            tree.own = self.new_own();
            self.opaque |= tree.own.is_none() && (self.unsafety || has_unsafe(expression));
        }
        opaque
    }

    /// Rewrites the operands of a tree that was looked at.
    pub fn operands(&mut self, expression: &mut Expr, borrowed: bool, tree: &Tree) {
        let name = tree.name();
        let own = tree.own.clone();
        let mut found = Vec::new();
        let mut seen = Tree::default();
        // Twice: the walk asks what the rewriting changes.
        operands(
            self,
            expression,
            borrowed,
            &mut seen,
            &mut |_, operand, _| {
                found.push(operand);
            },
        );
        let mut found = found.into_iter();
        let mut walk = Operands {
            body: self,
            name,
            own,
        };
        walk.each(expression, &mut found);
    }

    /// Tells of the places in a tree.
    ///
    /// Input: `A + B`. Output, before the statement:
    ///
    /// ```text
    /// operates(RUNS of A || RUNS of B, hash("add"), None);
    /// ```
    pub fn operates(&mut self, expression: &mut Expr, tree: &Tree) {
        self.ask(expression, self.places_of(tree), tree.name());
    }

    /// Asks about the places in a tree.
    pub fn places_of(&self, tree: &Tree) -> Vec<TokenStream> {
        let places = tree.places.iter().map(|place| match place {
            Expr::Reference(reference) => bare(&reference.expr),
            other => other,
        });
        let asks = places.filter_map(|place| self.does(place, "Operator"));
        let are_constants = tree.constants > 0 && tree.places.is_empty() && tree.made.is_empty();
        let is_unknown = tree.fails || are_constants;
        asks.chain(is_unknown.then(|| quote!(true))).collect()
    }

    /// Input: `A + CALL()`, `!A`. Output:
    ///
    /// ```text
    /// A + asked(CALL(), Deed::Operator, hash("add"))
    /// ```
    pub fn operated(&mut self, expression: &mut Expr) {
        let mut tree = Tree::default();
        tree.looks(self, expression, false);
        let opaque = self.lasting(&mut tree, expression);
        self.operands(expression, false, &tree);
        self.opaque = opaque;
        self.operates(expression, &tree);
    }

    /// True if the compiler may promote what is borrowed here: nothing may be put
    /// into it.
    pub fn is_promoted(&self, borrowed: &Expr) -> bool {
        struct Names<'c>(&'c Context, bool);

        impl<'ast> Visit<'ast> for Names<'_> {
            fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
                let last = path.path.segments.last();
                self.1 |= last.is_some_and(|last| self.0.statics.contains(&last.ident.to_string()));
            }
        }

        let mut names = Names(self.context, false);
        names.visit_expr(borrowed);
        is_constant(borrowed) && !names.1
    }

    /// As [`Body::operated`], of what may be promoted: `&(A | B)`. Nothing may
    /// stand in it.
    pub fn operated_constants(&mut self, whole: &mut Expr, operators: &Expr) {
        let krate = self.context.krate.clone();
        let span = hygienic(whole.span());
        let deed = quote_spanned!(span=> #krate::__private::Deed::Operator);
        let mut operators = operators.clone();
        let mut tree = Tree::default();
        tree.looks(self, &mut operators, false);
        if self.unsafety && !tree.places.is_empty() {
            self.alone(whole, NOT_KNOWN);
        }
        if tree.places.is_empty() && tree.made.is_empty() {
            return;
        }
        let asks = chain::asked(
            &quote_spanned!(span=> value(#operators)),
            "Runs",
            &quote_spanned!(span=> does(#deed)),
            &krate,
            span,
        );
        self.ask(whole, vec![asks], tree.name());
    }
}

impl Body<'_> {
    /// An operand of a comparison that is a place, once it was rewritten.
    pub fn looked_at(&mut self, operand: &mut Expr, whole: &Expr, tree: &Tree) {
        if self.operand_of(whole, true) == Operand::Looked {
            let (name, own) = (tree.name(), tree.own.clone());
            let walk = Operands {
                body: self,
                name,
                own,
            };
            walk.looked(operand);
        }
    }
}

/// Rewrites the operands of a tree, of which is known what they are.
struct Operands<'b, 'c> {
    body: &'b mut Body<'c>,
    name: &'static str,
    own: Option<syn::Ident>,
}

impl Operands<'_, '_> {
    fn each(&mut self, expression: &mut Expr, found: &mut impl Iterator<Item = Operand>) {
        match expression {
            Expr::Paren(inner) => self.each(&mut inner.expr, found),
            Expr::Group(inner) => self.each(&mut inner.expr, found),
            Expr::Binary(binary) if arithmetic(&binary.op).is_some() => {
                self.each(&mut binary.left, found);
                self.each(&mut binary.right, found);
            }
            Expr::Unary(unary) if !matches!(unary.op, UnOp::Deref(_)) => {
                self.each(&mut unary.expr, found);
            }
            Expr::Reference(reference) if !is_place(bare(&reference.expr)) => {
                self.each(&mut reference.expr, found);
            }
            Expr::Tuple(made) => {
                for element in &mut made.elems {
                    self.each(element, found);
                }
            }
            Expr::Array(made) => {
                for element in &mut made.elems {
                    self.each(element, found);
                }
            }
            other => match found.next() {
                Some(Operand::Value) => {
                    self.body.visit_expr_mut(other);
                    self.asked(other);
                }
                Some(Operand::Looked) => {
                    self.body.place(other);
                    self.looked(other);
                }
                Some(Operand::Literal | Operand::Plain | Operand::Place) | None => {
                    self.body.visit_expr_mut(other);
                }
            },
        }
    }

    fn told(&self) -> TokenStream {
        let krate = &self.body.context.krate;
        let name = self.name;
        quote! {
            #krate::__private::Deed::Operator, const { #krate::__private::hash(#name) }
        }
    }

    fn asked(&self, value: &mut Expr) {
        let told = self.told();
        *value = match &self.own {
            Some(own) => {
                let krate = &self.body.context.krate;
                library(krate, "Own::asked", quote!(&#own, #value, #told), value)
            }
            None => library(
                &self.body.context.krate,
                "asked",
                quote!(#value, #told),
                value,
            ),
        };
    }

    fn looked(&self, place: &mut Expr) {
        let told = self.told();
        let span = hygienic(place.span());
        *place = match &self.own {
            Some(own) => parse_quote_spanned!(span=> *#own.looked(&#place, #told)),
            None => {
                let krate = &self.body.context.krate;
                parse_quote_spanned!(span=> *#krate::__private::looked(&#place, #told))
            }
        };
    }
}

/// What `+` and the like call.
pub fn arithmetic(operator: &BinOp) -> Option<&'static str> {
    match operator {
        BinOp::Add(_) => Some("add"),
        BinOp::Sub(_) => Some("sub"),
        BinOp::Mul(_) => Some("mul"),
        BinOp::Div(_) => Some("div"),
        BinOp::Rem(_) => Some("rem"),
        BinOp::BitXor(_) => Some("bitxor"),
        BinOp::BitAnd(_) => Some("bitand"),
        BinOp::BitOr(_) => Some("bitor"),
        BinOp::Shl(_) => Some("shl"),
        BinOp::Shr(_) => Some("shr"),
        _ => None,
    }
}

/// True for operators that may make a value with code of its own: of a literal
/// or a number they make a number.
pub fn may_make(operators: &Expr) -> bool {
    let is_plain = |operand: &Expr| matches!(bare(operand), Expr::Lit(_) | Expr::Cast(_));
    match operators {
        Expr::Binary(binary) => {
            arithmetic(&binary.op).is_some() && !(is_plain(&binary.left) && is_plain(&binary.right))
        }
        Expr::Unary(unary) => !matches!(unary.op, UnOp::Deref(_)) && !is_plain(&unary.expr),
        _ => false,
    }
}

/// What `+=` and the like call, and `==` and `<`.
pub fn other_name(operator: &BinOp) -> &'static str {
    match operator {
        BinOp::AddAssign(_) => "add_assign",
        BinOp::SubAssign(_) => "sub_assign",
        BinOp::MulAssign(_) => "mul_assign",
        BinOp::DivAssign(_) => "div_assign",
        BinOp::RemAssign(_) => "rem_assign",
        BinOp::BitXorAssign(_) => "bitxor_assign",
        BinOp::BitAndAssign(_) => "bitand_assign",
        BinOp::BitOrAssign(_) => "bitor_assign",
        BinOp::ShlAssign(_) => "shl_assign",
        BinOp::ShrAssign(_) => "shr_assign",
        BinOp::Eq(_) => "eq",
        BinOp::Ne(_) => "ne",
        _ => "partial_cmp",
    }
}

const fn unary_name(operator: &UnOp) -> Option<&'static str> {
    match operator {
        UnOp::Not(_) => Some("not"),
        UnOp::Neg(_) => Some("neg"),
        _ => None,
    }
}

/// `u32::MAX`
fn is_of_number(path: &syn::ExprPath) -> bool {
    let mut names = path.path.segments.iter().rev().skip(1);
    path.qself.is_none()
        && names
            .next()
            .is_some_and(|owner| super::typed::is_number(&owner.ident.to_string()))
}

/// True for operators of literals and constants alone, which the compiler may
/// compute.
pub fn is_constant(expression: &Expr) -> bool {
    match expression {
        Expr::Paren(inner) => is_constant(&inner.expr),
        Expr::Binary(binary) if !is_assignment(&binary.op) => {
            is_constant(&binary.left) && is_constant(&binary.right)
        }
        Expr::Unary(unary) => is_constant(&unary.expr),
        Expr::Cast(cast) => is_constant(&cast.expr),
        Expr::Lit(_) => true,
        Expr::Path(path) => path.path.segments.last().is_some_and(|last| {
            last.ident
                .to_string()
                .starts_with(|c: char| c.is_uppercase())
        }),
        Expr::Array(made) => made.elems.iter().all(is_constant),
        Expr::Tuple(made) => made.elems.iter().all(is_constant),
        Expr::Reference(inner) => inner.mutability.is_none() && is_constant(&inner.expr),
        Expr::Field(field) => is_constant(&field.base),
        Expr::Index(index) => is_constant(&index.expr) && is_constant(&index.index),
        _ => false,
    }
}

/// True for an operator that is told of here.
pub const fn is_told(operator: &BinOp) -> bool {
    !matches!(operator, BinOp::And(_) | BinOp::Or(_))
        && !is_assignment(operator)
        && !is_comparison(operator)
}
