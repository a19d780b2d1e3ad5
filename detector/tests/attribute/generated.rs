//! Random functions that compile: accesses, locks, atomics, spawns and control
//! flow in all combinations. All values are `u32`, so that types fit; what
//! they compute does not matter, they are not run.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// What the functions use.
const PRELUDE: &str = r#"//! Generated.

use std::cell::UnsafeCell;
use std::ptr::{self, addr_of, addr_of_mut};
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::sync::{Mutex, RwLock, mpsc};
use std::future::Future;
use std::pin::Pin;
use std::thread;

pub struct Pair { a: u32, b: [u32; 4], next: *mut Pair }
pub struct Owned { text: String, cell: UnsafeCell<u32>, pair: UnsafeCell<Pair>, lock: Mutex<u32>, many: RwLock<Vec<u32>> }
pub static mut COUNTER: u32 = 0;
pub static mut TABLE: [u32; 4] = [0; 4];
pub static mut PAIR: Pair = Pair { a: 0, b: [0; 4], next: ptr::null_mut() };
pub static ATOMIC: AtomicU32 = AtomicU32::new(0);
pub static LOCK: Mutex<u32> = Mutex::new(0);
pub const LIMIT: u32 = 7;
pub static mut HANDLE: Handle = Handle(Pair { a: 0, b: [0; 4], next: ptr::null_mut() });
pub static mut GRID: Grid = Grid([0; 4]);
pub static mut LIST: Vec<u32> = Vec::new();
pub struct Handle(Pair);
impl std::ops::Deref for Handle { type Target = Pair; fn deref(&self) -> &Pair { &self.0 } }
impl std::ops::DerefMut for Handle { fn deref_mut(&mut self) -> &mut Pair { &mut self.0 } }
pub struct Grid([u32; 4]);
impl std::ops::Index<u32> for Grid { type Output = u32; fn index(&self, at: u32) -> &u32 { &self.0[at as usize] } }
impl std::ops::IndexMut<u32> for Grid { fn index_mut(&mut self, at: u32) -> &mut u32 { &mut self.0[at as usize] } }
pub fn at(n: u32) -> usize { n as usize % 4 }
pub fn both(a: u32, b: u32) -> u32 { a ^ b }
pub trait Made { fn made() -> Self; }
impl Made for u32 { fn made() -> u32 { 1 } }
impl Made for u8 { fn made() -> u8 { 1 } }
pub fn take(text: String) -> u32 { text.len() as u32 }
pub struct Pool;
impl Pool {
    pub fn spawn<T>(&self, f: impl FnOnce() -> T) -> T { f() }
    pub fn run(&self, f: Pin<Box<dyn Future<Output = u32> + Send>>) -> u32 { drop(f); 1 }
}
pub struct Exact;
impl Exact {
    pub fn spawn(&self, f: Pin<Box<dyn Future<Output = u32> + Send>>) -> u32 { drop(f); 1 }
}
pub struct Held { flag: u32, cell: UnsafeCell<u32>, inner: Inner }
pub struct Inner { atomic: AtomicU32, cell: UnsafeCell<u32> }
pub fn with(n: &mut u32, f: impl FnOnce(&mut u32) -> u32) -> u32 { f(n) }
pub fn behind(n: &u32, all: &mut Vec<u32>) -> u32 { *n ^ all.len() as u32 }
pub fn every(f: &Box<dyn Fn() -> u32>) -> u32 { f() }
#[derive(PartialEq)]
pub struct Sort<T>(u32, Option<T>);
impl<T: Copy> Sort<T> { const FIRST: Self = Self(0, None); }
pub struct Parted { one: u32, #[cfg(any())] two: Missing }
pub struct Nothing;
impl Nothing {
    pub fn spawn(&self, bundle: (u32, u32)) -> u32 { bundle.0 }
    pub fn copy_from(&mut self, other: &[u32], most: u8) -> u32 { other.len() as u32 + most as u32 }
    pub fn write_bytes(&mut self, text: &str, most: Option<u8>) -> u32 { text.len() as u32 }
}
pub fn boxed(n: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> { Box::pin(async move { n }) }
pub async fn later(n: u32) -> u32 { n }
pub fn drive<F: Future<Output = u32>>(f: F) -> u32 { drop(f); 1 }
pub struct Any;
impl Any { pub fn spawn<F: Future<Output = u32> + Send>(&self, f: F) -> u32 { drive(f) } }
pub fn pair(n: u32) -> (u32, u32) { (n, n) }
pub fn work(n: u32) -> impl FnOnce() -> u32 { move || n }
#[derive(Debug, PartialEq, PartialOrd)]
pub struct Num(u32);
impl Num { pub const ONE: Self = Self(1); }
impl std::ops::Add for Num { type Output = Self; fn add(self, other: Self) -> Self { Self(self.0 ^ other.0) } }
impl std::ops::Add<u32> for &Num { type Output = Num; fn add(self, other: u32) -> Num { Num(self.0 ^ other) } }
impl std::ops::AddAssign<u32> for Num { fn add_assign(&mut self, other: u32) { self.0 ^= other } }
impl std::ops::Neg for Num { type Output = Self; fn neg(self) -> Self { self } }
impl std::ops::Index<u32> for Num { type Output = u32; fn index(&self, _: u32) -> &u32 { &self.0 } }
impl std::fmt::Display for Num { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{}", self.0) } }
#[repr(packed)]
pub struct Packed { one: u8, two: u32 }
pub const PACKED: Packed = Packed { one: 1, two: 2 };
pub static TEXTS: [&str; 2] = ["a", "b"];
pub fn never() -> ! { panic!("never") }
"#;

/// Operators, indices, formats, conversions and coercions.
const OPERATED: &[&str] = &[
    "(Num(x) + Num(1)).0",
    "(&Num(x) + 2).0",
    "(-Num(x)).0",
    "(Num::ONE + Num::ONE).0",
    "(u32::MAX - x)",
    "(!x % 7 << 1)",
    "u32::from(Num(x) < Num(2))",
    "u32::from(!(Num(1) == Num(x)))",
    "u32::from((x, Num(x)) == (1, Num(2)))",
    "{ let n = Num(x); (&n + 1).0 ^ n[1] }",
    "{ let mut n = Num(x); n += 2; n.0 }",
    "{ let all = vec![Num(x), Num(1)]; let at = 1; (&all[all.len() - at] + 1).0 }",
    "{ let one: &'static u32 = &(1 + 2); *one }",
    "{ let one: &'static u32 = &(LIMIT * 2); *one }",
    "{ let one: &'static [u32] = &[LIMIT, 1 + 2]; one[0] }",
    "{ let one: &'static u8 = &PACKED.one; u32::from(*one) }",
    "(TEXTS[at(x) % 2].len() as u32 + TEXTS[1..].len() as u32)",
    "{ let one = Packed { one: 1, two: x }; (one.two + 1) ^ u32::from(one.one == 1) }",
    "{ let n = \"1\".parse().unwrap(); both(n, x) }",
    "{ let n = \"1\".parse().unwrap(); behind(&n, &mut vec![1]) }",
    "{ let n = Default::default(); both(x, n) }",
    "{ let n = Made::made(); both(x, n) }",
    "behind(&(x ^ r.wrapping_mul(x)), &mut vec![1])",
    "(x ^ r.wrapping_mul(x)).max(1)",
    "{ let n = Made::made(); Num(n).0 + x }",
    "behind(&\"1\".parse().unwrap(), &mut vec![1])",
    "(0..3).map(|n| n * 2 + x).sum::<u32>()",
    "{ let all: Vec<u32> = (0..3).map(|n| n * 2 + x).collect(); all[all.len() - 1] }",
    "{ let mut all = vec![1, x]; let at = all.len() - 1; all[at] += all[0]; all[at] }",
    "{ let mut all = vec![1u32]; all.push(all[0] + 1); all[all.len() - 1] }",
    "{ let mut all = [Num(1), Num(x)]; let n = all[0].0; all[1] += n; all[1].0 += all[0].0; all[1].0 }",
    "{ let parts = (String::new(), x); let text = parts.0; text.len() as u32 + parts.1 }",
    "{ let n = Num(x); let f = move || n.0 + 1; f() }",
    "{ let n = (Num(x), 2); let f = || n.1 + 1; let m = n.0; f() ^ m.0 }",
    "{ let n = (Num(x), 2); let f = move || n.1 + 1; f() ^ n.0.0 }",
    "(if x > 1 && let Some(n) = Some(Num(x)) && n.0 > 2 { n.0 + 1 } else { 1 })",
    "(match Some(Num(x)) { Some(n) if n.0 + 1 > 2 => n.0 * 2, Some(Num(n)) => -(n as i32) as u32, None => never() })",
    "(match x { 0 => panic!(\"{x}\"), n if n > 9 => never(), n => n + 1 })",
    "{ let other: &Pair = &HANDLE; other.a + HANDLE.b.len() as u32 }",
    "{ let f = |text: &str| -> Result<u32, String> { Ok(text.parse::<u32>().map_err(|e| e.to_string())? + 1) }; f(\"1\").unwrap_or(x) }",
    "{ let f = || Some(Some(x)? + 1); f().unwrap_or(1) }",
    "{ let f: Box<dyn Fn(u32) -> u32> = Box::new(move |n| n + x); f(1) }",
    "(format!(\"{} {x}\", Num(x)).len() as u32)",
    "{ let n = Num(x); format!(\"{n} {0} {m:>w$}\", n.0 + 1, m = 1, w = 3).len() as u32 }",
    "{ use std::fmt::Write as _; let mut text = String::new(); let _ = write!(text, \"{}{x}\", Num(x)); text.len() as u32 }",
    "{ assert!(x < 1 || Num(x) == Num(1), \"{x} {}\", Num(x)); x }",
    "{ assert!(Num(x) != Num(3) && !Vec::<u32>::new().is_empty()); x }",
    "{ assert_eq!(Num(x), Num(1), \"{}\", x + 1); x }",
    "{ debug_assert!(!(x == 1)); dbg!(Num(x)).0 }",
    "{ let text = &format_args!(\"{}\", x + 1).to_string(); text.len() as u32 }",
    "{ let zeros: [u32; 3] = [0; 1 + 2]; zeros[at(x) % 3] + zeros[0] }",
    "{ let one = &Some(Num(x)).unwrap().0; *one + 1 }",
    "{ let one = &vec![x; 2][1]; *one * 2 }",
];

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1u32".to_owned()),
        Just("x".to_owned()),
        Just("COUNTER".to_owned()),
        Just("LIMIT".to_owned()),
        Just("TABLE[2]".to_owned()),
        Just("PAIR.b[1]".to_owned()),
        Just("(*p).a".to_owned()),
        Just("(*(*p).next).b[x as usize % 4]".to_owned()),
        Just("*q".to_owned()),
        Just("HANDLE.a".to_owned()),
        Just("HANDLE.b[at(x)]".to_owned()),
        Just("GRID[x]".to_owned()),
        Just("LIST[at(x)]".to_owned()),
        Just("(*PAIR.next).b[at(x)]".to_owned()),
        Just("(*o.pair.get()).b[at(x)]".to_owned()),
        Just("(*o.pair.get()).a".to_owned()),
        Just("(&mut (*o.pair.get()).b[at(x)..])[0]".to_owned()),
        Just("((&(*p).b[at(x)..3]).len() as u32)".to_owned()),
        Just("*Box::new(x)".to_owned()),
        Just("{ let range = 1..3; TABLE[range][0] }".to_owned()),
        Just("{ let t = (*p).b; t[at(x)] }".to_owned()),
        Just("{ let b = Box::new(String::new()); take(*b) }".to_owned()),
        Just("{ let fut = later(x); Any.spawn(fut) }".to_owned()),
        Just("{ let fut = boxed(x); Exact.spawn(fut) }".to_owned()),
        Just("{ let fut = std::future::ready(x); Any.spawn(fut) }".to_owned()),
        Just("{ let fut = async move { LIMIT }; Any.spawn(fut) }".to_owned()),
        Just("{ let f = || 3u32; Pool.spawn(f) }".to_owned()),
        Just("{ let bundle = (x, 1).into(); Nothing.spawn(bundle) }".to_owned()),
        Just("*r".to_owned()),
        Just("behind(&LOCK.lock().unwrap(), &mut o.many.write().unwrap())".to_owned()),
        Just("behind(&(thread::spawn(move || Box::new(3)).join().unwrap()), &mut vec![x])".to_owned()),
        Just("every(&match x { 0 => Box::new(|| 1), _ => Box::new(|| 2) })".to_owned()),
        Just("{ let one: &u32 = &*o.cell.get().cast(); *one }".to_owned()),
        Just("{ let one = q.cast(); let other: &u32 = &*one; *other }".to_owned()),
        Just("{ let one: &mut [u32; 4] = &mut *(q as *mut _); one[0] }".to_owned()),
        Just("*o.cell.get()".to_owned()),
        Just("*addr_of!(COUNTER)".to_owned()),
        Just("*(&raw const TABLE).cast::<u32>()".to_owned()),
        Just("q.read()".to_owned()),
        Just("q.add(1).read()".to_owned()),
        Just("ptr::read(q)".to_owned()),
        Just("ptr::read_volatile(&raw const (*p).a)".to_owned()),
        Just("((*p).b.len() as u32)".to_owned()),
        Just("*(*p).b.get_unchecked(1)".to_owned()),
        Just("ATOMIC.load(Ordering::Acquire)".to_owned()),
        Just("ATOMIC.fetch_add(1, Ordering::Relaxed)".to_owned()),
        Just(
            "ATOMIC.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).unwrap_or(2)"
                .to_owned()
        ),
        Just("*LOCK.lock().unwrap()".to_owned()),
        Just("(o.many.read().unwrap().len() as u32)".to_owned()),
        Just("o.lock.try_lock().map_or(0, |guard| *guard)".to_owned()),
        Just("thread::spawn(move || LIMIT + 1).join().unwrap()".to_owned()),
        Just("thread::scope(|scope| scope.spawn(|| x + 1).join().unwrap())".to_owned()),
        Just("{ let (s, t) = mpsc::channel(); s.send(x).unwrap(); t.recv().unwrap() }".to_owned()),
        Just("take(o.text.clone())".to_owned()),
        Just("Pool.spawn(|| x + 1)".to_owned()),
        Just("Pool.spawn(work(x))".to_owned()),
        Just("Pool.run(boxed(x))".to_owned()),
        Just("Exact.spawn(boxed(x))".to_owned()),
        Just("Exact.spawn(Box::pin(later(x)))".to_owned()),
        Just("Exact.spawn(Box::pin(async move { LIMIT }))".to_owned()),
        Just("Nothing.spawn(pair(x))".to_owned()),
        Just("Nothing.spawn((x, 1).into())".to_owned()),
        Just("Nothing.copy_from(&[x], 3)".to_owned()),
        Just("Nothing.write_bytes(\"text\", None)".to_owned()),
        Just("Any.spawn(later(x))".to_owned()),
        Just("Any.spawn(std::future::ready(x))".to_owned()),
        Just("Any.spawn(boxed(x))".to_owned()),
        Just("Any.spawn(async move { x ^ later(x).await })".to_owned()),
        Just("((&raw const o.text).read().len() as u32)".to_owned()),
        Just("{ #[cfg(any())] { missing() } #[cfg(all())] both(x, take(o.text.clone())) }".to_owned()),
        Just("{ #[cfg(all())] { both(x, take(o.text.clone())) } #[cfg(any())] missing() }".to_owned()),
        Just("both(x, #[cfg(any())] missing.load(Ordering::Relaxed), #[cfg(all())] ATOMIC.load(Ordering::Relaxed))".to_owned()),
        Just("{ #[cfg(all())] let guard = LOCK.lock().unwrap(); #[cfg(any())] let other = missing.lock().unwrap(); #[cfg(any())] drop(other); *guard }".to_owned()),
    ];
    let operated = proptest::sample::select(OPERATED).prop_map(str::to_owned);
    let leaf = prop_oneof![1 => operated, 1 => leaf];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        let three = (inner.clone(), inner.clone(), inner.clone());
        prop_oneof![
            two.clone().prop_map(|(a, b)| format!("({a} ^ {b})")),
            two.clone().prop_map(|(a, b)| format!("both({a}, {b})")),
            two.clone()
                .prop_map(|(a, b)| format!("(Num({a}) + Num({b})).0")),
            two.clone()
                .prop_map(|(a, b)| format!("(format!(\"{{}} {{}}\", {a}, Num({b})).len() as u32)")),
            two.clone()
                .prop_map(|(a, b)| format!("(({a}) % 7 * (({b}) % 5))")),
            two.clone()
                .prop_map(|(a, b)| format!("u32::from({a} == {b})")),
            two.clone()
                .prop_map(|(a, b)| format!("TABLE[({a}) as usize % 4] ^ ({b})")),
            three
                .clone()
                .prop_map(|(a, b, c)| format!("(if {a} < {b} {{ {c} }} else {{ x }})")),
            two.clone()
                .prop_map(|(a, b)| format!("(match {a} {{ 0 => {b}, n if n > 3 => n, _ => 2 }})")),
            inner.clone().prop_map(|a| format!("(|| {a})()")),
            inner.clone().prop_map(|a| format!("loop {{ break {a}; }}")),
            two.clone().prop_map(|(a, b)| format!(
                "{{ let guard = LOCK.lock().unwrap(); *guard ^ {a} ^ {b} }}"
            )),
            two.prop_map(|(a, b)| format!("({a}, {b}).1")),
            inner.clone().prop_map(|a| format!("[{a}, 2][0]")),
            inner.clone().prop_map(|a| format!("*&{a}")),
            inner
                .clone()
                .prop_map(|a| format!("Some({a}).map(|n| n ^ x).unwrap()")),
            inner.prop_map(|a| format!("Box::new({a}).wrapping_add(1)")),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let e = expression;
    let flat = prop_oneof![
        e().prop_map(|a| format!("x = {a};")),
        e().prop_map(|a| format!("COUNTER = {a};")),
        e().prop_map(|a| format!("COUNTER += {a};")),
        e().prop_map(|a| format!("TABLE[({a}) as usize % 4] |= 1;")),
        e().prop_map(|a| format!("(*p).a = {a};")),
        e().prop_map(|a| format!("(*p).b[1] ^= {a};")),
        e().prop_map(|a| format!("*q = {a};")),
        e().prop_map(|a| format!("HANDLE.a = {a}; HANDLE.b[at({a})] += 1;")),
        e().prop_map(|a| format!("GRID[{a}] ^= 1; LIST[at({a})] = x;")),
        e().prop_map(|a| format!("(*o.pair.get()).b[at({a})] |= x; (*o.pair.get()).a = x;")),
        e().prop_map(|a| format!("let mut b = Box::new(({a}, String::new())); let c = *b; *b = (1, c.1);")),
        e().prop_map(|a| format!("if TABLE[at({a})..] == (*p).b[1..] {{ x ^= 1; }}")),
        e().prop_map(|a| format!("match (*p).b[at({a})] {{ 0 => x ^= 1, n => x ^= n }}")),
        e().prop_map(|a| format!("if let [1, ..] = TABLE {{ x ^= {a}; }}")),
        e().prop_map(|a| format!("*r ^= {a};")),
        e().prop_map(|a| format!("*o.cell.get() = {a};")),
        e().prop_map(|a| format!("*addr_of_mut!(COUNTER) ^= {a};")),
        e().prop_map(|a| format!("q.write({a});")),
        e().prop_map(|a| format!("ptr::write(&raw mut (*p).a, {a});")),
        e().prop_map(|a| format!("ptr::swap(q, &raw mut COUNTER); x ^= {a};")),
        e().prop_map(|a| format!("ptr::copy(q, q.add(1), ({a}) as usize);")),
        e().prop_map(|a| format!("ptr::copy_nonoverlapping(&({a}), q, 1);")),
        e().prop_map(|a| format!("ptr::copy::<u8>(q.cast(), (&raw mut (*p).b).cast(), ({a}) as usize);")),
        e().prop_map(|a| format!("ptr::write_bytes(q, 0, ({a}) as usize);")),
        e().prop_map(|a| format!("ptr::swap_nonoverlapping(q, &raw mut COUNTER, ({a}) as usize);")),
        e().prop_map(|a| format!("q.copy_to(&raw mut (*p).a, ({a}) as usize);")),
        e().prop_map(|a| format!("q.copy_from_nonoverlapping(q, ({a}) as usize);")),
        e().prop_map(|a| format!("(*p).b.as_mut_ptr().copy_from(q, ({a}) as usize);")),
        e().prop_map(|a| format!("q.write_bytes(1, ({a}) as usize);")),
        e().prop_map(|a| format!("ATOMIC.store({a}, Ordering::Release);")),
        e().prop_map(|a| format!("#[cfg(all())] ATOMIC.store({a}, Ordering::Release); #[cfg(any())] missing.store({a}, 1);")),
        e().prop_map(|a| format!("#[cfg(any())] let mut all = missing(); #[cfg(any())] all.push({a}); #[cfg(any())] for one in all.iter() {{ x ^= one; }}")),
        e().prop_map(|a| format!("#[rustfmt::skip] both(x, {a}); #[cfg(any())] missing.lock().unwrap().push({a});")),
        e().prop_map(|a| format!("let owned = later({a}); #[cfg(any())] drop(missing); #[cfg(all())] drop(owned); #[cfg(any())] if missing({a}) {{ x = 1; }}")),
        e().prop_map(|a| format!("let Parted {{ one, #[cfg(any())] two, .. }} = Parted {{ one: {a}, #[cfg(any())] two: missing() }}; x ^= one;")),
        e().prop_map(|a| format!("fence(Ordering::SeqCst); let y = {a}; x ^= y;")),
        e().prop_map(|a| format!("*LOCK.lock().unwrap() = {a};")),
        e().prop_map(|a| format!("let mut guard = o.many.write().unwrap(); guard.push({a}); drop(guard);")),
        e().prop_map(|a| format!("let one = &mut (*p).b; one[0] = {a};")),
        e().prop_map(|a| format!("let Some(y) = Some({a}) else {{ return 1; }}; x ^= y;")),
        e().prop_map(|a| format!("let f = |y: u32| y ^ {a}; x = f(x) ^ f(1);")),
        e().prop_map(|a| format!("assert_eq!({a}, {a});")),
        e().prop_map(|a| format!("let some = Some({a}); assert_eq!(some, None); assert_ne!(None, Some({a})); if some == None || Sort(x, some) != Sort::FIRST {{ x ^= 1; }}")),
        e().prop_map(|a| format!("println!(\"{{}} {{y}}\", {a}, y = x);")),
        e().prop_map(|a| format!("if x == 3 {{ return {a}; }}")),
        e().prop_map(|a| format!("let handle = thread::spawn(move || {{ let y = LIMIT; y }}); x = {a} ^ handle.join().unwrap();")),
    ];
    flat.prop_recursive(3, 12, 3, |inner| {
        let many = prop::collection::vec(inner, 1..3).prop_map(|all| all.join("\n        "));
        prop_oneof![
            (expression(), many.clone()).prop_map(|(a, s)| format!("if {a} > 1 {{ {s} }}")),
            (expression(), many.clone())
                .prop_map(|(a, s)| format!("while {a} > 1 {{ {s} break; }}")),
            many.clone()
                .prop_map(|s| format!("for i in 0..3 {{ x ^= i; {s} }}")),
            (expression(), many.clone())
                .prop_map(|(a, s)| format!("for y in vec![{a}] {{ x ^= y; {s} }}")),
            many.clone().prop_map(|s| format!("loop {{ {s} break; }}")),
            (expression(), many.clone())
                .prop_map(|(a, s)| format!("match {a} {{ 1 => {{ {s} }} _ => {{}} }}")),
            many.clone().prop_map(|s| format!("{{ {s} }}")),
            many.clone().prop_map(|s| {
                format!("{{ unsafe fn inner({ARGUMENTS}) -> u32 {{ unsafe {{ let mut x = 1u32; {s} x }} }} x ^= inner(p, q, r, o); }}")
            }),
            many.prop_map(|s| {
                format!(
                    "{{ struct Inner; impl Inner {{ const LIMIT: u32 = 2; unsafe fn f(&self, {ARGUMENTS}) -> u32 {{ \
                     static mut COUNTER: u32 = 0; unsafe {{ let mut x = Self::LIMIT; {s} x }} }} }} \
                     impl Drop for Inner {{ fn drop(&mut self) {{ unsafe {{ COUNTER += Self::LIMIT }} }} }} \
                     x ^= Inner.f(p, q, r, o); }}"
                )
            }),
        ]
    })
}

/// What the text of a function names.
const ARGUMENTS: &str = "p: *mut Pair, q: *mut u32, r: &mut u32, o: &Owned";

fn function() -> impl Strategy<Value = (Vec<String>, String, u8)> {
    (
        prop::collection::vec(statement(), 1..5),
        expression(),
        0u8..12,
    )
}

/// A library of so many functions, the same each time.
pub fn library(count: usize) -> String {
    let mut runner = TestRunner::deterministic();
    let mut text = PRELUDE.to_owned();
    for index in 0..count {
        let tree = function().new_tree(&mut runner).expect("a function");
        let (statements, result, shape) = tree.current();
        let body = format!(
            "    let mut x = 1u32;\n    {}\n    {result}\n",
            statements.join("\n    ")
        );
        let arguments = ARGUMENTS;
        text += &match shape {
            0 => format!(
                "#[ATTRIBUTE]\npub fn f{index}({arguments}) -> u32 {{ unsafe {{\n{body}}} }}\n"
            ),
            1 => format!(
                "#[ATTRIBUTE]\npub unsafe fn f{index}({arguments}) -> u32 {{ unsafe {{\n{body}}} }}\n"
            ),
            2 => format!(
                "#[ATTRIBUTE]\npub async unsafe fn f{index}({arguments}) -> u32 {{ unsafe {{\n{body}}} }}\n"
            ),
            4 => format!(
                "pub trait T{index} {{ fn f({arguments}) -> u32; }}\n\
                 pub struct I{index};\n#[ATTRIBUTE]\nimpl T{index} for I{index} {{ fn f({arguments}) -> u32 {{ unsafe {{\n{body}}} }} }}\n"
            ),
            5 => format!(
                "#[ATTRIBUTE]\npub trait D{index} {{ const N: u32 = 1; fn f(&self, {arguments}) -> u32 {{ unsafe {{\n{body}}} }} }}\n"
            ),
            6 => format!(
                "pub struct A{index}<'a, T>(&'a T);\n#[ATTRIBUTE]\nimpl<'a, T: Clone + 'a> A{index}<'a, T> {{\
                 pub const fn n() -> u32 {{ 1 }}\n\
                 pub async fn f(&self, {arguments}) -> u32 {{ unsafe {{\n{body}}} }} }}\n"
            ),
            7 => format!(
                "#[ATTRIBUTE]\npub unsafe extern \"C\" fn f{index}({arguments}) -> u32 {{ unsafe {{\n{body}}} }}\n"
            ),
            8 => format!(
                "#[ATTRIBUTE]\npub fn f{index}<'x, F: FnMut(u32) -> u32>(mut each: F, {arguments}) -> impl Iterator<Item = u32> + use<'x, F> {{ \
                 let mut inner = move || -> u32 {{ unsafe {{\n{body}}} }}; let n = inner(); each(n); std::iter::once(n) }}\n"
            ),
            9 => format!(
                "#[ATTRIBUTE]\npub mod n{index} {{ use super::*;\npub static mut MINE: u32 = 0;\npub struct Kept {{ pub a: u32 }}\n\
                 impl Drop for Kept {{ fn drop(&mut self) {{ unsafe {{ MINE += self.a }} }} }}\n\
                 pub fn f({arguments}) -> u32 {{ unsafe {{ let kept = Kept {{ a: MINE }};\n{body}}} }} }}\n"
            ),
            10 => format!(
                "#[ATTRIBUTE]\nimpl Held {{ pub fn f{index}(&mut self, {arguments}) -> u32 {{ \
                 with(&mut self.flag, |x| unsafe {{ let mut x = *x ^ *self.cell.get() ^ self.inner.atomic.load(Ordering::Acquire) ^ (*self.inner.cell.get());\n{}}}) }} }}\n",
                body.replacen("let mut x = 1u32;", "", 1)
            ),
            3 => format!(
                "pub struct S{index};\n#[ATTRIBUTE]\nimpl S{index} {{ pub fn f(&self, {arguments}) -> u32 {{ unsafe {{\n{body}}} }} }}\n"
            ),
            _ => format!(
                "#[ATTRIBUTE]\npub mod m{index} {{ use super::*;\npub fn f<T: Copy>(t: T, {arguments}) -> u32 {{ unsafe {{\n{body}}} }} }}\n"
            ),
        };
    }
    text
}
