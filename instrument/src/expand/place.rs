//! Places of the source, as expansions tell them to the library.

use proc_macro2::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;
use syn::spanned::Spanned as _;

use super::Context;

/// Characters of an expression that a report shows.
const LONGEST: usize = 72;

/// Names in expansions: seen by nobody else.
pub fn hygienic(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// A hygienic identifier.
pub fn ident(name: &str) -> syn::Ident {
    syn::Ident::new(name, Span::mixed_site())
}

impl Context {
    /// A `&'static Site` for this expression, in this function.
    pub fn site(&self, of: &impl ToTokens, function: &str, opaque: bool) -> TokenStream {
        self.site_with(of, function, opaque, None)
    }

    /// As [`Context::site`], with a text of its own.
    pub fn site_with(
        &self,
        of: &impl ToTokens,
        function: &str,
        opaque: bool,
        text: Option<&str>,
    ) -> TokenStream {
        let tokens = of.to_token_stream();
        // The compiler takes line and column from these tokens.
        let here = first_span(&tokens);
        let span = hygienic(here);
        let text = text.map_or_else(|| text_of(&tokens), str::to_owned);
        let krate = &self.krate;
        let core = respan(quote!(#krate::__private::core), here);
        let place = quote_spanned!(here=> #core::file!(), #core::line!(), #core::column!());
        let opaque = opaque.then(|| quote_spanned!(span=> .opaque()));
        let item = self
            .args
            .item()
            .map(|item| quote_spanned!(span=> .of(&#item)));
        quote_spanned! {span=>
            const {
                &#krate::__private::Site::new(
                    #place,
                    #krate::__private::core::concat!(#krate::__private::core::module_path!(), "::", #function),
                    #text,
                ) #item #opaque
            }
        }
    }
}

/// Parentheses around what becomes the end of a block: they were needed, or nobody
/// minded them, where it stood.
pub fn quiet_parens(end: &mut Expr) {
    if let Expr::Paren(paren) = end {
        let span = hygienic(paren.paren_token.span.join());
        paren.paren_token = syn::token::Paren(span);
    }
}

/// A call of a function of the library, or of a type of it, in the place of an
/// expression.
///
/// The tokens at both ends have the places of the expression's own: debug
/// information takes what a macro brings for the attribute's line.
pub fn library(
    krate: &TokenStream,
    function: &str,
    arguments: TokenStream,
    of: &impl ToTokens,
) -> Expr {
    let tokens = of.to_token_stream();
    let first = first_span(&tokens);
    let last = tokens
        .into_iter()
        .last()
        .map_or(first, |token| token.span());
    let mut path = respan(krate.clone(), first);
    path.extend(quote_spanned!(first=> ::__private));
    for part in function.split("::") {
        let part = syn::Ident::new(part, first);
        path.extend(quote_spanned!(first=> ::#part));
    }
    let mut group = Group::new(Delimiter::Parenthesis, arguments);
    group.set_span(last);
    path.extend([TokenTree::Group(group)]);
    Expr::Verbatim(path)
}

/// An expression without parentheses around it: as an argument it needs none,
/// and a lint would say so.
pub fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Paren(paren) if paren.attrs.is_empty() => bare(&paren.expr),
        other => other,
    }
}

/// An expression as an argument: without parentheses, and a block with something in
/// it besides, for of others a lint says that they need no braces.
pub fn argument(expression: &Expr) -> Expr {
    let mut argument = bare(expression).clone();
    if let Expr::Block(block) = &mut argument
        && let [syn::Stmt::Expr(_, None)] = block.block.stmts.as_slice()
    {
        let span = hygienic(block.block.brace_token.span.join());
        let nothing = syn::parse_quote_spanned!(span=> const _: () = (););
        block.block.stmts.insert(0, nothing);
    }
    argument
}

fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    let respanned = tokens.into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    respanned.collect()
}

/// Where these tokens begin.
pub fn first_span(tokens: &TokenStream) -> Span {
    match tokens.clone().into_iter().next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::None => {
            first_span(&group.stream())
        }
        Some(token) => token.span(),
        None => tokens.span(),
    }
}

/// An expression as it would be written, on one line.
pub fn text_of(tokens: &TokenStream) -> String {
    let mut text = String::new();
    write(tokens.clone(), &mut text);
    let text = text.trim().to_owned();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let mut short: String = text.chars().take(LONGEST - 1).collect();
    short.push('…');
    short
}

/// What the last token was, for the space before the next.
#[derive(PartialEq, Clone, Copy)]
enum Last {
    /// Nothing, or what takes no space behind it.
    Open,
    /// A word or a closing bracket.
    Word,
    /// An operator between two operands.
    Operator,
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut last = Last::Open;
    let mut joint = false;
    // Open angle brackets after `::`.
    let mut brackets = 0_usize;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => (" { ", " }"),
                    Delimiter::None => ("", ""),
                };
                if last == Last::Operator {
                    text.push(' ');
                }
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
                last = Last::Word;
                joint = false;
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => {
                if last != Last::Open {
                    text.push(' ');
                }
                let word = token.to_string();
                text.push_str(&word);
                last = match word.as_str() {
                    "mut" | "in" | "return" | "if" | "match" => Last::Operator,
                    _ => Last::Word,
                };
                joint = false;
            }
            TokenTree::Punct(punct) => {
                let sign = punct.as_char();
                if sign == '<' && (text.ends_with("::") || brackets > 0) {
                    brackets += 1;
                    text.push(sign);
                    last = Last::Open;
                    joint = false;
                    continue;
                }
                if sign == '>' && brackets > 0 {
                    brackets -= 1;
                    text.push(sign);
                    last = Last::Word;
                    joint = false;
                    continue;
                }
                if sign == '!' && last == Last::Word && punct.spacing() == Spacing::Alone {
                    // A macro's.
                    text.push(sign);
                    last = Last::Open;
                    joint = false;
                    continue;
                }
                let tight = matches!(sign, '.' | ':' | '?' | ',' | ';' | '\'');
                if joint || tight || last == Last::Open {
                    text.push(sign);
                } else {
                    text.push(' ');
                    text.push(sign);
                }
                let prefix = last != Last::Word && !joint && matches!(sign, '*' | '&' | '-' | '!');
                last = match sign {
                    '.' | ':' | '\'' => Last::Open,
                    '?' => Last::Word,
                    _ if prefix => Last::Open,
                    _ => Last::Operator,
                };
                joint = punct.spacing() == Spacing::Joint;
            }
        }
    }
}

/// True for a path from the root, and what begins with one.
pub fn begins_with_colon(value: &Expr) -> bool {
    let first = quote::ToTokens::to_token_stream(value).into_iter().next();
    matches!(first, Some(proc_macro2::TokenTree::Punct(first)) if first.as_char() == ':')
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn expressions_read_as_they_are_written() {
        for text in [
            "COUNTER += 1",
            "(*self.0.get()).field",
            "*p = f(&x, -1)",
            "rx.recv()",
            "tokio::spawn(async move { rx.recv().await })",
            "a[i] * b",
            "&mut *p",
            "&mut (*p).field",
            "*addr_of_mut!(X) != 1",
            "ptr::write(p, v)",
            "pending::<()>().await",
            "Vec::<Option<u8>>::new() < x",
        ] {
            assert_eq!(text_of(&text.parse().unwrap()), text);
        }
    }
}
