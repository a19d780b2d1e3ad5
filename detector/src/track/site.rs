//! A place in tracked code: what the attribute knows of it when it expands.

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
    /// `name = "…"` of the static variable that is accessed.
    pub variable: Option<&'static str>,
    /// `daemon`: what it spawns is meant to stay.
    pub daemon: bool,
    /// `allow(…, reason = "…")`: kinds, each with its reason.
    pub allow: &'static [(&'static str, &'static str)],
}

impl Item {
    /// An item without arguments.
    pub const PLAIN: Self = Self {
        name: None,
        variable: None,
        daemon: false,
        allow: &[],
    };

    /// The reason for which this kind of finding is allowed.
    pub fn allows(&self, kind: &str) -> Option<&'static str> {
        let mut allowed = self.allow.iter();
        allowed
            .find(|(name, _)| *name == kind)
            .map(|(_, reason)| *reason)
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

    /// The same place, in a statement that runs untracked code as well.
    #[must_use]
    pub const fn opaque(mut self) -> Self {
        self.opaque = true;
        self
    }
}
