//! What a snapshot does not keep: the one table of all report snapshots.

/// Pattern and replacement.
const REDACTIONS: &[(&str, &str)] = &[
    // Covered by tests of its own, and different after each change of recipe.
    (r"lc1:[0-9a-f]{16}", "lc1:[fingerprint]"),
];

/// Compares a report with its snapshot.
pub fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, replacement) in REDACTIONS {
        settings.add_filter(pattern, *replacement);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}
