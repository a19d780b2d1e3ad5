//! Reads the wire files of one test.
//!
//! A process can be killed at any moment, so a last line without its newline
//! is no error. A line that cannot be read is counted and told as a gap; a
//! file of another schema is an error, since nothing in it can be trusted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use leakcheck::report::wire::{
    Crash, End, Finding, Gap, Lane, Leg, Module, Record, Start, Thread, ThreadId, WIRE_SCHEMA,
};

/// Why a wire directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The directory.
    #[error("failed to list the wire directory `{dir}`: {source}")]
    List {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file in it.
    #[error("failed to read the wire file `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another version of the runtime wrote it.
    #[error(
        "the wire file `{path}` has schema {found}, this leakcheck reads {WIRE_SCHEMA}: \
         the test binary was linked by another version; run `cargo clean` and test again"
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// It does not start as a wire file does.
    #[error("`{path}` is not a wire file: its first line is not a start record")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// What one process wrote.
#[derive(Debug, Default)]
pub struct Process {
    /// Its first record; none if it was killed before it wrote one.
    pub start: Option<Start>,
    /// What is mapped where.
    pub modules: Vec<Module>,
    /// Its threads.
    pub threads: BTreeMap<ThreadId, Thread>,
    /// What was found in it.
    pub findings: Vec<Finding>,
    /// The threads and tasks of a snapshot.
    pub present: Vec<Leg>,
    /// When each of them was, in microseconds of the monotonic clock.
    pub found_at: Vec<Option<u64>>,
    /// When its threads lived.
    pub lanes: Vec<Lane>,
    /// The time of the records that are being read.
    now: Option<u64>,
    /// The signal it died of.
    pub crash: Option<Crash>,
    /// What was not seen.
    pub gaps: Vec<Gap>,
    /// Its last record; none if it was killed.
    pub end: Option<End>,
    /// Lines that could not be read.
    pub unreadable: u64,
}

impl Process {
    /// True for the child of a fork that did not exec.
    pub fn forked(&self) -> bool {
        self.start.as_ref().is_some_and(|start| start.forked)
    }

    /// The module that has an address.
    pub fn module_at(&self, address: u64) -> Option<&Module> {
        // A later record replaces an earlier one: a library was unloaded.
        self.modules
            .iter()
            .rev()
            .find(|module| (module.start..module.end).contains(&address))
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::Start(start) => self.start = Some(start),
            Record::Module(module) => self.modules.push(module),
            Record::Thread(thread) => self.add_thread(thread),
            Record::Time(time) => self.now = Some(time.us),
            Record::Lane(lane) => self.lanes.push(lane),
            Record::Finding(finding) => {
                self.findings.push(finding);
                self.found_at.push(self.now);
            }
            Record::Present(leg) => self.present.push(leg),
            Record::Crash(crash) => self.crash = Some(crash),
            Record::Gap(gap) => self.gaps.push(gap),
            Record::End(end) => self.end = Some(end),
        }
    }

    fn add_thread(&mut self, mut thread: Thread) {
        if let Some(before) = self.threads.get(&thread.id) {
            if thread.spawned_at.is_empty() {
                thread.spawned_at.clone_from(&before.spawned_at);
            }
            thread.name = thread.name.or_else(|| before.name.clone());
            thread.parent = thread.parent.or(before.parent);
        }
        self.threads.insert(thread.id, thread);
    }
}

/// Reads all wire files of a directory, in the order of their names.
pub fn read_dir(dir: &Path) -> Result<Vec<Process>, WireError> {
    let list_error = |source| WireError::List {
        dir: dir.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(list_error)? {
        let path = entry.map_err(list_error)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "ndjson")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read_file(path)).collect()
}

/// Reads one wire file.
pub fn read_file(path: &Path) -> Result<Process, WireError> {
    let bytes = std::fs::read(path).map_err(|source| WireError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&bytes, path)
}

/// Reads the text of a wire file; `path` names it in errors.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Process, WireError> {
    let mut process = Process::default();
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').peekable();
    let mut first = true;
    while let Some(line) = lines.next() {
        let truncated = !line.ends_with(b"\n");
        if line.trim_ascii().is_empty() {
            continue;
        }
        if first && !truncated {
            check_start(line, path)?;
        }
        first = false;
        match serde_json::from_slice::<Record>(line) {
            Ok(record) => process.add(record),
            // The process was killed while it wrote.
            Err(_) if truncated && lines.peek().is_none() => {}
            Err(_) => process.unreadable += 1,
        }
    }
    Ok(process)
}

/// The first line must be the start record of this schema.
fn check_start(line: &[u8], path: &Path) -> Result<(), WireError> {
    #[derive(serde::Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        kind: String,
        schema: u64,
    }
    match serde_json::from_slice::<Head>(line) {
        Ok(head) if head.kind == "start" && head.schema == u64::from(WIRE_SCHEMA) => Ok(()),
        Ok(head) if head.kind == "start" => Err(WireError::Schema {
            path: path.to_owned(),
            found: head.schema,
        }),
        Ok(_) | Err(_) => Err(WireError::Foreign {
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str =
        r#"{"type":"start","schema":1,"pid":7,"ppid":1,"exe":"/t/bank","forked":false}"#;

    fn read(text: &str) -> Result<Process, WireError> {
        parse(text.as_bytes(), Path::new("7-1.ndjson"))
    }

    #[test]
    fn a_truncated_last_line_is_no_error() {
        let text = format!("{START}\n{{\"type\":\"end\",\"sta");
        let process = read(&text).expect("a killed process is read");
        assert_eq!(process.start.map(|start| start.pid), Some(7));
        assert_eq!(process.end, None);
        assert_eq!(process.unreadable, 0);
    }

    #[test]
    fn a_whole_last_line_without_newline_counts() {
        let text = format!(
            "{START}\n{}",
            r#"{"type":"end","status":0,"abrupt":false,"threads":3}"#
        );
        let process = read(&text).expect("the file is read");
        assert_eq!(process.end.map(|end| end.threads), Some(3));
    }

    #[test]
    fn a_broken_line_inside_is_counted() {
        let text = format!("{START}\nnonsense\n{{\"type\":\"later\"}}\n");
        assert_eq!(read(&text).expect("the file is read").unreadable, 2);
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let text = format!(
            "{START}\n{}\n",
            r#"{"type":"module","path":"/t/bank","bias":16,"start":16,"end":32,"later":[1]}"#
        );
        let process = read(&text).expect("the file is read");
        assert_eq!(process.module_at(31).map(|module| module.bias), Some(16));
        assert_eq!(process.module_at(32), None);
    }

    #[test]
    fn another_schema_is_an_error_that_tells_what_to_do() {
        let text = START.replace("\"schema\":1", "\"schema\":9");
        let error = read(&format!("{text}\n")).expect_err("another schema is refused");
        assert_eq!(
            error.to_string(),
            "the wire file `7-1.ndjson` has schema 9, this leakcheck reads 1: the test binary \
             was linked by another version; run `cargo clean` and test again"
        );
    }

    #[test]
    fn a_foreign_file_is_an_error() {
        let error = read("hello\n").expect_err("a foreign file is refused");
        assert!(matches!(error, WireError::Foreign { .. }));
    }

    #[test]
    fn an_empty_file_is_a_killed_process() {
        let process = read("").expect("an empty file is read");
        assert!(process.start.is_none() && process.end.is_none());
    }

    #[test]
    fn a_thread_keeps_what_a_later_record_leaves_out() {
        let text = format!(
            "{START}\n{}\n{}\n",
            r#"{"type":"thread","id":1,"name":null,"parent":0,"spawned_at":[5],"finished":false}"#,
            r#"{"type":"thread","id":1,"name":"w","parent":null,"spawned_at":[],"finished":true}"#,
        );
        let process = read(&text).expect("the file is read");
        let thread = &process.threads[&ThreadId(1)];
        assert_eq!(thread.spawned_at, [5]);
        assert_eq!(thread.name.as_deref(), Some("w"));
        assert_eq!(thread.parent, Some(ThreadId(0)));
        assert!(thread.finished);
    }

    #[test]
    fn only_wire_files_are_read_and_a_missing_directory_is_named() {
        let dir = tempfile::tempdir().expect("a directory for the test");
        std::fs::write(dir.path().join("7-1.ndjson"), format!("{START}\n")).expect("written");
        std::fs::write(dir.path().join("notes.txt"), "hello").expect("written");
        assert_eq!(
            read_dir(dir.path()).expect("the directory is read").len(),
            1
        );
        let error = read_dir(&dir.path().join("none")).expect_err("there is none");
        assert!(
            error
                .to_string()
                .starts_with("failed to list the wire directory")
        );
    }
}
