//! The long text of each code, for `leakcheck explain`.

use leakcheck::report::kind::Kind;

/// The text of a kind, in Markdown.
pub const fn text(kind: Kind) -> &'static str {
    match kind {
        Kind::DataRace => include_str!("LC0001.md"),
        Kind::LeakedThread => include_str!("LC0002.md"),
        Kind::Deadlock => include_str!("LC0003.md"),
        Kind::RaceWithFree => include_str!("LC0004.md"),
        Kind::RaceWithReturn => include_str!("LC0005.md"),
        Kind::VolatileRace => include_str!("LC0006.md"),
        Kind::LeakedTask => include_str!("LC0007.md"),
        Kind::TaskRace => include_str!("LC0009.md"),
        Kind::LockOrder => include_str!("LC0010.md"),
        Kind::AbortedTask => include_str!("LC0011.md"),
        Kind::DetachedTask => include_str!("LC0012.md"),
        Kind::PanickedTask => include_str!("LC0013.md"),
    }
}

/// The text of a code, upper or lower case, with or without `LC` and zeros.
pub fn explain(code: &str) -> Option<&'static str> {
    let digits = code
        .trim()
        .trim_start_matches(['L', 'l'])
        .trim_start_matches(['C', 'c']);
    let number: u32 = digits.parse().ok()?;
    let wanted = format!("LC{number:04}");
    Kind::ALL
        .into_iter()
        .find(|kind| kind.info().code == wanted)
        .map(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_text_with_all_parts() {
        for kind in Kind::ALL {
            let text = explain(kind.info().code).unwrap_or_default();
            assert!(
                text.starts_with(&format!("# {}: ", kind.info().code)),
                "{kind:?}"
            );
            for part in ["## Example", "## How to fix it", "## What it can miss"] {
                assert!(text.contains(part), "{kind:?} lacks {part}");
            }
        }
    }

    #[test]
    fn codes_are_forgiven_their_spelling() {
        assert_eq!(explain("lc1"), explain("LC0001"));
        assert_eq!(explain("0003"), explain("LC0003"));
        assert!(explain("LC0001").is_some());
        assert_eq!(explain("LC9999"), None);
        assert_eq!(explain("race"), None);
    }
}
