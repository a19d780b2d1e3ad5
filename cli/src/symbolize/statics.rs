//! The static variables of a module, from its symbol table.
//!
//! What it misses: statics that the linker merged or the compiler made without
//! a symbol (promoted constants) have no name; thread-locals have no fixed
//! address and are not in here.

use std::path::Path;

use object::{Object, ObjectSymbol, SymbolKind};

use super::Variable;
use super::function::FunctionName;
use super::module::with_object;

/// Statics by address.
#[derive(Debug, Default)]
pub struct StaticTable {
    /// Invariant: sorted by address.
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    address: u64,
    size: u64,
    symbol: String,
}

impl StaticTable {
    /// Reads the symbol table of a file.
    pub fn read(path: &Path) -> Option<Self> {
        with_object(path, |object| {
            let entries = object
                .symbols()
                .chain(object.dynamic_symbols())
                .filter(|symbol| symbol.kind() == SymbolKind::Data && symbol.size() > 0)
                .filter_map(|symbol| {
                    Some(Entry {
                        address: symbol.address(),
                        size: symbol.size(),
                        symbol: symbol.name().ok()?.to_owned(),
                    })
                })
                .collect();
            Some(Self::new(entries))
        })
    }

    fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| (a.address, &a.symbol).cmp(&(b.address, &b.symbol)));
        Self { entries }
    }

    /// The variable that covers an address, without its type.
    pub fn find(&self, address: u64) -> Option<Variable> {
        let after = self
            .entries
            .partition_point(|entry| entry.address <= address);
        let last = self.entries[..after].last()?.address;
        // Aliases share an address: the widest one tells most.
        let entry = self.entries[..after]
            .iter()
            .rev()
            .take_while(|entry| entry.address == last)
            .filter(|entry| address - entry.address < entry.size)
            .max_by_key(|entry| entry.size)?;
        Some(Variable {
            name: variable_name(&entry.symbol)?,
            ty: None,
            address: entry.address,
            size: entry.size,
        })
    }
}

/// The path of a static; none for what the compiler made up.
fn variable_name(symbol: &str) -> Option<String> {
    if symbol.starts_with(".L") || symbol.starts_with("anon.") || symbol.contains("alloc_") {
        return None;
    }
    let path = FunctionName::from_symbol(symbol).path().to_owned();
    // The optimiser keeps a part of a static as `NAME.0`.
    match path.rsplit_once('.') {
        Some((name, part)) if part.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(name.to_owned())
        }
        Some(_) | None => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(u64, u64, &str)]) -> StaticTable {
        StaticTable::new(
            entries
                .iter()
                .map(|&(address, size, symbol)| Entry {
                    address,
                    size,
                    symbol: symbol.to_owned(),
                })
                .collect(),
        )
    }

    #[test]
    fn finds_the_covering_variable_only() {
        let table = table(&[
            (0x20, 8, "_ZN4bank5TOTAL17h0123456789abcdefE"),
            (0x10, 4, "counter"),
        ]);
        assert_eq!(table.find(0x13).map(|v| v.name), Some("counter".to_owned()));
        assert_eq!(table.find(0x14), None);
        assert_eq!(
            table.find(0x27).map(|v| v.name),
            Some("bank::TOTAL".to_owned())
        );
        assert_eq!(table.find(0x28), None);
        assert_eq!(table.find(0), None);
    }

    #[test]
    fn the_widest_alias_wins() {
        let table = table(&[(0x10, 4, "a"), (0x10, 16, "b"), (0x10, 8, "c")]);
        assert_eq!(table.find(0x1a).map(|v| v.name), Some("b".to_owned()));
    }

    #[test]
    fn a_part_of_a_static_is_called_like_the_whole() {
        let table = table(&[(0x10, 4, "_ZN4bank5TOTAL17h0123456789abcdefE.0")]);
        assert_eq!(
            table.find(0x10).map(|v| v.name),
            Some("bank::TOTAL".to_owned())
        );
    }

    #[test]
    fn made_up_symbols_have_no_name() {
        let table = table(&[(0x10, 4, "anon.01234.5"), (0x20, 4, ".Lanon.1")]);
        assert_eq!(table.find(0x10), None);
        assert_eq!(table.find(0x20), None);
    }
}
