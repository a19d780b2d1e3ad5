//! What the embedded object is made of.

use std::collections::BTreeSet;

use object::elf::RelocationType;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags};

use super::*;

/// Relocations of thread-local accesses that are more than one `%fs` operand:
/// general and local dynamic, descriptors, initial exec.
const SLOW_TLS: &[(RelocationType, &str)] = &[
    (object::elf::R_X86_64_TLSGD, "general dynamic"),
    (object::elf::R_X86_64_TLSLD, "local dynamic"),
    (object::elf::R_X86_64_GOTPC32_TLSDESC, "descriptor"),
    (object::elf::R_X86_64_GOTTPOFF, "initial exec"),
];

fn parsed() -> object::File<'static> {
    object::File::parse(OBJECT).unwrap()
}

#[test]
fn the_object_is_written_once_under_its_hash() {
    let directory = tempfile::TempDir::new().unwrap();
    let cache = Cache::at(directory.path().to_owned());
    let path = ensure(&cache).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), OBJECT);
    assert_eq!(path.file_stem().unwrap(), HASH);
    let written = path.metadata().unwrap().modified().unwrap();
    assert_eq!(ensure(&cache).unwrap(), path);
    assert_eq!(path.metadata().unwrap().modified().unwrap(), written);
}

#[test]
fn what_is_looked_for_is_one_byte_of_the_object() {
    let directory = tempfile::TempDir::new().unwrap();
    let cache = Cache::at(directory.path().to_owned());
    let other = std::fs::read(ensure_without_races(&cache).unwrap()).unwrap();
    assert_eq!(other.len(), OBJECT.len());
    let differ = OBJECT.iter().zip(&other).filter(|(a, b)| a != b);
    assert_eq!(differ.collect::<Vec<_>>(), [(&RACES_MARK[23], &NO_RACES)]);
    assert!(without_races(&other).is_none());
}

#[test]
fn only_exported_names_are_global() {
    let exports = include_str!("../../../detector/exports.txt");
    let mut exact = BTreeSet::new();
    let mut prefixes = Vec::new();
    for line in exports.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
        let Some(name) = words.last() else { continue };
        match name.strip_suffix('*') {
            Some(prefix) => prefixes.push(prefix),
            None => drop(exact.insert(*name)),
        }
    }
    for symbol in parsed().symbols() {
        if symbol.is_global() && symbol.is_definition() {
            let name = symbol.name().unwrap();
            assert!(
                exact.contains(name) || prefixes.iter().any(|prefix| name.starts_with(prefix)),
                "{name} is global"
            );
        }
    }
}

#[test]
fn nothing_of_rust_is_left_undefined() {
    for symbol in parsed().symbols() {
        if symbol.is_undefined() {
            let name = symbol.name().unwrap();
            let mangled = name.starts_with("_R") || name.starts_with("_ZN");
            assert!(!mangled && !name.starts_with("__lc_"), "{name}");
        }
    }
}

#[test]
fn thread_locals_of_the_runtime_are_local_exec() {
    let file = parsed();
    for section in file.sections() {
        // Code that only std's own thread-locals need may be older than the
        // relocation model; the hooks' may not.
        let name = section.name().unwrap();
        if !name.starts_with(".text.__tsan_") {
            continue;
        }
        for (_, relocation) in section.relocations() {
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                continue;
            };
            for (slow, model) in SLOW_TLS {
                assert_ne!(r_type, *slow, "{model} access in {name}");
            }
        }
    }
}
