//! The symbols of real modules: this test binary itself, and a program that
//! is compiled with full debug information.

use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object as _, ObjectSymbol as _};

use leakcheck_cli::symbolize::{FileSymbols, Symbols};

static MARKED: [u64; 5] = [1, 2, 3, 4, 5];

/// The load bias and path of this binary, from the kernel's list of mappings.
fn own_module() -> (u64, PathBuf) {
    let exe = std::env::current_exe().expect("the binary has a path");
    let maps = std::fs::read_to_string("/proc/self/maps").expect("the kernel tells mappings");
    let line = maps
        .lines()
        .find(|line| line.ends_with(&*exe.to_string_lossy()))
        .expect("the binary is mapped");
    let start = line.split('-').next().expect("a mapping has a start");
    // The first segment of a position-independent binary has address 0.
    (
        u64::from_str_radix(start, 16).expect("an address is hexadecimal"),
        exe,
    )
}

#[inline(never)]
fn marked_function() -> u64 {
    std::hint::black_box(MARKED[2])
}

#[test]
fn a_function_is_found_with_its_file_and_line() {
    let (bias, exe) = own_module();
    let pc = marked_function as *const () as usize as u64 - bias;
    let frames = FileSymbols::default().frames(&exe, pc);
    let frame = frames.last().expect("the function has a frame");
    assert_eq!(frame.function.path(), "report::symbols::marked_function");
    assert!(
        frame
            .file
            .as_ref()
            .is_some_and(|file| file.ends_with("tests/report/symbols.rs"))
    );
    let source = std::fs::read_to_string(frame.file.as_ref().expect("it has a file"))
        .expect("the source is there");
    let line = source
        .lines()
        .nth(frame.line as usize - 1)
        .expect("the line is there");
    assert_eq!(line, "fn marked_function() -> u64 {");
}

#[test]
fn a_static_is_found_by_any_address_in_it() {
    let (bias, exe) = own_module();
    assert_eq!(marked_function(), 3);
    let address = &raw const MARKED[1] as usize as u64 - bias;
    let variable = FileSymbols::default()
        .variable(&exe, address)
        .expect("it has a symbol");
    assert_eq!(variable.name, "report::symbols::MARKED");
    assert_eq!(variable.size, 40);
    assert_eq!(variable.address + 8, address);
}

/// A program with debug information of level 2, as `cargo test` makes it.
const TYPED: &str = "
    pub struct Slot { value: u32 }
    static mut PAIR: (Slot, [u16; 3]) = (Slot { value: 1 }, [1, 2, 3]);
    static TABLE: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());
    static ROW: [u32; 7] = [1, 2, 3, 4, 5, 6, 7];
    #[inline(never)]
    fn make<T>(value: T) -> Box<T> { Box::new(value) }
    mod inside {
        #[inline(always)]
        pub fn inner(row: usize) -> u32 { super::ROW[row].wrapping_mul(3) }
        #[inline(never)]
        pub fn outer(row: usize) -> u32 { inner(row) + 1 }
    }
    fn main() {
        let slot = make(Slot { value: inside::outer(std::env::args().count()) });
        unsafe { PAIR.0.value = slot.value; }
        TABLE.lock().unwrap().push(1);
    }
";

/// Compiles [`TYPED`] in `dir` with these options.
fn typed_program(dir: &Path, options: &[&str]) -> PathBuf {
    let source = dir.join("typed.rs");
    std::fs::write(&source, TYPED).expect("the source is written");
    let program = dir.join("typed");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .args(["--edition=2024", "--crate-name=typed", "-o"])
        .arg(&program)
        .args(options)
        .arg(&source)
        .status()
        .expect("rustc is there, as it compiled this test");
    assert!(status.success());
    program
}

/// The address of the symbol whose name has this in it.
fn address(program: &Path, part: &str) -> u64 {
    let bytes = std::fs::read(program).expect("the program is there");
    let object = object::File::parse(&*bytes).expect("the program is an object");
    object
        .symbols()
        .find(|symbol| symbol.name().is_ok_and(|name| name.contains(part)))
        .map(|symbol| symbol.address())
        .expect("the program has the symbol")
}

#[test]
fn debug_information_gives_the_types() {
    let dir = tempfile::tempdir().expect("a directory for the program");
    let program = typed_program(dir.path(), &["-Cdebuginfo=2"]);
    let mut symbols = FileSymbols::default();
    let mut ty = |part: &str| {
        let variable = symbols.variable(&program, address(&program, part));
        variable.and_then(|variable| variable.ty)
    };
    assert_eq!(ty("typed4PAIR").as_deref(), Some("(Slot, [u16; 3])"));
    assert_eq!(ty("typed5TABLE").as_deref(), Some("Mutex<Vec<u8>>"));
    assert_eq!(ty("typed3ROW").as_deref(), Some("[u32; 7]"));

    let make = address(&program, "typed4make");
    let names = symbols.generic_names(&program, make);
    assert_eq!(names, ["make<typed::Slot>"]);
}

#[test]
fn limited_information_gives_the_paths_of_inlined_functions_and_of_their_callers() {
    let dir = tempfile::tempdir().expect("a directory for the program");
    let options = ["-Cdebuginfo=limited", "-Copt-level=3"];
    let program = typed_program(dir.path(), &options);
    let mut symbols = FileSymbols::default();
    let start = address(&program, "5outer");
    let frames = (start..start + 64)
        .map(|address| symbols.frames(&program, address))
        .find(|frames| frames.len() == 2)
        .expect("some instruction is of the inlined function");
    let paths: Vec<&str> = frames.iter().map(|frame| frame.function.path()).collect();
    assert_eq!(paths, ["typed::inside::inner", "typed::inside::outer"]);
    assert_eq!([frames[0].inlined, frames[1].inlined], [true, false]);
    assert_eq!([frames[0].line, frames[1].line], [10, 12]);
}

#[test]
fn an_address_outside_has_nothing_and_a_missing_file_is_told() {
    let (_, exe) = own_module();
    let mut symbols = FileSymbols::default();
    assert_eq!(symbols.frames(&exe, u64::MAX - 4096), []);
    assert_eq!(symbols.variable(&exe, u64::MAX - 4096), None);
    assert!(symbols.unreadable().is_empty());
    assert_eq!(symbols.frames(Path::new("/no/such/library.so"), 16), []);
    let unreadable = symbols.unreadable();
    assert_eq!(unreadable.len(), 1);
    assert!(unreadable[0].1.contains("/no/such/library.so"));
}

#[test]
fn the_collector_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<leakcheck_cli::collect::Collector>();
}
