//! Questions about what a statement may run where no call is written: they go
//! before it, and nothing is put into it.
//!
//! An operator runs once its operands are there, which may access something
//! first. So where the statement does more than that, it has a variable: if the
//! answer is that code of a type's own runs, that code may run anywhere in it.

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::visit::{self, Visit};
use syn::{Expr, Pat, PatIdent, Stmt, parse_quote_spanned};

use super::body::Body;
use super::place::{hygienic, ident};

/// What is asked before a statement.
#[derive(Default)]
pub struct Asked {
    /// What sees from when on code of a type's own may run, if that was needed.
    own: Option<syn::Ident>,
    /// The statement may go on in another thread.
    pub awaits: bool,
    /// The statement does more than operate.
    is_busy: bool,
    /// It is an arm's, and its variable the statement's around.
    is_within: bool,
    /// What is asked.
    asks: Vec<TokenStream>,
    texts: BTreeSet<String>,
    names: BTreeSet<String>,
    /// Variables that patterns of the statement bind: nothing can be asked of
    /// them before.
    bound: BTreeSet<String>,
}

impl Asked {
    /// Before this statement.
    pub fn of(statement: &Stmt) -> Self {
        let mut looks = Looks::default();
        match statement {
            Stmt::Local(local) => {
                if let Some(init) = &local.init {
                    looks.visit_expr(&init.expr);
                }
            }
            other => looks.visit_stmt(other),
        }
        looks.into()
    }

    /// Before this expression, where it stands as a statement.
    pub fn of_expression(expression: &Expr) -> Self {
        let mut looks = Looks::default();
        looks.visit_expr(expression);
        looks.into()
    }

    /// Before an arm of this statement: what its last expression leaves goes
    /// when the arm does, after the variables of a block around it.
    pub fn of_arm(&self, body: &Expr) -> Self {
        let arm = Self::of_expression(body);
        Self {
            own: self.own.clone(),
            awaits: self.awaits,
            is_within: true,
            ..arm
        }
    }

    /// The arm is over.
    pub fn leaves(&mut self, arm: Option<&Self>) {
        if let Some(arm) = arm {
            self.own.clone_from(&arm.own);
        }
    }

    fn may_ask(&self, asks: &[TokenStream]) -> bool {
        !asks.iter().any(|ask| names_any(ask, &self.bound))
    }

    fn push(&mut self, asks: Vec<TokenStream>, name: &str) {
        self.names.insert(name.to_owned());
        for ask in asks {
            if self.texts.insert(ask.to_string()) {
                self.asks.push(ask);
            }
        }
    }
}

impl From<Looks> for Asked {
    fn from(looks: Looks) -> Self {
        Self {
            awaits: looks.awaits,
            is_busy: looks.is_busy,
            bound: looks.bound,
            ..Self::default()
        }
    }
}

fn names_any(tokens: &TokenStream, names: &BTreeSet<String>) -> bool {
    !names.is_empty()
        && tokens.clone().into_iter().any(|token| match token {
            TokenTree::Ident(name) => names.contains(&name.to_string()),
            TokenTree::Group(group) => names_any(&group.stream(), names),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
}

/// What there is in a statement, blocks and closures left out.
#[derive(Default)]
struct Looks {
    awaits: bool,
    is_busy: bool,
    bound: BTreeSet<String>,
}

/// True if a block is left and entered again.
fn awaits(block: &syn::Block) -> bool {
    struct Awaits(bool);

    impl<'ast> Visit<'ast> for Awaits {
        fn visit_item(&mut self, _: &'ast syn::Item) {}
        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
        fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}

        fn visit_expr_await(&mut self, _: &'ast syn::ExprAwait) {
            self.0 = true;
        }

        fn visit_macro(&mut self, called: &'ast syn::Macro) {
            for argument in super::macros::arguments(called).into_iter().flatten() {
                self.visit_expr(&argument);
            }
        }
    }

    let mut awaits = Awaits(false);
    awaits.visit_block(block);
    awaits.0
}

impl<'ast> Visit<'ast> for Looks {
    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.is_busy = true;
        self.awaits |= awaits(block);
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.is_busy = true;
        for argument in super::macros::arguments(called).into_iter().flatten() {
            let mut inside = Looks::default();
            inside.visit_expr(&argument);
            self.awaits |= inside.awaits;
            self.bound.extend(inside.bound);
        }
    }

    fn visit_pat_ident(&mut self, name: &'ast PatIdent) {
        self.bound.insert(name.ident.to_string());
        visit::visit_pat_ident(self, name);
    }

    fn visit_pat(&mut self, pattern: &'ast Pat) {
        visit::visit_pat(self, pattern);
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Closure(_) | Expr::Async(_) | Expr::Const(_) => return,
            Expr::Await(_) | Expr::Yield(_) => self.awaits = true,
            Expr::Call(_)
            | Expr::MethodCall(_)
            | Expr::Try(_)
            | Expr::Match(_)
            | Expr::If(_)
            | Expr::Struct(_)
            | Expr::Verbatim(_) => self.is_busy = true,
            _ => {}
        }
        visit::visit_expr(self, expression);
    }
}

impl Body<'_> {
    /// The variable that sees from when on code of a type's own may run in this
    /// statement; none where there is no statement.
    ///
    /// Where it may go on in another thread, no access in it is certain from
    /// here on.
    pub fn new_own(&mut self) -> Option<syn::Ident> {
        let asked = &self.declared.as_ref()?.asked;
        self.opaque |= asked.awaits;
        if let Some(own) = &asked.own {
            return Some(own.clone());
        }
        let own = self.numbered("__leakcheck_own");
        self.declared.as_mut()?.asked.own = Some(own.clone());
        Some(own)
    }

    /// Asks this before the statement, or else before the expression.
    pub fn ask(&mut self, expression: &mut Expr, asks: Vec<TokenStream>, name: &str) {
        if let Some(asks) = self.asks_before(asks, name) {
            let own = self.new_own();
            let operates = self.operates_if(&asks, name, own.as_ref());
            self.before(expression, Some(operates));
        }
    }

    /// Asks this before the statement; what cannot be asked there.
    pub fn asks_before(&mut self, asks: Vec<TokenStream>, name: &str) -> Option<Vec<TokenStream>> {
        if asks.is_empty() {
            return None;
        }
        match &mut self.declared {
            Some(declared) if !self.conditional && declared.asked.may_ask(&asks) => {
                declared.asked.push(asks, name);
                None
            }
            _ => Some(asks),
        }
    }

    /// As [`Body::asks_before`]: what cannot be asked may be anything.
    pub fn asks_at_least(&mut self, asks: Vec<TokenStream>, name: &str) {
        if self.asks_before(asks, name).is_some()
            && let Some(declared) = &mut self.declared
        {
            declared.asked.push(vec![quote!(true)], "…");
        }
    }

    /// With the variable that what is asked needs.
    pub fn with_own(&mut self, mut asked: Asked) -> Asked {
        if asked.own.is_none() && !asked.asks.is_empty() {
            let many = asked.is_busy || asked.awaits || asked.names.len() > 1;
            asked.own = many.then(|| self.numbered("__leakcheck_own"));
        }
        asked
    }

    /// What goes before a statement, and after it.
    ///
    /// Input: `S`. Output:
    ///
    /// ```text
    /// let own = Own::new(); operates(ASKS, hash(NAME), Some(&own)); S own.now();
    /// ```
    pub fn asks(&mut self, asked: Asked, at: Span) -> (Vec<Stmt>, Option<Stmt>) {
        let asked = self.with_own(asked);
        let span = hygienic(at);
        let krate = &self.context.krate;
        let mut before = Vec::new();
        if let Some(own) = asked.own.as_ref().filter(|_| !asked.is_within) {
            let new = if asked.awaits {
                quote_spanned!(span=> lasting())
            } else {
                quote_spanned!(span=> new())
            };
            before.push(parse_quote_spanned!(span=> let #own = #krate::__private::Own::#new;));
        }
        if !asked.asks.is_empty() {
            // No function has the name that stands for several.
            let name = match asked.names.first() {
                Some(name) if asked.names.len() == 1 => name,
                _ => "…",
            };
            let operates = self.operates_if(&asked.asks, name, asked.own.as_ref());
            before.push(parse_quote_spanned!(span=> #operates;));
        }
        let after = asked.own.as_ref();
        let after = after.map(|own| parse_quote_spanned!(span=> #own.now();));
        (before, after)
    }

    /// Tells of a call of this name if one of these is so.
    pub fn operates_if(
        &self,
        asks: &[TokenStream],
        name: &str,
        own: Option<&syn::Ident>,
    ) -> TokenStream {
        let krate = &self.context.krate;
        let span = hygienic(Span::call_site());
        let option = quote_spanned!(span=> #krate::__private::core::option::Option);
        let until = match own {
            Some(own) => quote_spanned!(span=> #option::Some(&#own)),
            None => quote_spanned!(span=> #option::None),
        };
        quote_spanned! {span=>
            #krate::__private::operates(
                false #(|| #asks)*,
                const { #krate::__private::hash(#name) },
                #until,
            )
        }
    }

    /// Asks whether code of this place's type does this.
    pub fn does(&self, place: &Expr, deed: &str) -> Option<TokenStream> {
        let krate = &self.context.krate;
        let deed = ident(deed);
        self.asks_type(place, &quote!(does(#krate::__private::Deed::#deed)))
    }

    /// Asks whether the end of what is in this place runs code of its own.
    pub fn drops(&self, place: &Expr) -> Option<TokenStream> {
        self.asks_type(place, &quote!(drops()))
    }

    fn asks_type(&self, place: &Expr, asks: &TokenStream) -> Option<TokenStream> {
        if let Expr::Path(path) = super::place::bare(place)
            && super::foreign::is_variant(path)
        {
            return None;
        }
        let krate = &self.context.krate;
        if let Some(asked) = self.of_another(place, "Runs", asks) {
            return Some(asked);
        }
        if self.is_open(place) {
            return Some(quote!(true));
        }
        if self.captures_behind(place) {
            if !self.typed.is_reference(place) {
                return Some(quote!(true));
            }
            let behind: Expr = syn::parse_quote!(*#place);
            return Some(super::chain::typed(&behind, "Runs", asks, krate));
        }
        Some(super::chain::typed(place, "Runs", asks, krate))
    }
}
