//! What memory the process has, in the kernel's words, and what the kernel
//! itself keeps for it.

use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Memory that the program can have written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Where it is.
    pub range: Range<usize>,
    /// It is of no file, and no other process sees it: what was never written
    /// is zero.
    pub own: bool,
}

/// The mappings that the program can have written to, by address, without
/// what the kernel itself provides.
pub fn writable_mappings() -> Option<Vec<Mapping>> {
    let text = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mapping = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let permissions = words.next()?;
        let file = words.nth(3);
        let kernels = file.is_some_and(|name| name.starts_with("[v"));
        // Anonymous memory that is read-only now may have been written before.
        let written =
            permissions.starts_with("rw") || permissions.starts_with('r') && file.is_none();
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let own = permissions.ends_with('p') && file.is_none_or(|name| name.starts_with('['));
        let range = start..end;
        Some((Mapping { range, own }, written && !kernels))
    };
    let mappings = text.lines().map(mapping).collect::<Option<Vec<_>>>()?;
    let written = mappings.into_iter().filter(|(_, written)| *written);
    Some(written.map(|(mapping, _)| mapping).collect())
}

const PAGE: usize = 4096;

/// The parts of a range of this process's own memory that were ever written: an
/// allocator may reserve gigabytes. All of it if that cannot be told.
pub fn populated(range: Range<usize>) -> Vec<Range<usize>> {
    let first = range.start / PAGE;
    let count = range.end.div_ceil(PAGE) - first;
    let mut entries = vec![0; count * size_of::<u64>()];
    let read = std::fs::File::open("/proc/self/pagemap")
        .and_then(|file| file.read_exact_at(&mut entries, (first * size_of::<u64>()) as u64));
    if read.is_err() {
        return vec![range];
    }
    let (entries, _) = entries.as_chunks();
    written_pages(
        &range,
        entries.iter().map(|entry| u64::from_ne_bytes(*entry)),
    )
}

/// The pages of a range that are in memory or were moved out, by the kernel's
/// words for each of them.
fn written_pages(range: &Range<usize>, entries: impl Iterator<Item = u64>) -> Vec<Range<usize>> {
    const PRESENT_OR_SWAPPED: u64 = 0b11 << 62;
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (number, entry) in entries.enumerate() {
        if entry & PRESENT_OR_SWAPPED == 0 {
            continue;
        }
        let start = (range.start / PAGE + number) * PAGE;
        match parts.last_mut() {
            Some(last) if last.end == start => last.end = start + PAGE,
            Some(_) | None => parts.push(start..start + PAGE),
        }
    }
    for part in &mut parts {
        *part = part.start.max(range.start)..part.end.min(range.end);
    }
    parts
}

/// What the kernel gives back with the events of epoll descriptors: as a rule
/// addresses. None if there are other such things, an io_uring.
pub fn event_data() -> Option<Vec<usize>> {
    of_event_polls(|text| event_words(text).collect())
}

/// The descriptors that epoll instances watch. None if that cannot be told.
pub fn watched() -> Option<Vec<i32>> {
    of_event_polls(|text| watched_in(text).collect())
}

/// What the kernel's text on each epoll descriptor says. None if there are other
/// such things, an io_uring.
fn of_event_polls<T>(says: impl Fn(&str) -> Vec<T>) -> Option<Vec<T>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").ok()? {
        let entry = entry.ok()?;
        let Ok(target) = std::fs::read_link(entry.path()) else {
            continue;
        };
        match target.to_str() {
            Some("anon_inode:[io_uring]") => return None,
            Some("anon_inode:[eventpoll]") => {
                let info = std::path::Path::new("/proc/self/fdinfo").join(entry.file_name());
                all.extend(says(&std::fs::read_to_string(info).ok()?));
            }
            Some(_) | None => {}
        }
    }
    Some(all)
}

/// The descriptors of the lines `tfd: 5 events: 19 data: 7f00 …`.
fn watched_in(text: &str) -> impl Iterator<Item = i32> + '_ {
    text.lines().filter_map(|line| {
        let fd = line.strip_prefix("tfd:")?;
        fd.split_ascii_whitespace().next()?.parse().ok()
    })
}

/// The data of the lines `tfd: 5 events: 19 data: 7f00 …`.
fn event_words(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.lines()
        .filter(|line| line.starts_with("tfd:"))
        .filter_map(|line| {
            let (_, data) = line.split_once("data:")?;
            let word = data.split_ascii_whitespace().next()?;
            usize::from_str_radix(word, 16).ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_were_never_written_are_left_out() {
        let (present, swapped) = (1 << 63, 1 << 62);
        let range = PAGE + 8..6 * PAGE - 8;
        let entries = [present, 0, swapped, present | 7, 0];
        let parts = written_pages(&range, entries.into_iter());
        assert_eq!(parts, [PAGE + 8..2 * PAGE, 3 * PAGE..5 * PAGE]);
        let parts = written_pages(&range, [0, 0, 0, 0, present].into_iter());
        assert_eq!(parts, [5 * PAGE..6 * PAGE - 8]);
    }

    #[test]
    fn data_of_events_is_parsed() {
        let text = "pos:\t0\nflags:\t02000002\ntfd:        5 events:       19 data:     7f0012345678  pos:0 ino:1 sdev:f\n";
        assert_eq!(event_words(text).collect::<Vec<_>>(), [0x7f00_1234_5678]);
        assert_eq!(watched_in(text).collect::<Vec<_>>(), [5]);
    }
}
