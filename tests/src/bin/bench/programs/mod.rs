//! The measured programs. Each file is a module here, for its tests and
//! lints, and a crate of its own when the benchmark compiles it.

pub mod allocation;
pub mod gathering;
pub mod lock_free;
pub mod matrix_sort;
pub mod mutex_map;
pub mod pipeline;
pub mod read_map;
pub mod stencil;
pub mod text;
pub mod walk;

/// A program's name, which is that of its file, and its work for a number of
/// threads and a scale.
pub type Program = (&'static str, fn(u64, u64) -> u64);

/// The programs of the table, in its order. The others show how costs grow.
pub const ALL: &[Program] = &[
    ("mutex_map", mutex_map::run),
    ("pipeline", pipeline::run),
    ("matrix_sort", matrix_sort::run),
    ("lock_free", lock_free::run),
    ("allocation", allocation::run),
    ("read_map", read_map::run),
    ("stencil", stencil::run),
    ("text", text::run),
];

#[cfg(test)]
mod tests {
    use super::{ALL, Program, gathering, walk};

    #[test]
    fn the_work_does_not_depend_on_the_schedule() {
        let growing: [Program; 2] = [("walk", walk::run), ("gathering", gathering::run)];
        for (name, run) in ALL.iter().chain(&growing) {
            assert_eq!(run(2, 1), run(2, 1), "{name}");
        }
    }
}
