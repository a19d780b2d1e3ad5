//! Names with their types, from the DWARF entries themselves.
//!
//! The line-table reader knows functions by their symbol, which in rustc's
//! legacy scheme has no type arguments, and knows nothing of variables. Here
//! the entries are walked for the two questions that need more: as which
//! instance was a function called (`new<bank::Slot>`), and of which type is a
//! static. The sections are read when the first question comes; only the unit
//! that covers the address is walked.
//!
//! What it misses: split DWARF (`-Csplit-debuginfo=unpacked`) is not followed,
//! and a build with line tables only has no types of statics.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use gimli::{
    AttributeValue, DebugInfoOffset, DebuggingInformationEntry, EndianArcSlice, EvaluationResult,
    LittleEndian, Reader, Unit, UnitOffset,
};

use super::function::short_type;
use super::module::{section_bytes, with_object};

type Bytes = EndianArcSlice<LittleEndian>;
type Entry = DebuggingInformationEntry<Bytes>;

/// A unit, and an entry in it.
type StaticEntry = (DebugInfoOffset<usize>, UnitOffset<usize>);

/// The DWARF sections of a file.
pub struct TypedDwarf {
    dwarf: gimli::Dwarf<Bytes>,
    /// Read when the first static is asked for.
    statics: Option<HashMap<u64, StaticEntry>>,
    /// Code ranges and the unit that has them. Invariant: sorted by start.
    ranges: Vec<(u64, u64, DebugInfoOffset<usize>)>,
}

impl TypedDwarf {
    /// Reads the sections; none if there is no debug information.
    pub fn load(path: &Path) -> Option<Self> {
        let dwarf = with_object(path, |object| {
            gimli::Dwarf::load(|id| {
                let bytes: Arc<[u8]> = section_bytes(object, id.name());
                Ok::<_, gimli::Error>(EndianArcSlice::new(bytes, LittleEndian))
            })
            .ok()
        })?;
        let mut ranges = Vec::new();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let Some(offset) = header.debug_info_offset() else {
                continue;
            };
            let Ok(unit) = dwarf.unit(header) else {
                continue;
            };
            let Ok(mut covered) = dwarf.unit_ranges(&unit) else {
                continue;
            };
            while let Ok(Some(range)) = covered.next() {
                ranges.push((range.begin, range.end, offset));
            }
        }
        ranges.sort_unstable_by_key(|range| range.0);
        Some(Self {
            dwarf,
            statics: None,
            ranges,
        })
    }

    fn unit_at(&self, offset: DebugInfoOffset<usize>) -> Option<Unit<Bytes>> {
        self.dwarf.unit(self.dwarf.unit_header(offset).ok()?).ok()
    }

    /// The functions at a code address by their `DW_AT_name`, innermost first.
    pub fn names_at(&self, address: u64) -> Vec<String> {
        self.walk_functions(address).unwrap_or_default()
    }

    fn walk_functions(&self, address: u64) -> Option<Vec<String>> {
        let after = self.ranges.partition_point(|range| range.0 <= address);
        let (_, end, offset) = *self.ranges[..after].last()?;
        if address >= end {
            return None;
        }
        let unit = self.unit_at(offset)?;
        let mut names = Vec::new();
        let mut entries = unit.entries();
        // Depth of the innermost function that covers the address.
        let mut inside: Option<isize> = None;
        while let Some(entry) = entries.next_dfs().ok()? {
            let depth = entry.depth();
            if inside.is_some_and(|function| depth <= function) {
                break;
            }
            let is_function = matches!(
                entry.tag(),
                gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine
            );
            if is_function && self.covers(&unit, entry, address) {
                inside = Some(depth);
                names.push(self.name_of(&unit, entry).unwrap_or_default());
            }
        }
        // Outer functions come first in the tree.
        names.reverse();
        Some(names)
    }

    fn covers(&self, unit: &Unit<Bytes>, entry: &Entry, address: u64) -> bool {
        let Ok(mut ranges) = self.dwarf.die_ranges(unit, entry) else {
            return false;
        };
        while let Ok(Some(range)) = ranges.next() {
            if (range.begin..range.end).contains(&address) {
                return true;
            }
        }
        false
    }

    /// `DW_AT_name`, through abstract origins and specifications.
    fn name_of(&self, unit: &Unit<Bytes>, entry: &Entry) -> Option<String> {
        if let Some(name) = entry.attr_value(gimli::DW_AT_name) {
            let text = self.dwarf.attr_string(unit, name).ok()?;
            return text
                .to_string_lossy()
                .ok()
                .map(std::borrow::Cow::into_owned);
        }
        for link in [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification] {
            if let Some(target) = entry.attr_value(link)
                && let Some(name) = self.name_at(unit, &target)
            {
                return Some(name);
            }
        }
        None
    }

    /// The name of the entry that a reference points to.
    fn name_at(&self, unit: &Unit<Bytes>, target: &AttributeValue<Bytes>) -> Option<String> {
        match target {
            AttributeValue::UnitRef(offset) => self.name_of(unit, &unit.entry(*offset).ok()?),
            AttributeValue::DebugInfoRef(offset) => {
                let other = self.unit_with(*offset)?;
                let inner = offset.to_unit_offset(&other.header)?;
                self.name_of(&other, &other.entry(inner).ok()?)
            }
            _ => None,
        }
    }

    /// The unit that has an entry of another unit.
    fn unit_with(&self, offset: DebugInfoOffset<usize>) -> Option<Unit<Bytes>> {
        let mut headers = self.dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            if offset.to_unit_offset(&header).is_some() {
                return self.dwarf.unit(header).ok();
            }
        }
        None
    }

    /// The type of the static at exactly this address.
    pub fn static_type(&mut self, address: u64) -> Option<String> {
        if self.statics.is_none() {
            self.statics = Some(self.read_statics());
        }
        let (unit, entry) = *self.statics.as_ref()?.get(&address)?;
        let unit = self.unit_at(unit)?;
        let entry = unit.entry(entry).ok()?;
        // The declaration has the type if the definition has not.
        let ty = entry.attr_value(gimli::DW_AT_type).or_else(|| {
            match entry.attr_value(gimli::DW_AT_specification)? {
                AttributeValue::UnitRef(offset) => {
                    unit.entry(offset).ok()?.attr_value(gimli::DW_AT_type)
                }
                _ => None,
            }
        })?;
        self.type_name(&unit, &ty)
    }

    /// Where each static is described, by its address.
    fn read_statics(&self) -> HashMap<u64, StaticEntry> {
        let mut statics = HashMap::new();
        let mut headers = self.dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            let Some(offset) = header.debug_info_offset() else {
                continue;
            };
            let Ok(unit) = self.dwarf.unit(header) else {
                continue;
            };
            // Units of the standard library: paths of its own build.
            let name = unit
                .name
                .as_ref()
                .and_then(|name| name.to_string_lossy().ok());
            if !name.is_some_and(|name| name.starts_with("library/")) {
                add_statics(&unit, offset, &mut statics);
            }
        }
        statics
    }

    fn type_name(&self, unit: &Unit<Bytes>, ty: &AttributeValue<Bytes>) -> Option<String> {
        if let Some(name) = self.name_at(unit, ty) {
            return Some(short_type(&name));
        }
        // An array has no name of its own.
        let AttributeValue::UnitRef(offset) = ty else {
            return None;
        };
        self.array_name(unit, *offset)
    }

    fn array_name(&self, unit: &Unit<Bytes>, offset: UnitOffset<usize>) -> Option<String> {
        let array = unit.entry(offset).ok()?;
        if array.tag() != gimli::DW_TAG_array_type {
            return None;
        }
        let element = self.type_name(unit, &array.attr_value(gimli::DW_AT_type)?)?;
        let mut tree = unit.entries_tree(Some(offset)).ok()?;
        let mut children = tree.root().ok()?.children();
        while let Ok(Some(child)) = children.next() {
            if child.entry().tag() == gimli::DW_TAG_subrange_type
                && let Some(count) = child.entry().attr_value(gimli::DW_AT_count)
            {
                return Some(format!("[{element}; {}]", count.udata_value()?));
            }
        }
        Some(format!("[{element}]"))
    }
}

/// The statics of a unit; a broken entry ends them.
fn add_statics(
    unit: &Unit<Bytes>,
    of: DebugInfoOffset<usize>,
    statics: &mut HashMap<u64, StaticEntry>,
) {
    let mut entries = unit.entries();
    while let Ok(Some(entry)) = entries.next_dfs() {
        if entry.tag() == gimli::DW_TAG_variable
            && let Some(AttributeValue::Exprloc(expression)) =
                entry.attr_value(gimli::DW_AT_location)
            && let Ok(EvaluationResult::RequiresRelocatedAddress(address)) =
                expression.evaluation(unit.encoding()).evaluate()
        {
            statics.insert(address, (of, entry.offset()));
        }
    }
}
