//! Variables that a `task::spawn` is bound to, and that are no handles of tasks:
//! tokio-test's function of that name hands back what it is given, by its type.
//!
//! The path does not tell, for its module is imported. What is called on the
//! variable does.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprMethodCall, Macro};

/// Methods of what tokio-test wraps, which a test of it calls; no handle has
/// one that is called so.
const OF_MOCKS: &[&str] = &["poll", "poll_next", "is_woken", "enter"];

/// The variables of a function on which such methods are called.
#[derive(Default)]
pub struct Handles {
    mocks: BTreeSet<String>,
}

impl Handles {
    /// Of this function.
    pub fn of(block: &Block) -> Self {
        let mut handles = Self::default();
        handles.visit_block(block);
        handles
    }

    /// True if the variable is no handle of a task.
    pub fn denies(&self, name: &str) -> bool {
        self.mocks.contains(name)
    }

    fn called(&mut self, name: String, method: &str) {
        if OF_MOCKS.contains(&method) {
            self.mocks.insert(name);
        }
    }

    /// `name.method(` among the tokens of a macro.
    fn tokens(&mut self, tokens: TokenStream) {
        let all: Vec<TokenTree> = tokens.into_iter().collect();
        for part in all.windows(4) {
            if let [
                TokenTree::Ident(name),
                TokenTree::Punct(dot),
                TokenTree::Ident(method),
                TokenTree::Group(_),
            ] = part
                && dot.as_char() == '.'
            {
                self.called(name.to_string(), &method.to_string());
            }
        }
        for token in all {
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
        }
    }
}

impl<'ast> Visit<'ast> for Handles {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if let Expr::Path(receiver) = &*call.receiver
            && let Some(name) = receiver.path.get_ident()
        {
            self.called(name.to_string(), &call.method.to_string());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.tokens(called.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::Handles;

    #[test]
    fn what_a_mock_has_denies_a_handle() {
        let handles = Handles::of(&parse_quote!({
            let a = task::spawn(f);
            a.abort();
            b.enter(f);
            assert_pending!(c.poll());
            assert!({ d.is_woken() });
            e.await;
        }));
        let all = ["a", "b", "c", "d", "e"];
        let denied: Vec<&str> = all
            .into_iter()
            .filter(|name| handles.denies(name))
            .collect();
        assert_eq!(denied, ["b", "c", "d"]);
    }
}
