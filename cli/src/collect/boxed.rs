//! Tasks whose future is a box of any type: they are called by what is in it.
//!
//! The box has a table of functions, and the one that polls has a symbol with the name
//! of the type. What it misses: a box in a wrapper that is no box, and functions that
//! the linker has folded into others.

use leakcheck::report::wire::TaskType;

use super::read::Process;
use crate::symbolize::Symbols;
use crate::symbolize::function::FunctionName;

/// Puts the type that is in the box in the place of the box's, where it is known.
pub fn open(process: &mut Process, symbols: &mut dyn Symbols) {
    let mut names = Vec::new();
    for task in tasks(process) {
        names.extend(task.poll);
    }
    names.sort_unstable();
    names.dedup();
    let name_of = |poll: u64| {
        let module = process.module_at(poll)?;
        let path = std::path::Path::new(&module.path);
        let frames = symbols.frames(path, poll.wrapping_sub(module.bias));
        Some((poll, type_of(&frames.last()?.function)?))
    };
    let names: Vec<(u64, String)> = names.into_iter().filter_map(name_of).collect();
    for task in tasks(process) {
        let poll = task.poll.take();
        if let Some((_, name)) = names.iter().find(|(at, _)| Some(*at) == poll) {
            task.future = format!("core::pin::Pin<alloc::boxed::Box<{name}>>");
        }
    }
}

fn tasks(process: &mut Process) -> impl Iterator<Item = &mut TaskType> {
    let threads = process.threads.values_mut();
    let lanes = process.lanes.iter_mut();
    threads
        .filter_map(|thread| thread.task.as_mut())
        .chain(lanes.filter_map(|lane| lane.task.as_mut()))
}

/// The type of a future that the function polls.
fn type_of(function: &FunctionName) -> Option<String> {
    let path = function.path();
    match path.strip_suffix("::{closure}") {
        Some(body) => Some(format!("{body}::{{{{closure}}}}")),
        None => path.strip_suffix("::poll").map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::type_of;
    use crate::symbolize::function::FunctionName;

    #[test]
    fn the_function_that_polls_names_the_type() {
        let of = |name: &str| type_of(&FunctionName::from_demangled(name));
        assert_eq!(
            of("ledger::serve::{{closure}}").as_deref(),
            Some("ledger::serve::{{closure}}")
        );
        assert_eq!(
            of("<ledger::Journal as core::future::future::Future>::poll").as_deref(),
            Some("ledger::Journal")
        );
        assert_eq!(of("memcpy"), None);
    }
}
