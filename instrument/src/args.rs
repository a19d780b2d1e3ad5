//! The grammar of the attribute's arguments.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Path, Result, Token, parenthesized, token};

/// The findings that `allow(…)` knows by name.
const KINDS: &[&str] = &[
    "all",
    "data_race",
    "deadlock",
    "leaked_task",
    "leaked_thread",
];

/// Those that it knows by code: all that there are.
const CODES: &[&str] = &[
    "LC0001", "LC0002", "LC0003", "LC0004", "LC0005", "LC0006", "LC0007", "LC0009", "LC0010",
    "LC0011", "LC0012", "LC0013",
];

/// Those that a variable can have.
const OF_A_VARIABLE: &[&str] = &["all", "data_race", "LC0001"];

/// The arguments of one attribute.
#[derive(Clone, Default)]
pub struct Args {
    name: Option<LitStr>,
    /// What is spawned is meant to stay.
    pub daemon: bool,
    allow: Vec<Allowed>,
    krate: Option<Path>,
    /// The item is left as it is.
    pub skip: bool,
    /// Where `daemon` is.
    daemon_at: Option<Span>,
}

/// A finding that is allowed.
#[derive(Clone)]
struct Allowed {
    what: Ident,
    why: LitStr,
}

/// One argument, and where it is.
struct Argument {
    span: Span,
    kind: Kind,
}

enum Kind {
    Name(LitStr),
    Daemon,
    Allow(Vec<Allowed>),
    Crate(Path),
    Skip,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        let all = Punctuated::<Argument, Token![,]>::parse_terminated(input)?;
        let count = all.len();
        for Argument { span, kind } in all {
            let word = kind.word();
            if seen.contains(&word) && word != "allow" {
                return Err(Error::new(span, format!("`{word}` is given twice")));
            }
            seen.push(word);
            match kind {
                Kind::Name(name) => args.name = Some(name),
                Kind::Daemon => {
                    args.daemon = true;
                    args.daemon_at = Some(span);
                }
                Kind::Allow(kinds) => args.allow.extend(kinds),
                Kind::Crate(path) => args.krate = Some(path),
                Kind::Skip if count > 1 => {
                    return Err(Error::new(span, "`skip` stands alone"));
                }
                Kind::Skip => args.skip = true,
            }
        }
        Ok(args)
    }
}

impl Kind {
    const fn word(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Daemon => "daemon",
            Self::Allow(_) => "allow",
            Self::Crate(_) => "crate",
            Self::Skip => "skip",
        }
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(Token![crate]) {
            let span = input.parse::<Token![crate]>()?.span;
            input.parse::<Token![=]>()?;
            let path = input.call(Path::parse_mod_style)?;
            let kind = Kind::Crate(path);
            return Ok(Self { span, kind });
        }
        let word: Ident = input.parse().map_err(|error| unknown(error.span()))?;
        let span = word.span();
        let kind = match word.to_string().as_str() {
            "name" => {
                if !input.peek(Token![=]) {
                    return Err(Error::new(span, "what it is called: `name = \"…\"`"));
                }
                input.parse::<Token![=]>()?;
                let name: LitStr = input.parse()?;
                if name.value().is_empty() {
                    return Err(Error::new(name.span(), "a name has at least one character"));
                }
                Kind::Name(name)
            }
            "daemon" => Kind::Daemon,
            "skip" => Kind::Skip,
            "allow" => Kind::Allow(allow(input, span)?),
            _ => return Err(unknown(span)),
        };
        Ok(Self { span, kind })
    }
}

fn unknown(span: Span) -> Error {
    Error::new(
        span,
        "unknown argument: `track` takes `name = \"…\"`, `daemon`, \
         `allow(…, reason = \"…\")`, `skip`, `crate = path`",
    )
}

/// `(leaked_task, …, reason = "…")`
fn allow(input: ParseStream<'_>, span: Span) -> Result<Vec<Allowed>> {
    if !input.peek(token::Paren) {
        return Err(Error::new(
            span,
            "what is allowed, and why: `allow(leaked_task, reason = \"…\")`",
        ));
    }
    let content;
    parenthesized!(content in input);
    let mut kinds = Vec::new();
    let mut reason = None;
    while !content.is_empty() {
        let word: Ident = content.parse()?;
        if word == "reason" {
            content.parse::<Token![=]>()?;
            let text: LitStr = content.parse()?;
            if text.value().trim().is_empty() {
                return Err(Error::new(text.span(), "the reason is empty"));
            }
            reason = Some(text);
        } else if KINDS.iter().chain(CODES).any(|kind| word == kind) {
            kinds.push(word);
        } else {
            return Err(Error::new(
                word.span(),
                format!(
                    "no finding of this kind: there are `{}`, and the codes that \
                     `leakcheck explain` lists",
                    KINDS.join("`, `")
                ),
            ));
        }
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    let Some(reason) = reason else {
        return Err(Error::new(
            span,
            "a reason is needed: `allow(leaked_task, reason = \"…\")`",
        ));
    };
    if kinds.is_empty() {
        return Err(Error::new(span, "nothing is allowed here"));
    }
    let allowed = kinds.into_iter().map(|what| Allowed {
        what,
        why: reason.clone(),
    });
    Ok(allowed.collect())
}

impl Args {
    /// Path of the crate `leakcheck`.
    pub fn krate(&self) -> TokenStream {
        match &self.krate {
            Some(path) => path.to_token_stream(),
            None => quote!(::leakcheck),
        }
    }

    /// True if it says something about what is spawned or found.
    pub fn says_something(&self) -> bool {
        self.name.is_some() || self.daemon || !self.allow.is_empty()
    }

    /// The arguments of an item inside of one with these.
    #[must_use]
    pub fn inner(&self, own: Self) -> Self {
        Self {
            name: own.name.or_else(|| self.name.clone()),
            daemon: own.daemon || self.daemon,
            allow: self.allow.iter().chain(&own.allow).cloned().collect(),
            krate: own.krate.or_else(|| self.krate.clone()),
            skip: own.skip,
            daemon_at: own.daemon_at,
        }
    }

    /// As an `Item` of the library; none if they say nothing.
    pub fn item(&self) -> Option<TokenStream> {
        if !self.says_something() && !self.skip {
            return None;
        }
        let krate = self.krate();
        let span = self.name.as_ref().map_or(Span::mixed_site(), |name| {
            Span::mixed_site().located_at(name.span())
        });
        let name = match &self.name {
            Some(name) => quote!(#krate::__private::core::option::Option::Some(#name)),
            None => quote!(#krate::__private::core::option::Option::None),
        };
        let (daemon, skip) = (self.daemon, self.skip);
        let allow = self.allow.iter().map(|Allowed { what, why }| {
            let what = what.to_string();
            quote!((#what, #why))
        });
        Some(quote_spanned! {span=>
            #krate::__private::Item {
                name: #name,
                daemon: #daemon,
                skip: #skip,
                allow: &[#(#allow),*],
            }
        })
    }

    /// Whether all of it can be said of a variable, or of the fields of a struct.
    ///
    /// # Errors
    /// At the argument that is about threads and tasks alone.
    pub fn suit_a_variable(&self) -> Result<()> {
        if self.daemon {
            return Err(Error::new(
                self.daemon_at.unwrap_or_else(Span::call_site),
                "`daemon` is about what is spawned: a variable or a struct spawns nothing",
            ));
        }
        let other = |allowed: &&Allowed| !OF_A_VARIABLE.iter().any(|it| allowed.what == it);
        match self.allow.iter().find(other) {
            Some(Allowed { what, .. }) => Err(Error::new(
                what.span(),
                "a variable or a struct can have no other finding than a `data_race`",
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Args;

    fn error(text: &str) -> String {
        match syn::parse_str::<Args>(text) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn all_arguments_together() {
        let text = r#"name = "reader", daemon, allow(leaked_task, reason = "kept"), crate = a::b"#;
        let args: Args = syn::parse_str(text).unwrap();
        assert_eq!(args.krate().to_string(), "a :: b");
        assert!(args.daemon && args.says_something() && !args.skip);
        assert_eq!(args.allow[0].what, "leaked_task");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(error("nam = \"x\"").starts_with("unknown argument"));
        assert_eq!(error("daemon, daemon"), "`daemon` is given twice");
        assert_eq!(error("skip, daemon"), "`skip` stands alone");
        assert!(error("allow(leaked_task)").starts_with("a reason is needed"));
        assert!(error("allow(LC9999, reason = \"x\")").starts_with("no finding of this kind"));
        assert!(error("allow(leaks, reason = \"x\")").starts_with("no finding of this kind"));
        assert_eq!(
            error("allow(data_race, reason = \" \")"),
            "the reason is empty"
        );
        assert!(error("name = \"\"").starts_with("a name has"));
    }
}
