//! The static and thread-local variables of a module, from its symbol table.
//! A thread-local has no fixed address, but its first value has.
//!
//! What it misses: statics that the linker merged or the compiler made without
//! a symbol (promoted constants) have no name.

use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind};

use super::Variable;
use super::function::FunctionName;
use super::module::with_object;

/// Statics by address.
#[derive(Debug, Default)]
pub struct StaticTable {
    /// Invariant: sorted by address.
    entries: Vec<Entry>,
    /// Thread-locals, at the addresses of their first values.
    /// Invariant: sorted by address.
    locals: Vec<Entry>,
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
            let of_kind = |kind: SymbolKind, base: u64| {
                object
                    .symbols()
                    .chain(object.dynamic_symbols())
                    .filter(|symbol| symbol.kind() == kind && symbol.size() > 0)
                    .filter_map(|symbol| {
                        Some(Entry {
                            address: base + symbol.address(),
                            size: symbol.size(),
                            symbol: symbol.name().ok()?.to_owned(),
                        })
                    })
                    .collect()
            };
            // The symbol of a thread-local says where it is among these.
            let first_values = object
                .sections()
                .filter(|section| is_thread_local(section.flags()))
                .map(|section| section.address())
                .min()
                .unwrap_or(0);
            Some(Self::new(
                of_kind(SymbolKind::Data, 0),
                of_kind(SymbolKind::Tls, first_values),
            ))
        })
    }

    fn new(mut entries: Vec<Entry>, mut locals: Vec<Entry>) -> Self {
        for table in [&mut entries, &mut locals] {
            table.sort_by(|a, b| (a.address, &a.symbol).cmp(&(b.address, &b.symbol)));
        }
        Self { entries, locals }
    }

    /// The thread-local whose first value covers an address.
    pub fn find_thread_local(&self, address: u64) -> Option<String> {
        let after = self
            .locals
            .partition_point(|entry| entry.address <= address);
        let entry = self.locals[..after].last()?;
        if address - entry.address >= entry.size {
            return None;
        }
        let path = variable_name(&entry.symbol)?;
        // `thread_local!` keeps the value in a static of a closure of a
        // constant.
        let name = path.split("::{").next().unwrap_or(&path);
        Some(name.to_owned())
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

/// True for `.tdata` and `.tbss`.
fn is_thread_local(flags: SectionFlags) -> bool {
    matches!(flags, SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(object::elf::SHF_TLS))
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

    fn entries(entries: &[(u64, u64, &str)]) -> Vec<Entry> {
        let entry = |&(address, size, symbol): &(u64, u64, &str)| Entry {
            address,
            size,
            symbol: symbol.to_owned(),
        };
        entries.iter().map(entry).collect()
    }

    fn table(all: &[(u64, u64, &str)]) -> StaticTable {
        StaticTable::new(entries(all), Vec::new())
    }

    #[test]
    fn a_thread_local_is_called_as_it_was_declared() {
        let value = concat!(
            "_ZN4bank5LOCAL29_$u7b$$u7b$constant$u7d$$u7d$28_$u7b$$u7b$closure$u7d$$u7d$",
            "23__RUST_STD_INTERNAL_VAL17h0123456789abcdefE"
        );
        let table = StaticTable::new(Vec::new(), entries(&[(0x48, 8, value), (0x50, 4, "plain")]));
        let name = |address| table.find_thread_local(address);
        assert_eq!(name(0x4f), Some("bank::LOCAL".to_owned()));
        assert_eq!(name(0x53), Some("plain".to_owned()));
        assert_eq!((name(0x47), name(0x54)), (None, None));
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
