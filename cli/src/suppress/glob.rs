//! Wildcards: `*` stands for anything, also for nothing.

/// A pattern with `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    parts: Vec<String>,
    anchored_start: bool,
    anchored_end: bool,
}

impl Glob {
    /// The whole text must match.
    #[must_use]
    pub fn whole(pattern: &str) -> Self {
        Self {
            parts: pattern.split('*').map(str::to_owned).collect(),
            anchored_start: true,
            anchored_end: true,
        }
    }

    /// Any part of the text may match, as in a file of ThreadSanitizer, where
    /// `^` and `$` stand for the beginning and the end.
    #[must_use]
    pub fn part(pattern: &str) -> Self {
        let (pattern, anchored_start) = match pattern.strip_prefix('^') {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        let (pattern, anchored_end) = match pattern.strip_suffix('$') {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        Self {
            parts: pattern.split('*').map(str::to_owned).collect(),
            anchored_start,
            anchored_end,
        }
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else {
            return true;
        };
        let mut left = if self.anchored_start {
            match text.strip_prefix(first.as_str()) {
                Some(left) => left,
                None => return false,
            }
        } else {
            match text.find(first.as_str()) {
                Some(at) => &text[at + first.len()..],
                None => return false,
            }
        };
        let Some((last, middle)) = rest.split_last() else {
            // Without a star, the end is where the part ends.
            return !self.anchored_end
                || left.is_empty()
                || (!self.anchored_start && text.ends_with(first.as_str()));
        };
        for part in middle {
            match left.find(part.as_str()) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        if self.anchored_end {
            left.ends_with(last.as_str())
        } else {
            left.contains(last.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn the_whole_text() {
        for (pattern, text, matches) in [
            ("bank::fill", "bank::fill", true),
            ("bank::fill", "bank::fill_all", false),
            ("bank::*", "bank::fill", true),
            ("*::fill", "a::b::fill", true),
            ("a*b*c", "a--b--c", true),
            ("a*b*c", "a--c--b", false),
            ("*", "", true),
            ("worker-*", "worker-12", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(
                Glob::whole(pattern).matches(text),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_part_of_it() {
        for (pattern, text, matches) in [
            ("fill", "bank::fill_all", true),
            ("^bank", "bank::fill", true),
            ("^fill", "bank::fill", false),
            ("fill$", "bank::fill", true),
            ("fill$", "fill::fill", true),
            ("bank$", "bank::fill", false),
            ("b*k::f*l$", "bank::fill", true),
            ("no", "bank", false),
        ] {
            assert_eq!(
                Glob::part(pattern).matches(text),
                matches,
                "{pattern} {text}"
            );
        }
    }
}
