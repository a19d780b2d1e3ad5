//! What items become, pretty-printed; and that they stay what they are where
//! tracking is off.

use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::visit_mut::VisitMut;
use syn::{Attribute, File, ImplItemFn, ItemFn};

use crate::item::track;

/// Takes off what each function allows, which is the same everywhere.
struct Allowed;

impl Allowed {
    fn take_off(attributes: &mut Vec<Attribute>) {
        attributes.retain(|attribute| {
            let text = attribute.meta.to_token_stream().to_string();
            !text.contains("unreachable_code , clippy")
        });
    }
}

impl VisitMut for Allowed {
    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        Self::take_off(&mut function.attrs);
    }

    fn visit_impl_item_fn_mut(&mut self, method: &mut ImplItemFn) {
        Self::take_off(&mut method.attrs);
    }
}

/// The expansion without the lints that each function allows.
fn expanded(arguments: &str, item: &str) -> String {
    let mut file = file(arguments, item);
    Allowed.visit_file_mut(&mut file);
    printed(&file)
}

fn file(arguments: &str, item: &str) -> File {
    let tokens = |text: &str| -> TokenStream { text.parse().expect("tokens") };
    let expansion = track(tokens(arguments), tokens(item), true);
    syn::parse2(expansion).expect("an expansion is a file")
}

/// Sites are cut down to their texts.
fn printed(file: &File) -> String {
    let text = prettyplease::unparse(file);
    let mut short = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("const {\n") {
        let (before, after) = rest.split_at(at);
        short.push_str(before);
        let mut depth = 0;
        let end = after.find(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == '}' && depth == 0
        });
        let end = end.map_or(after.len(), |end| end + 1);
        let site = &after[..end];
        let is_site = site.contains("Site::new");
        let mut text = site
            .lines()
            .filter_map(|line| line.trim().strip_prefix('"'));
        match text.next_back() {
            Some(text) if is_site => {
                short.push_str(&format!("SITE(\"{})", text.trim_end_matches(',')));
            }
            _ => short.push_str(site),
        }
        rest = &after[end..];
    }
    short + rest
}

macro_rules! snapshot {
    ($name:ident, $arguments:literal, $item:literal) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(expanded($arguments, $item));
        }
    };
}

snapshot!(
    static_variables,
    "",
    "fn f() -> u32 { unsafe { COUNTER += 1; TABLE[2] = COUNTER; *addr_of_mut!(FLAG) = true; COUNTER } }"
);
snapshot!(
    raw_pointers,
    "",
    "unsafe fn f(p: *mut Pair) { unsafe { (*p).a = 1; let b = (*p).b[0]; let c = &mut (*p).c; *self.cell.get() += b; p.read(); ptr::write(p, c) } }"
);
snapshot!(
    patterns,
    "",
    "mod m { struct Pair { a: u32, b: (u8, u8) } impl Pair { unsafe fn f(p: *mut Pair, q: *const (u8, E)) -> u8 { let Self { a, b: (c, _) } = *p; let Pair { b: (.., d), .. } = *p; let (e, ..) = *q; let (ref f, _) = *q; let (_, Only(g)) = *q; match (*p).a { 0 | 2..5 => a, n => n } } } }"
);
snapshot!(
    variants,
    "",
    "unsafe fn f(p: *const State) { if let State::Idle = *p { a() } match *p { None => a(), Some(n) => b(n) } }"
);
snapshot!(
    many_values,
    "",
    "unsafe fn f(p: *mut u8) { unsafe { ptr::copy(p, q(), 3); p.copy_to(other, n); ptr::write_bytes(p, 0, 3) } }"
);
snapshot!(
    named_variables,
    "",
    "mod m { #[track(name = \"hits\", allow(data_race, reason = \"a guess is enough\"))] static mut HITS: u32 = 0; fn hit() { unsafe { HITS += 1 } } }"
);
snapshot!(
    calls_that_return_futures,
    "",
    "fn f() { set.spawn(work(1)); set.spawn(other); set.spawn(x.into()); }"
);
snapshot!(
    closures,
    "name = \"worker\"",
    "fn f() { let a = thread::spawn(move || work()); thread::scope(|s| { s.spawn(|| work()); }); a.join().unwrap(); }"
);
snapshot!(
    pools,
    "",
    "fn f() { rayon::scope(|s| { s.spawn(|_| work()); }); rayon::join(|| one(), || two()); }"
);
snapshot!(
    futures,
    "daemon",
    "async fn f() { tokio::spawn(async move { receiver.recv().await; }); set.spawn(async { 1 }); }"
);
snapshot!(
    locks,
    "",
    "fn f() { let guard = self.lock.lock().unwrap(); *guard; drop(guard); *other.lock().unwrap() = 1; g(&mut other.lock(), &(made().join())); let moved = third.lock().unwrap(); keep(moved); }"
);
snapshot!(
    guards,
    "",
    "fn f(one: Guard, other: Guard) { if let Ok(g) = a.try_lock() { *g = 1; } match b.lock() { Ok(g) => *g, Err(e) => made(&e).number() }; let Ok(g) = c.lock() else { return }; let h = d(); h.into_inner(); let i = e(); drop(i); sum({ *k.lock().unwrap() }, 1); }"
);
snapshot!(
    atomics,
    "",
    "fn f() { while !flag.load(Ordering::Acquire) {} count.fetch_add(1, order); fence(Ordering::Release); }"
);
snapshot!(
    calls_that_may_be_tracked,
    "",
    "fn f() { one(); both(one(), two()); let n = vec.len(); println!(\"{n}\"); }"
);
snapshot!(
    channels,
    "",
    "fn f() { let (s, mut r) = mpsc::channel::<u8>(); let (a, _b): (S, R) = bounded(1); let (c, d) = pair(); }"
);
snapshot!(
    conditions,
    "",
    "fn f(#[cfg(a)] x: X) { #[cfg(a)] let s = make(); #[cfg(a)] s.send(1); #[cfg(a)] drop(s); #[rustfmt::skip] c.store(1, Relaxed); #[cfg(a)] { one(two()) } #[cfg(not(a))] three(four()) }"
);
snapshot!(sync_test, "", "#[test] fn f() { work(); }");
snapshot!(
    async_test,
    "",
    "#[tokio::test] async fn f() -> Result<(), Error> { work().await?; Ok(()) }"
);
snapshot!(
    modules,
    "",
    "mod m { static mut HITS: u32 = 0; #[track(skip)] fn left() { unsafe { HITS = 1 } } impl S { fn read(&self) -> u32 { unsafe { HITS } } } const fn c() {} }"
);
snapshot!(
    temporaries,
    "",
    "fn f(_: Guard) { call(&make()); let kept = &make(); make().max(1); }"
);
snapshot!(
    coercions,
    "",
    "fn f(held: &Held) -> &Inner { let all: [&Inner; 1] = [held]; held }"
);
snapshot!(
    messages,
    "",
    "fn f(x: X, b: bool) { assert!(b, \"{x}\"); assert_eq!(1, 2, \"{x}\"); }"
);

#[test]
fn lints() {
    let item = "#[expect(dead_code)] #[cfg_attr(test, expect(unused), must_use)] fn f() { \
                #[expect(unused_variables, reason = \"expect\")] let x = 1; }";
    insta::assert_snapshot!(printed(&file("", item)));
}

#[test]
fn without_tracking_the_item_is_itself() {
    let item = "#[test] /* kept */ fn f() { unsafe { COUNTER += 1 } }";
    let tokens: TokenStream = item.parse().expect("tokens");
    let same = track(
        "name = \"x\"".parse().expect("tokens"),
        tokens.clone(),
        false,
    );
    assert_eq!(same.to_string(), tokens.to_string());
}

#[test]
fn a_wrong_argument_leaves_the_item() {
    let item: TokenStream = "fn f() {}".parse().expect("tokens");
    let expansion = track("nam = 1".parse().expect("tokens"), item, true).to_string();
    assert!(expansion.starts_with("fn f () { }"), "{expansion}");
    assert!(expansion.contains("compile_error"), "{expansion}");
}
