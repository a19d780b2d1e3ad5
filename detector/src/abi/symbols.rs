//! Names of functions of the executable, for verdicts that depend on whose
//! code waits: a futex is a mutex only where std's own mutex waits on it. And where
//! its static variables lie.
//!
//! Read from the symbol table of the executable, on first use, which is in the
//! cold half of a suspicion. What it misses: inlined functions, and those of
//! shared libraries; a wait that they hide counts as one of unknown use.

use std::ops::Range;
use std::sync::OnceLock;

use object::read::elf::ElfFile64;
use object::{Object, ObjectSymbol};

use crate::rt::sys;

/// A function's addresses, as loaded, and its mangled name.
struct Function {
    start: u64,
    end: u64,
    name: &'static str,
}

/// The static variables, in order.
static VARIABLES: OnceLock<Vec<Range<usize>>> = OnceLock::new();
static FUNCTIONS: OnceLock<Vec<Function>> = OnceLock::new();

/// The mangled name of the executable's function that holds `pc`.
pub fn name_of(pc: u64) -> Option<&'static str> {
    let functions = FUNCTIONS.get_or_init(|| read().unwrap_or_default());
    let at = functions
        .partition_point(|function| function.start <= pc)
        .checked_sub(1)?;
    let function = &functions[at];
    (pc < function.end).then_some(function.name)
}

/// The static variable of the executable that has this address.
pub fn variable_at(addr: usize) -> Option<Range<usize>> {
    let variables = VARIABLES.get_or_init(|| read_variables().unwrap_or_default());
    let at = variables
        .partition_point(|variable| variable.start <= addr)
        .checked_sub(1)?;
    let variable = &variables[at];
    variable.contains(&addr).then(|| variable.clone())
}

fn read_variables() -> Option<Vec<Range<usize>>> {
    let file = map_executable()?;
    let elf: ElfFile64<'static> = ElfFile64::parse(file).ok()?;
    let bias = load_bias();
    let mut variables: Vec<Range<usize>> = elf
        .symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Data && symbol.size() > 0)
        .map(|symbol| {
            let start = (bias + symbol.address()) as usize;
            start..start + symbol.size() as usize
        })
        .collect();
    variables.sort_by_key(|variable| variable.start);
    Some(variables)
}

fn read() -> Option<Vec<Function>> {
    let file = map_executable()?;
    let elf: ElfFile64<'static> = ElfFile64::parse(file).ok()?;
    let bias = load_bias();
    let mut functions: Vec<Function> = elf
        .symbols()
        .filter(|symbol| symbol.kind() == object::SymbolKind::Text && symbol.size() > 0)
        .filter_map(|symbol| {
            let start = bias + symbol.address();
            let name = symbol.name().ok()?;
            Some(Function {
                start,
                end: start + symbol.size(),
                name,
            })
        })
        .collect();
    functions.sort_by_key(|function| function.start);
    Some(functions)
}

/// The executable's file, mapped for good.
fn map_executable() -> Option<&'static [u8]> {
    let fd = sys::open(c"/proc/self/exe", 0)?;
    // SAFETY: a file offset of an own descriptor.
    let size = unsafe { sys::call(libc::SYS_lseek, [fd, 0, libc::SEEK_END as usize, 0, 0, 0]) };
    let size = usize::try_from(size).ok()?;
    // SAFETY: a fresh private mapping.
    let at = unsafe {
        sys::call(
            libc::SYS_mmap,
            [
                0,
                size,
                libc::PROT_READ as usize,
                libc::MAP_PRIVATE as usize,
                fd,
                0,
            ],
        )
    };
    // SAFETY: the descriptor was opened here.
    unsafe { sys::call(libc::SYS_close, [fd, 0, 0, 0, 0, 0]) };
    let at = usize::try_from(at).ok()?;
    // SAFETY: mapped for good, private, `size` bytes; the kernel refuses to
    // write to a running executable.
    Some(unsafe { std::slice::from_raw_parts(at as *const u8, size) })
}

/// Load address − address in the file, of the executable.
fn load_bias() -> u64 {
    unsafe extern "C" fn first(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        bias: *mut libc::c_void,
    ) -> i32 {
        // SAFETY: the loader passes a valid record, and the data is the number
        // that `load_bias` passed.
        unsafe { *bias.cast::<u64>() = (*info).dlpi_addr };
        1
    }
    let mut bias = 0u64;
    // SAFETY: the callback gets the number it expects; the executable is the
    // first module.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut bias).cast()) };
    bias
}
