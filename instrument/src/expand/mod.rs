//! The transformations. Each states what goes in and what comes out.
//!
//! - [`body`]: walks a body, statement by statement, and [`declared`] goes before one;
//!   [`entered`]: a function as a whole;
//! - [`spawn`]: what is spawned, by what [`handles`] say as well; [`access`] and [`pointers`]: shared
//!   variables, also [`assigned`] ones, whose places are chains ([`chain`]), and how they are told ([`way`], [`reference`]); [`sync`]: what orders;
//!   [`channels`]: the ends of one; [`asserted`]: assertions; [`test`]: tests;
//! - [`variable`]: what a static variable and a struct are called;
//! - [`guards`] and [`ends`]: lock guards and other values whose drop is seen;
//!   [`bound`]: those that a pattern binds; [`temporaries`]: what is borrowed where it is made,
//!   and [`extended`]: what a variable keeps of that;
//! - [`left`]: what is left alone; [`lints`]: what these do not say of it;
//! - [`attributes`]: conditions on statements; [`closures`]: what they capture;
//! - [`calls`]: which statements may run code that is not tracked; [`callee`]: how calls are announced; [`foreign`]: what
//!   may where no call is written: by operators ([`operated`]), steps of places
//!   ([`steps`]), [`coercions`], formats ([`macros`]), and what [`left_off`] says; [`asked`]:
//!   how it is asked; [`operators`]: what these do;
//! - [`place`]: places of the source, and paths into the library.
//!
//! All names that an expansion brings are hygienic, all paths absolute. Values
//! go through functions that return them as they are, so that temporaries live
//! as long as they did.

mod access;
mod address;
mod asked;
mod asserted;
mod assigned;
mod attributes;
mod body;
mod bound;
mod callee;
mod calls;
mod chain;
mod channels;
mod closures;
mod coercions;
mod declared;
mod driven;
mod ends;
mod entered;
mod extended;
mod foreign;
mod guards;
mod handles;
mod left;
mod left_off;
pub mod lints;
mod macros;
mod names;
mod operated;
mod operators;
mod outlives;
mod pattern;
mod place;
mod pointers;
mod reference;
mod spawn;
mod steps;
mod sync;
mod temporaries;
mod test;
mod typed;
mod variable;
mod way;
mod written;

use std::collections::BTreeSet;
use std::rc::Rc;

use proc_macro2::TokenStream;
use syn::visit::Visit;
use syn::{
    Attribute, Block, GenericParam, Ident, Item, ItemTrait, Macro, Signature, StaticMutability,
    UseTree,
};

use crate::args::Args;
use crate::item::is_skipped;
use body::Body;
pub use variable::{structure, variable};

/// What all bodies of an item share.
#[derive(Clone)]
pub struct Context {
    args: Args,
    krate: TokenStream,
    /// Path from the module to the function.
    owner: Vec<String>,
    /// The functions are a type's: of the last name of that path.
    is_of_type: bool,
    /// The functions are those that a trait gives to all its types: the hook that
    /// tells of their entry.
    of_trait: Option<&'static str>,
    /// Static variables that may change, as far as they can be seen.
    statics: Rc<BTreeSet<String>>,
    /// Constants and other static variables.
    constants: Rc<BTreeSet<String>>,
    /// Of these, those that surely are variables.
    unchanged: Rc<BTreeSet<String>>,
    /// Structs, as far as they can be seen.
    structs: Rc<BTreeSet<String>>,
    /// Static variables that are left alone.
    skipped: Rc<BTreeSet<String>>,
    /// Macros that are not std's, whatever they are called.
    macros: Rc<BTreeSet<String>>,
    /// A macro may put other code around that of the functions: see
    /// [`attributes::may_wrap`].
    wrapped: bool,
}

impl Context {
    /// Of an item with these arguments.
    pub fn new(args: &Args) -> Self {
        Self {
            args: args.clone(),
            krate: args.krate(),
            owner: Vec::new(),
            is_of_type: false,
            of_trait: None,
            statics: Rc::default(),
            constants: Rc::default(),
            unchanged: Rc::default(),
            structs: Rc::default(),
            skipped: Rc::default(),
            macros: Rc::default(),
            wrapped: false,
        }
    }

    /// Of what has these attributes.
    pub fn under(&self, attributes: &[Attribute]) -> Self {
        Self {
            wrapped: self.wrapped || attributes::may_wrap(attributes),
            ..self.clone()
        }
    }

    /// Of an item inside, with arguments of its own.
    pub fn with_args(&self, own: Args) -> Self {
        let args = self.args.inner(own);
        Self {
            krate: args.krate(),
            args,
            ..self.clone()
        }
    }

    /// Of a variable or a struct with these arguments: those around are not
    /// about it.
    pub fn of_variable(&self, own: Args) -> Self {
        let mut inner = self.with_args(own.clone());
        inner.args = own;
        inner
    }

    /// True for a function of a module, not of a type or inside of another.
    fn is_in_module(&self) -> bool {
        self.owner.is_empty()
    }

    /// Of what is inside of this type.
    pub fn inside(&self, name: &str) -> Self {
        let mut inner = self.clone();
        inner.owner.push(name.to_owned());
        inner.is_of_type = true;
        inner.of_trait = None;
        inner
    }

    /// Of an item in the body of this function.
    fn inside_function(&self, name: &str) -> Self {
        let mut inner = self.inside(name);
        inner.is_of_type = false;
        inner
    }

    /// Of what is inside of this trait.
    pub fn inside_trait(&self, of: &ItemTrait) -> Self {
        let mut inner = self.inside(&of.ident.to_string());
        let mut given = of.generics.params.iter();
        let is_given = given.any(|it| !matches!(it, GenericParam::Lifetime(_)));
        inner.of_trait = Some(if is_given {
            "entered_given_default"
        } else {
            "entered_default"
        });
        inner
    }

    /// Of a function with this body: what it writes by an upper-case name is a
    /// static variable.
    fn with_written(&self, block: &Block) -> Self {
        let mut inside = Items::default();
        inside.visit_block(block);
        let mut context = self.with_items(inside.0);
        address::written(block, Rc::make_mut(&mut context.statics));
        context
    }

    /// With the macros that these items define, or import by name.
    fn with_macros<'i>(&self, items: impl IntoIterator<Item = &'i Item>) -> Rc<BTreeSet<String>> {
        let mut macros = (*self.macros).clone();
        for item in items {
            match item {
                Item::Macro(defined) => {
                    macros.extend(defined.ident.as_ref().map(ToString::to_string));
                }
                Item::Use(imported) => imports(&imported.tree, false, &mut macros),
                _ => {}
            }
        }
        Rc::new(macros)
    }

    /// True for a macro that is not std's, as far as can be seen.
    fn is_own_macro(&self, called: &Macro) -> bool {
        let Some(last) = called.path.segments.last() else {
            return true;
        };
        let first = called
            .path
            .segments
            .first()
            .filter(|_| called.path.segments.len() > 1);
        match first {
            // `ptr::addr_of!`
            Some(first) => !(is_std(&first.ident) || first.ident == "ptr"),
            None => self.macros.contains(&last.ident.to_string()),
        }
    }

    /// Of what is in a module, or in a body, with these items, which hide others of
    /// their names.
    pub fn with_items<'i>(&self, items: impl IntoIterator<Item = &'i Item> + Clone) -> Self {
        let mut inner = self.clone();
        inner.macros = self.with_macros(items.clone());
        let mut known = BTreeSet::new();
        for item in items {
            let (name, kind) = match item {
                Item::Static(item) if matches!(item.mutability, StaticMutability::Mut(_)) => {
                    (&item.ident, Kind::Changes)
                }
                Item::Static(item) => (&item.ident, Kind::Stays),
                Item::Const(item) => (&item.ident, Kind::Constant),
                Item::Struct(item) => {
                    Rc::make_mut(&mut inner.structs).insert(item.ident.to_string());
                    continue;
                }
                _ => continue,
            };
            let name = name.to_string();
            for names in [
                &mut inner.statics,
                &mut inner.constants,
                &mut inner.unchanged,
                &mut inner.skipped,
            ] {
                if names.contains(&name) {
                    Rc::make_mut(names).remove(&name);
                }
            }
            if !known.insert(name.clone()) {
                // In two blocks of a body: which of them is meant is not seen.
                continue;
            }
            if let Item::Static(item) = item
                && is_skipped(item)
            {
                Rc::make_mut(&mut inner.skipped).insert(name.clone());
            }
            match kind {
                Kind::Changes => _ = Rc::make_mut(&mut inner.statics).insert(name),
                Kind::Stays => {
                    Rc::make_mut(&mut inner.unchanged).insert(name.clone());
                    Rc::make_mut(&mut inner.constants).insert(name);
                }
                Kind::Constant => _ = Rc::make_mut(&mut inner.constants).insert(name),
            }
        }
        inner
    }
}

/// What an upper-case name stands for.
enum Kind {
    /// A `static mut`.
    Changes,
    /// Another static variable.
    Stays,
    Constant,
}

/// The items of a body, wherever they are in it.
#[derive(Default)]
struct Items<'i>(Vec<&'i Item>);

impl<'i> Visit<'i> for Items<'i> {
    fn visit_item(&mut self, item: &'i Item) {
        self.0.push(item);
    }
}

fn is_std(krate: &Ident) -> bool {
    ["std", "core", "alloc"].iter().any(|name| krate == name)
}

/// The names that a `use` brings, but of std's.
fn imports(tree: &UseTree, is_of_std: bool, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => {
            imports(&path.tree, is_of_std || is_std(&path.ident), names);
        }
        UseTree::Name(name) if !is_of_std => _ = names.insert(name.ident.to_string()),
        UseTree::Rename(renamed) => _ = names.insert(renamed.rename.to_string()),
        UseTree::Group(group) => {
            for tree in &group.items {
                imports(tree, is_of_std, names);
            }
        }
        UseTree::Name(_) | UseTree::Glob(_) => {}
    }
}

/// Rewrites the body of a function.
pub fn function(
    context: &Context,
    attrs: &mut Vec<Attribute>,
    signature: &Signature,
    block: &mut Block,
) {
    if signature.constness.is_some() {
        left::constant(context, signature, block);
        return;
    }
    let context = &context.under(attrs).with_written(block);
    lints::allow(attrs);
    let is_test = attrs.iter().any(test::is_test);
    let mut body = Body::new(context, signature, is_test);
    body.function(signature, block);
    if is_test {
        test::wrap(context, signature, block);
    } else {
        test::ask(context, signature, block);
    }
}
