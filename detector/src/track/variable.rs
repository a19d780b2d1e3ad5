//! Static variables that carry the attribute: known by their address, from
//! before `main` on where the system allows that.

use std::sync::Mutex;

use super::hooks;
use super::sharded::lock;
use super::site::Item;

/// A static variable.
#[derive(Debug)]
pub struct Variable {
    /// Its path.
    pub path: &'static str,
    /// What its arguments say.
    pub item: &'static Item,
    /// Its first byte, and how many.
    range: fn() -> (usize, usize),
}

static VARIABLES: Mutex<Vec<&'static Variable>> = Mutex::new(Vec::new());

impl Variable {
    /// A variable.
    pub const fn new(
        path: &'static str,
        item: &'static Item,
        range: fn() -> (usize, usize),
    ) -> Self {
        Self { path, item, range }
    }

    /// It is there.
    pub fn register(&'static self) {
        lock(&VARIABLES).push(self);
        if let Some(name) = self.item.name {
            hooks::tell_variable(name, (self.range)());
        }
    }
}

/// Address and size of a variable.
pub fn range<T>(at: *const T) -> (usize, usize) {
    (at.addr(), size_of::<T>())
}

/// The variable at this address.
pub fn at(addr: usize) -> Option<&'static Variable> {
    let variables = lock(&VARIABLES);
    let found = variables.iter().find(|variable| {
        let (first, size) = (variable.range)();
        (first..first.saturating_add(size)).contains(&addr)
    });
    found.copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    static BYTES: [u8; 3] = [1, 2, 3];
    static OF_BYTES: Variable =
        Variable::new("tests::BYTES", &Item::PLAIN, || range(&raw const BYTES));

    #[test]
    fn a_variable_is_found_by_each_of_its_bytes() {
        OF_BYTES.register();
        let first = (&raw const BYTES).addr();
        let name = |addr| at(addr).map(|variable| variable.path);
        assert_eq!(name(first), Some("tests::BYTES"));
        assert_eq!(name(first + 2), Some("tests::BYTES"));
        assert_eq!(name(first + 3), None);
    }
}
