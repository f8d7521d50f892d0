//! Ignore files, which exclude files from the build context.
//!
//! The rules are those of Docker. Each line is a pattern relative to the root of the context, with
//! `*`, `?`, `[…]`, `\` and `**`. `#` starts a comment line. A pattern that matches a directory
//! excludes everything in it. A line that starts with `!` includes what it matches. The last matching
//! line decides.
//!
//! podman reads the ignore file again in the builder VM when it copies from the context, so this
//! module must not exclude anything that podman would use. Where container engines differ, more is
//! included: exceptions with wildcards apply below excluded directories, as in Docker's `BuildKit` and
//! unlike in podman 4.
//!
//! [`MAX_LINE`] limits the length of a line, and so the time in which a path is matched.

mod pattern;

pub(super) use pattern::Pattern;

/// The longest line in bytes. No path is longer on Linux (`PATH_MAX`).
pub(super) const MAX_LINE: usize = 4096;

/// The rules of an ignore file. Without rules nothing is excluded.
#[derive(Clone, Debug, Default)]
pub(super) struct IgnoreRules(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    effect: Effect,
    pattern: Pattern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Exclude,
    Include,
}

/// A line that is not a valid pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadPattern {
    pub(super) line: usize,
    pub(super) pattern: String,
    pub(super) problem: &'static str,
}

impl IgnoreRules {
    pub(super) fn parse(text: &str) -> Result<Self, BadPattern> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let bad = |problem| BadPattern { line: index + 1, pattern: shown(line), problem };
            if line.len() > MAX_LINE {
                return Err(bad("it is longer than 4096 bytes"));
            }
            let (effect, pattern) = match line.trim().strip_prefix('!') {
                Some("") => return Err(bad("there is nothing after its `!`")),
                Some(pattern) => (Effect::Include, clean(pattern.trim())),
                None => (Effect::Exclude, clean(line.trim())),
            };
            if !pattern.is_empty() {
                let pattern = Pattern::parse(&pattern).map_err(bad)?;
                rules.push(Rule { effect, pattern });
            }
        }
        Ok(Self(rules))
    }

    /// Whether `path`, relative to the context, is excluded.
    pub(super) fn excludes(&self, path: &[u8]) -> bool {
        let last = self.0.iter().rev().find(|rule| rule.pattern.matches(path));
        last.is_some_and(|rule| rule.effect == Effect::Exclude)
    }

    /// Whether an exception may include something below the excluded directory `path`.
    pub(super) fn may_include_below(&self, path: &[u8]) -> bool {
        let mut exceptions = self.0.iter().filter(|rule| rule.effect == Effect::Include);
        exceptions.any(|rule| rule.pattern.may_match_below(path))
    }
}

/// The start of a line, for an error message.
fn shown(line: &str) -> String {
    const MAX_CHARS: usize = 200;
    let line = line.trim();
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Removes a leading `/` and empty and `.` components from the pattern, and resolves `..`.
fn clean(pattern: &str) -> String {
    let mut components = Vec::new();
    for component in pattern.split('/') {
        match component {
            "" | "." => {}
            ".." if components.last().is_some_and(|last| *last != "..") => {
                components.pop();
            }
            component => components.push(component),
        }
    }
    components.join("/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn excluded<'a>(rules: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let rules = IgnoreRules::parse(rules).unwrap();
        paths.iter().copied().filter(|path| rules.excludes(path.as_bytes())).collect()
    }

    #[test]
    fn patterns_are_anchored_at_the_root_however_they_are_written() {
        for line in
            ["docs", "/docs", "docs/", "/docs/", "./docs", "a/../docs", "  docs\t", "docs//"]
        {
            let paths = ["docs", "docs/a", "x/docs", "docsx"];
            assert_eq!(excluded(line, &paths), ["docs", "docs/a"], "{line:?}");
        }
    }

    #[test]
    fn last_match_wins() {
        let paths = ["a.md", "README.md", "README-secret.md"];
        assert_eq!(
            excluded("*.md\n!README*.md\nREADME-secret.md\n", &paths),
            ["a.md", "README-secret.md"]
        );
        assert_eq!(excluded("*.md\nREADME-secret.md\n!README*.md\n", &paths), ["a.md"]);
    }

    #[test]
    fn an_exception_takes_a_file_out_of_an_excluded_directory() {
        let paths = ["docs", "docs/a", "docs/keep", "docs/sub/keep"];
        let rules = "docs\n!docs/keep\n";
        assert_eq!(excluded(rules, &paths), ["docs", "docs/a", "docs/sub/keep"]);
        let rules = IgnoreRules::parse(rules).unwrap();
        assert!(rules.may_include_below(b"docs"));
        assert!(!rules.may_include_below(b"docs/sub"));
    }

    #[test]
    fn comments_blank_lines_and_windows_line_ends_are_no_patterns() {
        let text = "\u{feff}a\r\n# b\r\n\r\n   \n #c\n/\n.\n";
        assert_eq!(excluded(text, &["a", "b", "# b", "#c", "x"]), ["a", "#c"]);
    }

    #[test]
    fn bad_lines_are_named() {
        let error = IgnoreRules::parse("a\n# x\n  [b  \n").unwrap_err();
        assert_eq!((error.line, &*error.pattern), (3, "[b"));
        assert_eq!(IgnoreRules::parse("!\n").unwrap_err().line, 1);
    }

    #[test]
    fn a_line_that_is_too_long_is_named_by_its_start() {
        let error = IgnoreRules::parse(&format!("a\n{}\n", "*".repeat(MAX_LINE + 1))).unwrap_err();
        assert_eq!(error.line, 2);
        assert_eq!(error.problem, "it is longer than 4096 bytes");
        assert!(error.pattern.len() < 300, "{}", error.pattern.len());
        assert!(IgnoreRules::parse(&"*".repeat(MAX_LINE)).is_ok());
        // A comment may be of any length.
        assert!(IgnoreRules::parse(&"#".repeat(2 * MAX_LINE)).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>(), path in any::<Vec<u8>>()) {
            match IgnoreRules::parse(&text) {
                Ok(rules) => {
                    rules.excludes(&path);
                    rules.may_include_below(&path);
                }
                Err(bad) => prop_assert!((1..=text.lines().count()).contains(&bad.line)),
            }
        }

        #[test]
        fn the_last_rule_that_matches_decides(
            lines in prop::collection::vec("!?[ab*?/]{1,4}", 0..6),
            path in "[ab]{1,2}(/[ab]{1,2}){0,2}",
        ) {
            let lines: Vec<&String> = lines.iter().filter(|line| *line != "!").collect();
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut expected = false;
            for line in lines {
                let pattern = clean(line.trim_start_matches('!'));
                if !pattern.is_empty() && Pattern::parse(&pattern).unwrap().matches(path.as_bytes()) {
                    expected = !line.starts_with('!');
                }
            }
            prop_assert_eq!(IgnoreRules::parse(&text).unwrap().excludes(path.as_bytes()), expected);
        }
    }
}
