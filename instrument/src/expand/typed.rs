//! Local variables whose type does not depend on where they are used.
//!
//! What a method is given may be a future or anything else: the library asks
//! its type, and that must be known there. It is for an argument of the
//! function, and for a variable that begins with what says its type. A name
//! that is bound twice in a function is left out: which of the two is meant,
//! only the compiler knows.
//!
//! And boxes: a dereference moves out of one, and assigns it again, which
//! nothing may look at in between. And pointers that point to what is wanted of
//! them: nothing may ask what that is.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Block, Expr, ExprClosure, FnArg, Ident, Local, Pat, PatIdent, ReturnType, Signature, Type,
};

use super::ends::Names;
use super::macros::arguments;
use super::names::POINTER_STEPS;
use super::spawn::returns_what_it_says;
use super::written;

/// The variables of a function.
#[derive(Default)]
pub struct Typed {
    names: BTreeMap<String, Binding>,
    /// Boxes, which a dereference moves out of and assigns again.
    boxes: BTreeSet<String>,
    /// Pointers to what later uses say.
    inferred: BTreeSet<String>,
    /// Variables whose parts may be borrowed or moved by themselves.
    parted: BTreeSet<String>,
    /// Numbers and the like, if nothing else has their name.
    numbers: BTreeSet<String>,
    /// References, in the same way.
    references: BTreeSet<String>,
    /// Of those, the ones by which what they refer to may be changed: parts of it may
    /// be borrowed by themselves.
    exclusive: BTreeSet<String>,
    /// Types as they are written where the variable is bound, if that can be written
    /// elsewhere.
    written: BTreeMap<String, Type>,
    /// Variables that say their type, or that a function of a type makes.
    sure: BTreeSet<String>,
    /// Variables that are made where they are bound, and are no references.
    made: BTreeSet<String>,
    /// Of those that are made, those that may hold a reference.
    holding: BTreeSet<String>,
    /// Of those that are sure, those that say it themselves.
    declared: BTreeSet<String>,
    /// Arguments, and variables that a call of a function begins:
    /// `let (s, r) = channel();`
    returned: BTreeSet<String>,
    /// Pointers that are shared, most likely.
    shared: BTreeSet<String>,
    /// Closures that answer to their name, see [`super::callee`].
    closures: BTreeSet<String>,
    /// Names in macros that may bind them.
    loose: BTreeSet<String>,
    /// Functions inside, and what is imported.
    items: BTreeSet<String>,
}

/// How a name is bound.
#[derive(Default, Clone, Copy)]
struct Binding {
    times: usize,
    is_typed: bool,
}

impl Typed {
    /// Of this function.
    pub fn of(signature: &Signature, block: &Block) -> Self {
        let mut typed = Self::default();
        for argument in &signature.inputs {
            match argument {
                FnArg::Typed(argument) => {
                    typed.visit_pat(&argument.pat);
                    let mut names = Names::default();
                    names.visit_pat(&argument.pat);
                    let names = names.all().into_iter().map(Ident::to_string);
                    typed.returned.extend(names);
                    if let Pat::Ident(name) = &*argument.pat {
                        typed.knows(name);
                        typed.may_be_box(&name.ident, is_box(&argument.ty));
                        typed.says(&name.ident, &argument.ty);
                    }
                }
                FnArg::Receiver(receiver) => {
                    let name = Ident::new("self", receiver.self_token.span);
                    typed.may_be_box(&name, is_box(&receiver.ty));
                    typed.says(&name, &receiver.ty);
                    typed.names.entry(name.to_string()).or_default().times += 1;
                }
            }
        }
        typed.visit_block(block);
        typed
    }

    /// True if the expression is a variable whose type is known.
    pub fn knows_type_of(&self, expression: &Expr) -> bool {
        let Expr::Path(path) = expression else {
            return false;
        };
        let name = path.path.get_ident();
        let binding = name.and_then(|name| self.names.get(&name.to_string()));
        binding.is_some_and(|binding| binding.is_typed && binding.times == 1)
    }

    /// True if the place is a variable that is a box.
    pub fn is_box(&self, place: &Expr) -> bool {
        let Expr::Path(path) = place else {
            return false;
        };
        let name = path.path.get_ident();
        name.is_some_and(|name| self.boxes.contains(&name.to_string()))
    }

    fn is_one_of(&self, names: &BTreeSet<String>, place: &Expr) -> bool {
        let Expr::Path(path) = place else {
            return false;
        };
        path.path.get_ident().is_some_and(|name| {
            let name = name.to_string();
            let binding = self.names.get(&name);
            names.contains(&name) && binding.is_some_and(|binding| binding.times == 1)
        })
    }

    /// True if the place surely is a number or the like.
    pub fn is_plain(&self, place: &Expr) -> bool {
        self.is_one_of(&self.numbers, place)
    }

    /// True if the place surely is a reference.
    pub fn is_reference(&self, place: &Expr) -> bool {
        self.is_one_of(&self.references, place)
    }

    /// True if the place begins with a pointer that others share, by how it is
    /// made: a closure captures all of it.
    pub fn is_shared(&self, place: &Expr) -> bool {
        root(place).is_some_and(|name| self.shared.contains(&name.to_string()))
    }

    /// True if the variable that the place begins with has no part that may be in use
    /// by itself, and is behind no other: what cannot be changed by its name.
    pub fn is_whole(&self, place: &Expr) -> bool {
        root(place).is_some_and(|name| {
            let name = name.to_string();
            let is = |names: &BTreeSet<String>| names.contains(&name);
            let owned = (is(&self.sure) || is(&self.made)) && !is(&self.holding);
            self.times(&name) == 1
                && (owned || is(&self.references) || is(&self.shared))
                && !is(&self.exclusive)
                && !is(&self.parted)
        })
    }

    /// True if the variable that the place begins with is a `&mut`.
    pub fn is_exclusive(&self, place: &Expr) -> bool {
        root(place).is_some_and(|name| self.exclusive.contains(&name.to_string()))
    }

    /// True if the type that the variable says is of something borrowed.
    pub fn may_borrow(&self, place: &Expr) -> bool {
        self.written(place)
            .is_some_and(|(_, of)| written::borrows(of))
    }

    /// True for a variable that may hold a reference.
    fn may_hold(&self, name: &Ident) -> bool {
        let text = name.to_string();
        let is = |names: &BTreeSet<String>| names.contains(&text);
        let owned = [&self.numbers, &self.shared, &self.sure, &self.returned];
        self.times(&text) > 0
            && (is(&self.holding)
                || is(&self.references)
                || self.written.get(&text).is_some_and(written::borrows)
                || !(owned.into_iter().any(is) || is(&self.made)))
    }

    /// The variable that the place begins with, and its type as it is written.
    pub fn written<'p>(&self, place: &'p Expr) -> Option<(&'p Ident, &Type)> {
        let name = root(place)?;
        let of = self.written.get(&name.to_string())?;
        (self.times(&name.to_string()) == 1).then_some((name, of))
    }

    /// True if the type of a variable is known wherever it is used, whatever it
    /// is given to.
    pub fn surely_knows(&self, place: &Expr) -> bool {
        self.is_one_of(&self.sure, place)
    }

    /// True for a variable that surely is what it was made, and no reference.
    pub fn is_made(&self, place: &Expr) -> bool {
        self.is_one_of(&self.made, place)
    }

    /// True if the variable says its type itself: what looks like a type's
    /// function may be a trait's, whose type its use says.
    pub fn declares(&self, place: &Expr) -> bool {
        self.is_one_of(&self.declared, place)
    }

    /// True if the type of what a loop goes through is known there: what a
    /// pattern takes out of something may get its type later.
    pub fn knows_iterated(&self, place: &Expr) -> bool {
        !matches!(place, Expr::Path(_))
            || self.knows_type_of(place)
            || self.surely_knows(place)
            || self.is_one_of(&self.returned, place)
    }

    /// True for a variable that is a closure, called by nothing but its name.
    pub fn is_closure(&self, name: &str) -> bool {
        self.closures.contains(name)
            && self.times(name) == 1
            && !self.may_bind(name)
            && !self.items.contains(name)
    }

    /// True for a name that a macro may bind.
    pub fn may_bind(&self, name: &str) -> bool {
        self.loose.contains(name)
    }

    /// How often the name is bound.
    pub fn times(&self, name: &str) -> usize {
        self.names.get(name).map_or(0, |binding| binding.times)
    }

    fn says(&mut self, name: &Ident, of: &Type) {
        if !quote::ToTokens::to_token_stream(of)
            .to_string()
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .any(|word| word == "_")
        {
            self.sure.insert(name.to_string());
            self.declared.insert(name.to_string());
        }
        if name != "self" && written::may_stand_elsewhere(of) {
            self.written.insert(name.to_string(), of.clone());
        }
        match of {
            Type::Reference(reference) => {
                self.refers(name, reference.mutability.is_some());
            }
            Type::Path(path) if path.path.segments.last().is_some_and(is_counted) => {
                self.shared.insert(name.to_string());
            }
            Type::Path(path) if path.path.get_ident().is_some_and(is_number_name) => {
                self.numbers.insert(name.to_string());
            }
            _ => {}
        }
    }

    fn refers(&mut self, name: &Ident, exclusively: bool) {
        self.references.insert(name.to_string());
        if exclusively {
            self.exclusive.insert(name.to_string());
        }
    }

    /// True if what the expression points to is decided by who uses it.
    pub fn is_inferred(&self, pointer: &Expr) -> bool {
        match pointer {
            Expr::Paren(paren) => self.is_inferred(&paren.expr),
            Expr::Path(path) => {
                let name = path.path.get_ident();
                name.is_some_and(|name| self.inferred.contains(&name.to_string()))
            }
            Expr::Cast(cast) => points_to_anything(&cast.ty),
            Expr::MethodCall(call) if call.method == "cast" => call.turbofish.is_none(),
            Expr::MethodCall(call) if POINTER_STEPS.iter().any(|step| call.method == step) => {
                self.is_inferred(&call.receiver)
            }
            Expr::MethodCall(_) => !returns_what_it_says(pointer),
            Expr::Call(call) => match &*call.func {
                Expr::Path(path) => path.path.segments.last().is_some_and(|last| {
                    last.arguments.is_none() && (last.ident == "transmute" || last.ident == "from")
                }),
                _ => false,
            },
            _ => false,
        }
    }

    /// True if the place is in a variable whose other parts may be in use.
    pub fn is_parted(&self, place: &Expr) -> bool {
        root(place).is_some_and(|name| self.parted.contains(&name.to_string()))
    }

    /// What is taken here is a part of a variable, perhaps.
    fn takes<'e>(&mut self, values: impl IntoIterator<Item = &'e Expr>) {
        let parts = values.into_iter().filter_map(|value| match value {
            Expr::Field(field) => root(&field.base),
            _ => None,
        });
        self.parted.extend(parts.map(Ident::to_string));
    }

    /// `Arc::new(…)`, `Arc::clone(…)`, `x.clone()` of another.
    fn makes_shared(&self, expression: &Expr) -> bool {
        match expression {
            Expr::MethodCall(call) => {
                let of = match &*call.receiver {
                    Expr::Path(path) => path.path.get_ident(),
                    _ => None,
                };
                call.method == "clone" && of.is_some_and(|of| self.shared.contains(&of.to_string()))
            }
            Expr::Call(call) => match &*call.func {
                Expr::Path(path) => {
                    let owner = path.path.segments.iter().rev().nth(1);
                    owner.is_some_and(is_counted)
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn may_be_bound(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(name) => _ = self.loose.insert(name.to_string()),
                TokenTree::Group(group) => self.may_be_bound(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn may_be_box(&mut self, name: &Ident, is_box: bool) {
        if is_box {
            self.boxes.insert(name.to_string());
        }
    }

    fn knows(&mut self, name: &PatIdent) {
        self.names
            .entry(name.ident.to_string())
            .or_default()
            .is_typed = true;
    }
}

impl<'ast> Visit<'ast> for Typed {
    // A function inside may have the name of a variable.
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            syn::Item::Fn(function) => _ = self.items.insert(function.sig.ident.to_string()),
            syn::Item::Use(imported) => super::imports(&imported.tree, false, &mut self.items),
            _ => {}
        }
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        if !super::macros::is_known(called) {
            self.may_be_bound(called.tokens.clone());
        }
        for argument in arguments(called).into_iter().flatten() {
            Visit::visit_expr(self, &argument);
        }
    }

    fn visit_pat_ident(&mut self, name: &'ast PatIdent) {
        self.names.entry(name.ident.to_string()).or_default().times += 1;
        if name.mutability.is_some() {
            self.parted.insert(name.ident.to_string());
        }
        visit::visit_pat_ident(self, name);
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Call(call) => self.takes(&call.args),
            Expr::MethodCall(call) => {
                self.takes(&call.args);
                self.takes(consumes(call).then_some(&*call.receiver));
            }
            Expr::Struct(made) => self.takes(made.fields.iter().map(|field| &field.expr)),
            Expr::Tuple(made) => self.takes(&made.elems),
            Expr::Array(made) => self.takes(&made.elems),
            Expr::Assign(assign) => self.takes([&*assign.right]),
            Expr::Return(returned) => self.takes(returned.expr.as_deref()),
            Expr::Break(left) => self.takes(left.expr.as_deref()),
            Expr::Match(matched) => self.takes([&*matched.expr]),
            Expr::Let(matched) => self.takes([&*matched.expr]),
            Expr::ForLoop(turns) => self.takes([&*turns.expr]),
            Expr::Await(awaited) => self.takes([&*awaited.base]),
            _ => {}
        }
        visit::visit_expr(self, expression);
    }

    fn visit_local(&mut self, local: &'ast Local) {
        visit::visit_local(self, local);
        if let Pat::Type(typed) = &local.pat
            && let Pat::Ident(name) = &*typed.pat
        {
            self.may_be_box(&name.ident, is_box(&typed.ty));
            self.says(&name.ident, &typed.ty);
        }
        let Some(init) = &local.init else { return };
        self.takes([&*init.expr]);
        if let Expr::Call(_) = &*init.expr {
            let mut names = Names::default();
            names.visit_pat(&local.pat);
            let names = names.all().into_iter().map(Ident::to_string);
            self.returned.extend(names);
        }
        // Two ends of a channel.
        if let (Pat::Tuple(ends), Expr::Call(_)) = (&local.pat, &*init.expr)
            && says_its_type(&init.expr)
        {
            for end in &ends.elems {
                if let Pat::Ident(name) = end {
                    self.knows(name);
                }
            }
        }
        if let Pat::Ident(name) = &local.pat
            && name.by_ref.is_none()
        {
            self.may_be_box(&name.ident, makes_box(&init.expr));
            match &*init.expr {
                Expr::Lit(_) => _ = self.numbers.insert(name.ident.to_string()),
                Expr::Reference(borrow) => self.refers(&name.ident, borrow.mutability.is_some()),
                Expr::Closure(closure) if answers_to_a_name(closure) => {
                    self.closures.insert(name.ident.to_string());
                }
                init if self.makes_shared(init) => _ = self.shared.insert(name.ident.to_string()),
                _ => {}
            }
            if self.is_inferred(&init.expr) {
                self.inferred.insert(name.ident.to_string());
            }
            let holds = written::holds(&init.expr, &|name| self.may_hold(name));
            let text = name.ident.to_string();
            _ = holds && self.holding.insert(text.clone());
            _ = written::is_made(&init.expr) && self.made.insert(text);
            if says_its_type(&init.expr) {
                self.knows(name);
            }
            if written::is_made_by_a_type(&init.expr) {
                self.sure.insert(name.ident.to_string());
            }
        }
    }
}

/// True for a closure that a variable's name stands for.
pub const fn answers_to_a_name(closure: &ExprClosure) -> bool {
    closure.asyncness.is_none() && !matches!(closure.output, ReturnType::Type(..))
}

/// Types of numbers, and those that are as simple.
pub fn is_number(name: &str) -> bool {
    const NUMBERS: &[&str] = &[
        "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "f32", "f64", "bool", "char",
    ];
    NUMBERS.contains(&name)
}

fn is_counted(part: &syn::PathSegment) -> bool {
    part.ident == "Arc" || part.ident == "Rc"
}

fn is_number_name(name: &Ident) -> bool {
    is_number(&name.to_string())
}

/// `*mut _`
fn points_to_anything(of: &Type) -> bool {
    match of {
        Type::Ptr(pointer) => matches!(*pointer.elem, Type::Infer(_)),
        Type::Infer(_) => true,
        _ => false,
    }
}

fn is_box(of: &Type) -> bool {
    matches!(of, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Box"))
}

/// True for methods that take `self` by value, by their names.
fn consumes(call: &syn::ExprMethodCall) -> bool {
    let name = call.method.to_string();
    ["into_", "unwrap", "expect", "join"]
        .iter()
        .any(|begin| name.starts_with(begin))
}

/// The variable that a place begins with.
pub fn root(place: &Expr) -> Option<&Ident> {
    match place {
        Expr::Path(path) => path.path.get_ident(),
        Expr::Field(field) => root(&field.base),
        Expr::Index(index) => root(&index.expr),
        Expr::Unary(unary) => root(&unary.expr),
        Expr::Paren(paren) => root(&paren.expr),
        _ => None,
    }
}

/// `Box::new(…)`
fn makes_box(expression: &Expr) -> bool {
    let Expr::Call(call) = expression else {
        return false;
    };
    let Expr::Path(function) = &*call.func else {
        return false;
    };
    let mut names = function.path.segments.iter().rev().map(|part| &part.ident);
    let (function, owner) = (names.next(), names.next());
    owner.is_some_and(|owner| owner == "Box")
        && function.is_some_and(|name| name == "new" || name == "from" || name == "default")
}

fn says_its_type(expression: &Expr) -> bool {
    match expression {
        Expr::Async(_) | Expr::Closure(_) => true,
        Expr::Paren(paren) => says_its_type(&paren.expr),
        other => returns_what_it_says(other),
    }
}

#[cfg(test)]
mod tests {
    use syn::{ItemFn, parse_str};

    use super::Typed;

    #[test]
    fn what_is_bound_once_and_says_its_type_is_known() {
        let text = "fn f(a: A, (b, c): (B, C)) {
            let d = work(); let e = x.into(); let g = async {}; let h = one(); let h = two();
            let i = Vec::new(); let j; let (s, mut r) = channel(); let (m, n) = (one, x);
        }";
        let function: ItemFn = parse_str(text).unwrap();
        let typed = Typed::of(&function.sig, &function.block);
        let known = |name: &str| typed.knows_type_of(&parse_str(name).unwrap());
        let all = [
            "a", "b", "c", "d", "e", "g", "h", "i", "j", "k", "m", "n", "r", "s",
        ];
        let names: Vec<&str> = all.into_iter().filter(|name| known(name)).collect();
        assert_eq!(names, ["a", "d", "g", "r", "s"]);
    }

    #[test]
    fn what_a_pointer_points_to_may_be_for_others_to_say() {
        let text = "fn f(a: *mut u8) {
            let b = a.cast(); let c = a.cast::<u8>(); let d = a as *const _; let e = d.add(1);
            let g: *mut u8 = a.cast();
        }";
        let function: ItemFn = parse_str(text).unwrap();
        let typed = Typed::of(&function.sig, &function.block);
        let inferred = |name: &&str| typed.is_inferred(&parse_str(name).unwrap());
        let all = [
            "a",
            "b",
            "c",
            "d",
            "e",
            "g",
            "(x.get().cast().add(1))",
            "transmute(x)",
        ];
        let names: Vec<&str> = all.into_iter().filter(inferred).collect();
        assert_eq!(
            names,
            ["b", "d", "e", "(x.get().cast().add(1))", "transmute(x)"]
        );
    }
}
