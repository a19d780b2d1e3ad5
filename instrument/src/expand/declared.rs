//! What is declared before a statement, for what is in it.

use syn::Stmt;

use super::asked::Asked;
use super::body::Body;

/// Variables that are declared before a statement.
#[derive(Default)]
pub struct Declared {
    /// They see the releases of locks.
    pub releases: Vec<syn::Ident>,
    /// They know whether a pointer is one.
    pub roots: Vec<syn::Ident>,
    /// It sees whether code of a type's own runs when the block ends.
    pub kept: Option<syn::Ident>,
    /// They tell of what the statement reads.
    pub hooks: Vec<Stmt>,
    /// What is asked before it.
    pub asked: Asked,
    /// Nothing else is declared: a closure's body is no statement.
    pub only_asks: bool,
}

impl Body<'_> {
    /// A variable that sees the release of a lock in this statement; none
    /// where there is no statement around, or where what takes the lock outlives
    /// its block.
    pub fn new_release(&mut self) -> Option<syn::Ident> {
        if self.outlives.is_here() {
            return None;
        }
        self.declared.as_ref().filter(|it| !it.only_asks)?;
        let release = self.numbered("__leakcheck_release");
        self.declared.as_mut()?.releases.push(release.clone());
        Some(release)
    }

    /// A variable that knows whether a pointer in this statement is one; none
    /// where there is no statement around.
    pub fn new_root(&mut self) -> Option<syn::Ident> {
        self.declared.as_ref().filter(|it| !it.only_asks)?;
        let root = self.numbered("__leakcheck_root");
        self.declared.as_mut()?.roots.push(root.clone());
        Some(root)
    }

    /// The variable that sees the drop of what a variable borrows; none where
    /// there is no statement around.
    pub fn new_kept(&mut self) -> Option<syn::Ident> {
        let declared = self.declared.as_ref().filter(|it| !it.only_asks)?;
        if let Some(kept) = &declared.kept {
            return Some(kept.clone());
        }
        let kept = self.numbered("__leakcheck_kept");
        self.declared.as_mut()?.kept = Some(kept.clone());
        Some(kept)
    }

    /// Statements that go before this one.
    pub fn declare_hooks(&mut self, hooks: Vec<Stmt>) {
        if let Some(declared) = &mut self.declared {
            declared.hooks.extend(hooks);
        }
    }
}
