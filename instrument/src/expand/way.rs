//! What an access does with its place, and how it is told.

use proc_macro2::TokenStream;

/// What is done with a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Read,
    /// Its value is compared, not moved.
    Compare,
    /// A pattern asks which variant it is.
    Match,
    Write,
    Borrow,
    BorrowMut,
}

impl Use {
    /// It stays where it is, and is read there.
    pub const fn is_in_place(self) -> bool {
        matches!(self, Self::Compare | Self::Match)
    }
}

/// How an access is told.
pub enum Way {
    /// It is none.
    No,
    /// By a hook that goes before it.
    Before(TokenStream),
    /// By its address, as far as `reach` says.
    Once {
        site: TokenStream,
        reach: TokenStream,
    },
    /// As that, of a pointer that a call returns: the variable knows it.
    OnceOf { site: TokenStream, root: syn::Ident },
    /// By the reference.
    Borrowed {
        site: TokenStream,
        reach: TokenStream,
    },
    /// As that, of a pointer that a call returns.
    BorrowedOf { site: TokenStream, root: syn::Ident },
    /// Where the pointer passes by.
    Computed,
    /// Not at all.
    Alone(&'static str),
}

/// The steps of a place run code of the program's own.
pub const RUNS_CODE: &str = "its steps call a `Deref` or `Index` of the program's own";
/// See [`Way::OnceOf`].
pub const NO_STATEMENT: &str = "a pointer that a call returns is indexed outside of a statement";
/// See [`super::body::Body::extends`].
pub const LIVES_ON: &str = "what a call returns lives on in the variable that borrows it";
/// See [`Root::Static`].
pub const NOT_KNOWN: &str =
    "whether this is a variable is not known: put `#[track]` on the module around both";
/// A pointer at a computed index.
pub const POINTER_COMPUTED: &str = "its pointer has an index that is computed";
/// What a pointer points to is not known where it is used.
pub const POINTS_TO_ANYTHING: &str = "what its pointer points to is decided by what it is used for";
