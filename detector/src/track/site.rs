//! A place in tracked code: what the attribute knows of it when it expands.

use std::fmt;

use crate::report::kind::Kind;

/// A place in tracked code, built at compile time by the expansion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// File, as the compiler names it.
    pub file: &'static str,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Path of the function.
    pub function: &'static str,
    /// The expression, as it is written.
    pub text: &'static str,
    /// The item that is tracked.
    pub item: &'static Item,
    /// True if code that is not tracked runs in the same statement, before
    /// or while this happens.
    pub opaque: bool,
}

/// What the arguments of the attribute say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// `name = "…"`.
    pub name: Option<&'static str>,
    /// `daemon`: what it spawns is meant to stay.
    pub daemon: bool,
    /// `skip`: accesses to this variable or struct are left alone.
    pub skip: bool,
    /// `allow(…, reason = "…")`: kinds, each with its reason.
    pub allow: &'static [(&'static str, &'static str)],
}

impl Item {
    /// An item without arguments.
    pub const PLAIN: Self = Self {
        name: None,
        daemon: false,
        skip: false,
        allow: &[],
    };

    /// The reason for which this kind of finding is allowed.
    pub fn allows(&self, kind: Kind) -> Option<&'static str> {
        let info = kind.info();
        let mut allowed = self.allow.iter();
        let is_it =
            |word: &str| word == "all" || word == info.code || word.replace('_', "-") == info.name;
        allowed
            .find(|(word, _)| is_it(word))
            .map(|(_, reason)| *reason)
    }
}

/// What an accessed field belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    /// Its type.
    type_name: fn() -> &'static str,
    /// The field.
    pub field: &'static str,
    /// What the arguments of the struct say.
    pub item: &'static Item,
}

impl Owner {
    /// A field of a type.
    pub const fn new(
        type_name: fn() -> &'static str,
        field: &'static str,
        item: &'static Item,
    ) -> Self {
        Self {
            type_name,
            field,
            item,
        }
    }
}

impl Owner {
    /// Its type; a reference has the fields of what it refers to.
    pub fn type_name(&self) -> &'static str {
        let name = (self.type_name)().trim_start_matches('&');
        name.strip_prefix("mut ").unwrap_or(name)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.item.name.unwrap_or_else(|| self.type_name());
        write!(f, "field `{}` of `{name}`", self.field)
    }
}

/// A place in tracked code, and what the accessed field belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Where.
    pub site: &'static Site,
    /// If it is a field.
    pub owner: Option<Owner>,
}

impl From<&'static Site> for Told {
    fn from(site: &'static Site) -> Self {
        Self { site, owner: None }
    }
}

impl Site {
    /// A place.
    pub const fn new(
        file: &'static str,
        line: u32,
        column: u32,
        function: &'static str,
        text: &'static str,
    ) -> Self {
        Self {
            file,
            line,
            column,
            function,
            text,
            item: &Item::PLAIN,
            opaque: false,
        }
    }

    /// The same place, in an item with arguments.
    #[must_use]
    pub const fn of(mut self, item: &'static Item) -> Self {
        self.item = item;
        self
    }

    /// The same place, where a field of `owner` is accessed.
    #[must_use]
    pub const fn within(&'static self, owner: Owner) -> Told {
        Told {
            site: self,
            owner: Some(owner),
        }
    }

    /// The same place, in a statement that runs untracked code as well.
    #[must_use]
    pub const fn opaque(mut self) -> Self {
        self.opaque = true;
        self
    }
}
