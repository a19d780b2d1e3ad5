//! Static variables and structs: what they are called, and what is allowed of
//! them. The item stays as it is; what is added has no name.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{ItemStatic, ItemStruct};

use super::Context;
use super::place::{hygienic, ident};

/// Input: `static mut HITS: u32 = 0;`. Output: the library knows the variable
/// by its address before `main`, wherever it is accessed.
///
/// ```text
/// static mut HITS: u32 = 0;
/// const _: () = {
///     extern "C" fn register() {
///         static VARIABLE: Variable = Variable::new("HITS", &ITEM, || range(&raw const HITS));
///         VARIABLE.register();
///     }
///     #[used] #[unsafe(link_section = ".init_array")]
///     static REGISTER: extern "C" fn() = register;
/// };
/// ```
///
/// Where a system has no such section, the variable goes by its expressions.
pub fn variable(context: &Context, item: &ItemStatic) -> TokenStream {
    let krate = &context.krate;
    let span = hygienic(item.ident.span());
    let name = &item.ident;
    let text = name.to_string();
    let said = said(context);
    let known = ident("__LEAKCHECK_VARIABLE");
    let registered = before_main(&quote_spanned! {span=>
        static #known: #krate::__private::Variable = #krate::__private::Variable::new(
            #krate::__private::core::concat!(#krate::__private::core::module_path!(), "::", #text),
            #said,
            || #krate::__private::range(&raw const #name),
        );
        #known.register();
    });
    quote!(#item #registered)
}

/// An item that has statements run before `main`, where a system has a section
/// for that.
pub fn before_main(statements: &TokenStream) -> TokenStream {
    let [register, entry] = ["__leakcheck_register", "__LEAKCHECK_REGISTER"].map(ident);
    let span = hygienic(Span::call_site());
    quote_spanned! {span=>
        const _: () = {
            extern "C" fn #register() {
                #statements
            }
            #[used]
            #[cfg_attr(
                any(target_os = "linux", target_os = "android", target_os = "freebsd"),
                unsafe(link_section = ".init_array")
            )]
            #[cfg_attr(
                target_vendor = "apple",
                unsafe(link_section = "__DATA,__mod_init_func")
            )]
            #[cfg_attr(target_os = "windows", unsafe(link_section = ".CRT$XCU"))]
            static #entry: extern "C" fn() = #register;
        };
    }
}

/// Input: `struct Slot<T> { … }`, with arguments. Output: its type says them.
///
/// ```text
/// struct Slot<T> { … }
/// impl<T> ::leakcheck::__private::Described for Slot<T> { const ITEM: &Item = &…; }
/// ```
pub fn structure(context: &Context, item: &ItemStruct) -> TokenStream {
    let Some(said) = context.args.item() else {
        return quote!(#item);
    };
    let krate = &context.krate;
    let span = hygienic(item.ident.span());
    let name = &item.ident;
    let (parameters, arguments, bounds) = item.generics.split_for_impl();
    let added = quote_spanned! {span=>
        #[automatically_derived]
        impl #parameters #krate::__private::Described for #name #arguments #bounds {
            const ITEM: &'static #krate::__private::Item = &#said;
        }
    };
    quote!(#item #added)
}

fn said(context: &Context) -> TokenStream {
    let krate = &context.krate;
    match context.args.item() {
        Some(said) => quote!(&#said),
        None => quote!(&#krate::__private::Item::PLAIN),
    }
}
