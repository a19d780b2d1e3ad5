//! What is spawned. Only the argument is rewritten, and its type stays what
//! the callee can take: a closure stays a closure of its kind, and an async
//! block, whose type nobody can name, becomes another unnamed future.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut as _;
use syn::{Expr, ExprCall, ExprClosure, ExprMethodCall, Ident, parse_quote_spanned};

use super::body::Body;
use super::chain::is_place;
use super::names::KEEPS_GUARD;
use super::place::{hygienic, ident, library, text_of};

/// How a function spawns its argument.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// A function on a thread.
    Function,
    /// A future.
    Future,
    /// A function or a future, by its type.
    Either,
    /// As that, if the callee spawns; it may be any of that name, and take one
    /// type alone.
    Perhaps,
    /// Two functions, and waits for both.
    Both,
    /// A function that is given a scope, and waits for what is spawned in it.
    Scope,
    /// As that, on a thread of a pool.
    PoolScope,
    /// As one of these.
    Ends,
}

impl How {
    /// Where no path says whose function it is.
    const fn unless_whole(self) -> Self {
        match self {
            Self::Either => Self::Perhaps,
            other => other,
        }
    }
}

/// Functions that spawn: the path before the name, the name, and how.
const FUNCTIONS: &[(&str, &str, How)] = &[
    ("thread", "spawn", How::Function),
    ("rayon", "spawn", How::Function),
    ("rayon", "spawn_fifo", How::Function),
    ("tokio", "spawn", How::Future),
    ("smol", "spawn", How::Future),
    ("async_std", "spawn", How::Future),
    ("task", "spawn", How::Either),
    ("task", "spawn_local", How::Either),
    ("task", "spawn_blocking", How::Function),
    ("smol", "unblock", How::Function),
    ("blocking", "unblock", How::Function),
    ("rayon", "join", How::Both),
    ("rayon", "scope", How::PoolScope),
    ("rayon", "scope_fifo", How::PoolScope),
    ("rayon", "in_place_scope", How::Scope),
    ("thread", "scope", How::Scope),
];

/// Functions that spawn, called by their names alone: any other of the program's
/// own may have one of these.
const IMPORTED: &[&str] = &[
    "spawn",
    "spawn_local",
    "spawn_blocking",
    "spawn_fifo",
    "unblock",
];

/// An argument whose type the callee may decide.
const NOT_TYPED: &str = "whether this is a future is not known: its type is told elsewhere";
/// A function that is given a scope.
const NOT_A_CLOSURE: &str = "a function that is no closure is given a scope";
/// An `async` closure.
const ASYNC_CLOSURE: &str = "an async closure is called by who it is given to";

/// Crates whose module `task` spawns what it is given. Another's may hand it
/// back by its type, as tokio-test's does.
const RUNTIMES: &[&str] = &["tokio", "async_std", "crate", "self", "super"];

/// How `task::spawn` spawns, and that of a runtime by its whole path: the
/// program's own may take one type alone.
fn of_runtime(call: &ExprCall, how: How) -> Option<How> {
    let Expr::Path(function) = &*call.func else {
        return None;
    };
    let mut before = function.path.segments.iter().rev().skip(2);
    let Some(krate) = before.next() else {
        return Some(how.unless_whole());
    };
    let runtime = RUNTIMES.iter().find(|runtime| krate.ident == runtime)?;
    let is_own = ["crate", "self", "super"].contains(runtime);
    Some(if is_own { how.unless_whole() } else { how })
}

/// How a function that is called by its name alone may spawn.
fn imported(name: &str, call: &ExprCall) -> Option<How> {
    let are_closures = call.args.iter().all(|it| matches!(it, Expr::Closure(_)));
    match (name, call.args.len()) {
        ("join", 2) if are_closures => Some(How::Both),
        ("scope" | "scope_fifo" | "in_place_scope", 1) if are_closures => Some(How::Ends),
        (name, 1) if IMPORTED.contains(&name) => Some(How::Perhaps),
        _ => None,
    }
}

impl Body<'_> {
    /// A call of a function that spawns. False if it is none.
    ///
    /// Input: `thread::scope(F)`. Output: `all_joined(thread::scope(F))`.
    pub fn spawn_call(&mut self, expression: &mut Expr, [owner, name]: &[String; 2]) -> bool {
        if self.handed_back && (owner.is_empty() || owner == "task") {
            return false;
        }
        let known = FUNCTIONS
            .iter()
            .find(|(module, function, _)| module == owner && function == name);
        let Expr::Call(call) = expression else {
            return false;
        };
        let how = match known {
            Some((.., how)) if owner == "task" => of_runtime(call, *how),
            Some((.., how)) => Some(*how),
            None if owner.is_empty() => imported(name, call),
            None => None,
        };
        let Some(how) = how else { return false };
        let site = self.spawn_site(call);
        let krate = self.context.krate.clone();
        let whole = call.clone();
        let args = &mut call.args;
        match (how, args.len()) {
            (How::Function | How::Future | How::Either | How::Perhaps, 1) => {
                if let Some(argument) = args.first_mut() {
                    let how = (how != How::Perhaps || self.is_typed(argument)).then_some(how);
                    self.argument(argument, &site, how);
                }
                let before = self.names_callee(call, &whole);
                self.before(expression, before);
            }
            (How::Both, 2) | (How::PoolScope, 1) => {
                let how = if how == How::Both { How::Function } else { how };
                // What makes one comes before all of them run, and is not told of.
                let is_made = |it: &Expr| !matches!(it, Expr::Closure(_)) && !self.is_quiet(it);
                let are_made = args.iter().any(is_made);
                for argument in args.iter_mut() {
                    if are_made {
                        self.visit_expr_mut(argument);
                    } else {
                        self.argument(argument, &site, Some(how));
                    }
                }
                let before = self.names_callee(call, &whole);
                self.before(expression, before);
                *expression = library(&krate, "all_joined", quote!(#expression), expression);
            }
            (How::Scope | How::Ends, 1) => {
                for argument in args.iter_mut() {
                    match argument {
                        Expr::Closure(closure) if how == How::Scope => self.closure(closure, true),
                        other => self.visit_expr_mut(other),
                    }
                }
                let before = self.names_callee(call, &whole);
                self.before(expression, before);
                *expression = library(&krate, "all_joined", quote!(#expression), expression);
            }
            _ => return false,
        }
        true
    }

    /// A method that spawns its first argument, on whatever receiver; a
    /// builder's `spawn_scoped(scope, F)` its second.
    ///
    /// Whose method it is, is asked: `RECEIVER` may be of a type of the program's
    /// own.
    pub fn spawn_method(&mut self, expression: &mut Expr) {
        let Expr::MethodCall(method) = expression else {
            return;
        };
        let site = self.spawn_site(&*method);
        let name = method.method.to_string();
        let asks = if is_place(&method.receiver) {
            let asks = self.does(&method.receiver, "Spawns");
            self.place(&mut method.receiver);
            Vec::from_iter(asks)
        } else {
            self.place(&mut method.receiver);
            if let Some(own) = self.new_own() {
                let krate = &self.context.krate;
                let value = &*method.receiver;
                let told = quote! {
                    &#own,
                    #value,
                    #krate::__private::Deed::Spawns,
                    const { #krate::__private::hash(#name) }
                };
                *method.receiver = library(krate, "Own::asked", told, value);
            }
            Vec::new()
        };
        let spawned = usize::from(method.method == "spawn_scoped");
        for (at, argument) in method.args.iter_mut().enumerate() {
            if at != spawned {
                self.visit_expr_mut(argument);
                continue;
            }
            let how = self.is_typed(argument).then_some(How::Perhaps);
            self.argument(argument, &site, how);
        }
        self.ask(expression, asks, &name);
    }

    /// A pool's method that runs closures and waits for them.
    ///
    /// Input: `POOL.install(F)`. Output: `all_joined(POOL.install(F))`.
    pub fn pool_method(&mut self, expression: &mut Expr) {
        let Expr::MethodCall(method) = expression else {
            return;
        };
        let site = self.spawn_site(&*method);
        self.place(&mut method.receiver);
        for argument in &mut method.args {
            self.argument(argument, &site, Some(How::Function));
        }
        let krate = &self.context.krate;
        *expression = library(krate, "all_joined", quote!(#expression), expression);
    }

    /// True if the type of an argument does not depend on what it is given to.
    fn is_typed(&self, argument: &Expr) -> bool {
        returns_what_it_says(argument) || self.typed.knows_type_of(argument)
    }

    /// A site whose text is the call without the body of what it spawns.
    fn spawn_site(&self, of: &impl quote::ToTokens) -> TokenStream {
        let text = text_of(&of.to_token_stream());
        let end = text.find(['{', '|']).unwrap_or(text.len());
        let text = match text.get(..end) {
            Some(head) if end < text.len() => format!("{}…", head.trim_end()),
            _ => text,
        };
        self.context
            .site_with(of, &self.function, false, Some(&text))
    }

    fn argument(&mut self, argument: &mut Expr, site: &TokenStream, how: Option<How>) {
        let krate = self.context.krate.clone();
        let span = hygienic(argument.span());
        if let Expr::Closure(closure) = argument {
            if closure.asyncness.is_some() {
                let original = argument.clone();
                self.alone(&original, ASYNC_CLOSURE);
                return;
            }
            let spawn = ident(if closure.capture.is_some() {
                "__leakcheck_spawn"
            } else {
                "__LEAKCHECK_SPAWN"
            });
            self.spawned_closure(closure, &spawn);
            let entry = closure.clone();
            *argument = if closure.capture.is_some() {
                parse_quote_spanned! {span=> {
                    let #spawn = #krate::__private::Spawn::new(#site);
                    #entry
                }}
            } else {
                parse_quote_spanned! {span=> {
                    static #spawn: #krate::__private::Handoff =
                        #krate::__private::Handoff::new(#site);
                    #spawn.spawn();
                    #entry
                }}
            };
            return;
        }
        if let Some(closure) = boxed_closure(argument) {
            self.argument(closure, site, how);
            return;
        }
        if self.wrap_async(argument, site) {
            return;
        }
        let original = argument.clone();
        self.visit_expr_mut(argument);
        if matches!(original, Expr::Lit(_)) {
            return;
        }
        // Another function of that name may take anything: a variable can be asked.
        let how = match how {
            Some(How::Future) if self.typed.knows_type_of(&original) => Some(How::Either),
            other => other,
        };
        match how {
            Some(How::Future) => {
                *argument = library(&krate, "task", quote!(#site, #argument), argument);
            }
            Some(how @ (How::Function | How::Either | How::Perhaps)) => {
                let value = ident("__leakcheck_argument");
                let ask = ident(match how {
                    How::Function => "of_function",
                    How::Either => "of_any",
                    _ => "new",
                });
                *argument = parse_quote_spanned! {span=>
                    match #argument {
                        #value => #krate::__private::Argument::#ask(&#value)
                            .kind()
                            .spawn(#site, #value)
                    }
                };
            }
            Some(How::Both | How::Scope | How::PoolScope | How::Ends) => {
                self.alone(&original, NOT_A_CLOSURE);
            }
            None => self.alone(&original, NOT_TYPED),
        }
    }

    /// Input: `|ARGUMENTS| BODY`, spawned. Output: the body runs as what was
    /// spawned. A `move` closure carries the spawn, which is `Copy`; another
    /// one finds it in a static variable of the place, so that it captures
    /// nothing that it did not.
    ///
    /// ```text
    /// |ARGUMENTS| { let running = spawn.enter(); BODY }
    /// ```
    fn spawned_closure(&mut self, closure: &mut ExprClosure, spawn: &Ident) {
        let span = hygienic(closure.span());
        let around = self.binds_in(closure);
        let body = std::mem::replace(&mut *closure.body, Expr::Verbatim(TokenStream::new()));
        let body_span = body.span();
        let mut block = self.as_block(body);
        self.leaves_closure(around);
        let running = ident("__leakcheck_running");
        block.stmts.insert(
            0,
            parse_quote_spanned!(span=> let #running = #spawn.enter();),
        );
        *closure.body = parse_quote_spanned!(body_span=> #block);
    }

    /// Input: an async block, also in `Box::pin(…)` and the like. Output:
    ///
    /// ```text
    /// ::leakcheck::__private::task(SITE, async move { let leaving = Leaving::new(); BODY })
    /// ```
    fn wrap_async(&mut self, argument: &mut Expr, site: &TokenStream) -> bool {
        let krate = self.context.krate.clone();
        match argument {
            Expr::Async(future) => {
                self.capturing_block(&mut future.block, future.capture.is_some());
                let leaves = self.leaves(&future.block);
                future.block.stmts.insert(0, leaves);
                *argument = library(&krate, "task", quote!(#site, #argument), argument);
                true
            }
            Expr::Paren(paren) => self.wrap_async(&mut paren.expr, site),
            Expr::Call(pin) if is_pin(pin) => {
                let first = pin.args.first_mut();
                first.is_some_and(|first| self.wrap_async(first, site))
            }
            Expr::MethodCall(method) => self.wrap_async(&mut method.receiver, site),
            _ => false,
        }
    }

    /// Input: `RUNTIME.block_on(BODY)`, the last of a test. Output:
    ///
    /// ```text
    /// RUNTIME.block_on(::leakcheck::__private::test_body(BODY))
    /// ```
    pub fn last_poll(&mut self, method: &mut ExprMethodCall) {
        self.place(&mut method.receiver);
        let krate = self.context.krate.clone();
        if let Some(body) = method.args.first_mut() {
            self.visit_expr_mut(body);
            *body = library(&krate, "test_body", quote!(#body), body);
        }
    }
}

/// True for a method that runs closures on a pool's threads and waits for them.
pub fn is_of_pool(call: &ExprMethodCall) -> bool {
    let are_closures = call
        .args
        .iter()
        .all(|it| matches!(it, Expr::Closure(closure) if closure.asyncness.is_none()));
    let count = match call.method.to_string().as_str() {
        "install" | "scope" | "scope_fifo" => 1,
        "join" => 2,
        _ => return false,
    };
    are_closures && call.args.len() == count
}

/// A call whose type does not depend on what it is given to.
pub fn returns_what_it_says(argument: &Expr) -> bool {
    let name = match argument {
        Expr::Paren(paren) => return returns_what_it_says(&paren.expr),
        // What is taken out is of the type that is inside.
        Expr::MethodCall(call)
            if KEEPS_GUARD.iter().any(|name| call.method == name)
                && matches!(&*call.receiver, Expr::Call(_) | Expr::MethodCall(_)) =>
        {
            return returns_what_it_says(&call.receiver);
        }
        Expr::MethodCall(call) if call.turbofish.is_none() => call.method.to_string(),
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => match path.path.segments.last() {
                Some(last) => last.ident.to_string(),
                None => return false,
            },
            _ => return false,
        },
        _ => return false,
    };
    !is_wanted(&name)
}

/// True for functions of this name that return what is wanted of them.
pub fn is_wanted(name: &str) -> bool {
    const BY_WHAT_IS_WANTED: &[&str] = &[
        "into", "try_into", "from", "collect", "parse", "default", "sum", "product", "new",
    ];
    BY_WHAT_IS_WANTED.contains(&name)
}

/// The closure of `Box::new(CLOSURE)`, whose box may become one of a trait object.
fn boxed_closure(argument: &mut Expr) -> Option<&mut Expr> {
    let Expr::Call(call) = argument else {
        return None;
    };
    let Expr::Path(path) = &*call.func else {
        return None;
    };
    let mut names = path.path.segments.iter().rev();
    let is_new = names.next()?.ident == "new" && names.next()?.ident == "Box";
    let is_closure =
        |it: &&mut Expr| matches!(it, Expr::Closure(closure) if closure.asyncness.is_none());
    (is_new && call.args.len() == 1)
        .then(|| call.args.first_mut())?
        .filter(is_closure)
}

fn is_pin(call: &ExprCall) -> bool {
    let Expr::Path(path) = &*call.func else {
        return false;
    };
    let last = path.path.segments.last();
    call.args.len() == 1 && last.is_some_and(|last| last.ident == "pin" || last.ident == "from")
}
