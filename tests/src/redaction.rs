//! What a snapshot does not keep: the one table.

use std::path::Path;

/// What differs from run to run or from machine to machine, as a regular
/// expression, and what stands in its place.
const TABLE: &[(&str, &str)] = &[
    // Times of tests and of the run.
    (r"\[ *\d+\.\d+s\]", "[TIME]"),
    // How long a thread has waited, and whether another was gone by then.
    (r"\b(for|after) \d+(\.\d+)? ?m?s\b", "$1 TIME"),
    // Places in the standard library, which differ by toolchain.
    (r"/rustc/[0-9a-f]{40}/", "/rustc/COMMIT/"),
    (r"… \d+ library frames?", "… N library frames"),
    (r"`, ended since:", "`:"),
    // Numbers of threads without a name.
    (r"\bthread \d+ \(unnamed\)", "thread N (unnamed)"),
    // Names that cargo gives to test programs.
    (r"-[0-9a-f]{16}\b", "-HASH"),
];

/// The table, and the directories of this machine.
#[must_use]
pub fn filters(repository: &Path) -> Vec<(String, String)> {
    let here = regex_lite::escape(&repository.display().to_string());
    let table = TABLE
        .iter()
        .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
    std::iter::once((here, "REPOSITORY".to_owned()))
        .chain(table)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::filters;

    #[test]
    fn times_and_places_go() {
        let mut text =
            "PASS [   0.104s] /home/me/x/src/lib.rs waits for 1.2s, after 15 ms".to_owned();
        for (from, to) in filters(Path::new("/home/me/x")) {
            let pattern = regex_lite::Regex::new(&from).unwrap();
            text = pattern.replace_all(&text, to).into_owned();
        }
        assert_eq!(
            text,
            "PASS [TIME] REPOSITORY/src/lib.rs waits for TIME, after TIME"
        );
    }
}
