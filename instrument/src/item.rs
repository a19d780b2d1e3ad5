//! What the attribute may sit on. Whatever is wrong with it, the item itself
//! survives, so that one error is one error.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, ImplItem, Item, ItemImpl, Meta, TraitItem, Type, parse_quote};

use crate::args::Args;
use crate::expand::{Context, function, lints, structure, variable};

/// Expands `#[track(arguments)] item`.
pub fn track(arguments: TokenStream, item: TokenStream, active: bool) -> TokenStream {
    let args: Args = match syn::parse2(arguments) {
        Ok(args) => args,
        Err(error) => return survive(&error, item),
    };
    let parsed: Item = match syn::parse2(ungrouped(item.clone())) {
        Ok(parsed) => parsed,
        Err(_) => return method(&args, item, active),
    };
    if let Err(error) = check(&args, &parsed) {
        return survive(&error, item);
    }
    let names = matches!(parsed, Item::Static(_) | Item::Struct(_));
    if !active || args.skip && !names {
        return item;
    }
    let mut parsed = parsed;
    let context = Context::new(&args);
    lints::unexpect(&mut parsed);
    match tracked(&context, &mut parsed) {
        Ok(()) => parsed.into_token_stream(),
        Err(error) => {
            strip(&mut parsed);
            survive(&error, parsed.into_token_stream())
        }
    }
}

/// Takes the attribute off whatever is inside of an item: it would be an error
/// of its own where the name is not imported.
fn strip(item: &mut Item) {
    if let Some(attrs) = attributes(item) {
        attrs.retain(|attr| !is_track(attr));
    }
    match item {
        Item::Mod(module) => {
            let inner = module.content.iter_mut().flat_map(|(_, items)| items);
            inner.for_each(strip);
        }
        Item::Impl(item) => {
            for part in &mut item.items {
                if let ImplItem::Fn(method) = part {
                    method.attrs.retain(|attr| !is_track(attr));
                }
            }
        }
        Item::Trait(item) => {
            for part in &mut item.items {
                if let TraitItem::Fn(method) = part {
                    method.attrs.retain(|attr| !is_track(attr));
                }
            }
        }
        _ => {}
    }
}

/// True for the attribute itself, whatever leads to its name.
pub fn is_track(attr: &Attribute) -> bool {
    let last = attr.path().segments.last();
    last.is_some_and(|segment| segment.ident == "track")
}

/// What is no item by itself: a method with a receiver, in an `impl` block
/// without the attribute. One without a body does nothing; what is no Rust is
/// for the compiler to tell.
fn method(args: &Args, item: TokenStream, active: bool) -> TokenStream {
    let Ok(mut parsed) = syn::parse2::<syn::ImplItemFn>(ungrouped(item.clone())) else {
        return item;
    };
    if args.skip || !active {
        return item;
    }
    let context = Context::new(args);
    lints::unexpect_method(&mut parsed);
    function(&context, &mut parsed.attrs, &parsed.sig, &mut parsed.block);
    parsed.into_token_stream()
}

/// Takes the invisible brackets off the blocks that a macro by example has
/// put in: a block is what it is without them.
fn ungrouped(tokens: TokenStream) -> TokenStream {
    let tokens = tokens.into_iter().map(|token| match token {
        TokenTree::Group(group) => {
            let inner = ungrouped(group.stream());
            let mut parts = inner.clone().into_iter();
            match (group.delimiter(), parts.next(), parts.next()) {
                (Delimiter::None, Some(TokenTree::Group(block)), None)
                    if block.delimiter() == Delimiter::Brace =>
                {
                    TokenTree::Group(block)
                }
                (delimiter, ..) => {
                    let mut same = Group::new(delimiter, inner);
                    same.set_span(group.span());
                    TokenTree::Group(same)
                }
            }
        }
        other => other,
    });
    tokens.collect()
}

fn survive(error: &Error, item: TokenStream) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#item #error)
}

/// Whether the attribute, with these arguments, may sit there.
fn check(args: &Args, item: &Item) -> syn::Result<()> {
    let wrong = match item {
        // `Verbatim` is a function without a body, in a trait or a foreign
        // block: it does nothing.
        Item::Fn(_) | Item::Impl(_) | Item::Trait(_) | Item::Verbatim(_) => return Ok(()),
        Item::Mod(module) if module.content.is_some() => return Ok(()),
        Item::Static(_) | Item::Struct(_) => return args.suit_a_variable(),
        Item::Mod(_) => "this module is in a file of its own: write `#[track]` on the items in it",
        _ => {
            "`track` sits on a function, an `impl` block, a trait, a module with its content, a \
             static variable or a struct"
        }
    };
    Err(Error::new(item.span(), wrong))
}

/// Takes the attribute of an inner item off; its arguments, if it is there, and what
/// stays: one that does nothing, so that its name must be known as where tracking is
/// compiled out.
fn own(attrs: &mut Vec<Attribute>) -> syn::Result<Option<(Args, Attribute)>> {
    let Some(at) = attrs.iter().position(is_track) else {
        return Ok(None);
    };
    let attr = attrs.remove(at);
    let args = match &attr.meta {
        Meta::Path(_) => Args::default(),
        Meta::List(_) | Meta::NameValue(_) => attr.parse_args()?,
    };
    let path = attr.path();
    Ok(Some((args, parse_quote!(#[#path(skip)]))))
}

/// True for a static variable that is left alone. What is wrong with its
/// arguments, it says itself.
pub fn is_skipped(item: &syn::ItemStatic) -> bool {
    let args = own(&mut item.attrs.clone());
    args.is_ok_and(|args| args.is_some_and(|(args, _)| args.skip))
}

/// The context of an inner item; none if it is to be skipped.
fn inner(context: &Context, attrs: &mut Vec<Attribute>) -> syn::Result<Option<Context>> {
    let Some((args, stays)) = own(attrs)? else {
        return Ok(Some(context.clone()));
    };
    attrs.insert(0, stays);
    Ok((!args.skip).then(|| context.with_args(args)))
}

fn tracked(context: &Context, item: &mut Item) -> syn::Result<()> {
    match item {
        Item::Fn(item) => {
            function(context, &mut item.attrs, &item.sig, &mut item.block);
        }
        Item::Impl(item) => tracked_impl(&context.under(&item.attrs), item)?,
        Item::Trait(item) => {
            let context = context.under(&item.attrs).inside_trait(item);
            for part in &mut item.items {
                if let TraitItem::Fn(method) = part
                    && let Some(context) = inner(&context, &mut method.attrs)?
                    && let Some(block) = &mut method.default
                {
                    function(&context, &mut method.attrs, &method.sig, block);
                }
            }
        }
        Item::Mod(module) => {
            let Some((_, items)) = &mut module.content else {
                return Ok(());
            };
            let context = context.under(&module.attrs).with_items(&*items);
            for item in items {
                inside(&context, item)?;
            }
        }
        Item::Static(_) | Item::Struct(_) => *item = named(context, item),
        _ => {}
    }
    Ok(())
}

/// An item in a tracked module, or in a tracked body.
fn inside(context: &Context, item: &mut Item) -> syn::Result<()> {
    if let Item::Static(_) | Item::Struct(_) = item {
        return named_inside(context, item);
    }
    let Some(attrs) = attributes(item) else {
        return Ok(());
    };
    match inner(context, attrs)? {
        Some(context) => tracked(&context, item),
        None => Ok(()),
    }
}

/// An item in a tracked body. What is wrong with its arguments, its own attribute
/// says, which then stays there.
pub fn tracked_inside(context: &Context, item: &mut Item) {
    let mut expanded = item.clone();
    if inside(context, &mut expanded).is_ok() {
        *item = expanded;
    }
}

/// A static variable or a struct in there: it has a name if it has the
/// attribute.
fn named_inside(context: &Context, item: &mut Item) -> syn::Result<()> {
    let own = match attributes(item) {
        Some(attrs) => own(attrs)?,
        None => None,
    };
    if let Some((own, stays)) = own {
        own.suit_a_variable()?;
        let named = named(&context.of_variable(own), item);
        *item = Item::Verbatim(quote! {
            #named
            const _: () = {
                #stays
                fn _track() {}
            };
        });
    }
    Ok(())
}

fn named(context: &Context, item: &Item) -> Item {
    match item {
        Item::Static(item) => Item::Verbatim(variable(context, item)),
        Item::Struct(item) => Item::Verbatim(structure(context, item)),
        other => other.clone(),
    }
}

fn tracked_impl(context: &Context, item: &mut ItemImpl) -> syn::Result<()> {
    let of_trait = item
        .trait_
        .as_ref()
        .and_then(|(_, path, _)| path.segments.last());
    if of_trait.is_some_and(|name| name.ident == "GlobalAlloc") {
        // The library allocates.
        return Ok(());
    }
    if of_trait.is_some() {
        lints::allow_around(&mut item.attrs);
    }
    let name = match &*item.self_ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    };
    let context = context.inside(name.as_deref().unwrap_or("{impl}"));
    for part in &mut item.items {
        if let ImplItem::Fn(method) = part
            && let Some(context) = inner(&context, &mut method.attrs)?
        {
            function(&context, &mut method.attrs, &method.sig, &mut method.block);
        }
    }
    Ok(())
}

/// The attributes of an item that is tracked inside of a module.
fn attributes(item: &mut Item) -> Option<&mut Vec<Attribute>> {
    match item {
        Item::Fn(item) => Some(&mut item.attrs),
        Item::Impl(item) => Some(&mut item.attrs),
        Item::Trait(item) => Some(&mut item.attrs),
        Item::Mod(item) => Some(&mut item.attrs),
        Item::Static(item) => Some(&mut item.attrs),
        Item::Struct(item) => Some(&mut item.attrs),
        _ => None,
    }
}
