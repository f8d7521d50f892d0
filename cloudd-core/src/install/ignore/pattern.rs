//! A pattern of an ignore file, matched as a nondeterministic finite automaton: without recursion, in
//! time proportional to the length of the path times the length of the pattern.
//!
//! The syntax is that of Go's `path/filepath.Match` with `**` added, as in Docker and podman. Paths
//! are bytes and need not be UTF-8: `?` and classes match a character of valid UTF-8, or a single
//! byte otherwise.

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::install) struct Pattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Char(char),
    /// `?`: any character but `/`.
    Any,
    /// `*`: any characters but `/`.
    Run,
    /// `[…]`: a character inside, or outside, a set of ranges.
    Class { negated: bool, ranges: Vec<(char, char)> },
    /// `**` before another token: nothing, or any directories with the `/` after them.
    Directories,
    /// `**` at the end: anything.
    Rest,
}

impl Pattern {
    /// Parses a pattern without empty, `.` or inner `..` components.
    pub(in crate::install) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let token = match c {
                '*' if chars.next_if_eq(&'*').is_some() => {
                    chars.next_if_eq(&'/');
                    if chars.peek().is_some() { Token::Directories } else { Token::Rest }
                }
                '*' => Token::Run,
                '?' => Token::Any,
                '[' => class(&mut chars)?,
                '\\' => Token::Char(chars.next().ok_or("it ends in a backslash")?),
                c => Token::Char(c),
            };
            // `****` matches what `**` matches.
            let repeats = matches!(token, Token::Run | Token::Directories);
            if !(repeats && tokens.last() == Some(&token)) {
                tokens.push(token);
            }
        }
        Ok(Self(tokens))
    }

    /// Whether the pattern matches `path`, or a directory above it.
    pub(in crate::install) fn matches(&self, path: &[u8]) -> bool {
        let mut states = self.start();
        let mut rest = path;
        while states.contains(&true) {
            if self.is_end(&states) && (rest.is_empty() || rest[0] == b'/') {
                return true;
            }
            let Some((c, tail)) = next_char(rest) else {
                return false;
            };
            states = self.step(&states, c);
            rest = tail;
        }
        false
    }

    /// Whether the pattern may match something below the directory `path`.
    pub(super) fn may_match_below(&self, path: &[u8]) -> bool {
        let mut states = self.start();
        let mut rest = path;
        while let Some((c, tail)) = next_char(rest) {
            states = self.step(&states, c);
            rest = tail;
        }
        self.matches(path) || self.step(&states, Some('/')).contains(&true)
    }

    // States are positions in the pattern. The last one is its end.
    fn start(&self) -> Vec<bool> {
        let mut states = vec![false; self.0.len() + 1];
        self.enter(&mut states, 0);
        states
    }

    fn is_end(&self, states: &[bool]) -> bool {
        states[self.0.len()]
    }

    /// Marks the position, and those after it as long as the tokens between may match nothing.
    fn enter(&self, states: &mut [bool], mut position: usize) {
        states[position] = true;
        while let Some(Token::Run | Token::Directories | Token::Rest) = self.0.get(position) {
            position += 1;
            states[position] = true;
        }
    }

    fn step(&self, states: &[bool], c: Option<char>) -> Vec<bool> {
        let mut next = vec![false; states.len()];
        for (position, token) in self.0.iter().enumerate().filter(|(i, _)| states[*i]) {
            match token {
                Token::Char(wanted) if c == Some(*wanted) => self.enter(&mut next, position + 1),
                Token::Any if c != Some('/') => self.enter(&mut next, position + 1),
                Token::Class { negated, ranges } => {
                    let within = |c| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                    if c.is_some_and(within) != *negated {
                        self.enter(&mut next, position + 1);
                    }
                }
                Token::Run if c != Some('/') => self.enter(&mut next, position),
                Token::Rest => self.enter(&mut next, position),
                // The directories end with a `/`.
                Token::Directories => {
                    next[position] = true;
                    if c == Some('/') {
                        self.enter(&mut next, position + 1);
                    }
                }
                Token::Char(_) | Token::Any | Token::Run => {}
            }
        }
        next
    }
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "its `[` is not closed";
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let mut member = || match chars.next() {
            None => Err(OPEN),
            Some('-' | ']') => Err("its `[…]` has `-` or `]` where a character is expected"),
            Some('\\') => chars.next().ok_or(OPEN),
            Some(c) => Ok(c),
        };
        let low = member()?;
        let high = if chars.next_if_eq(&'-').is_some() {
            match chars.next() {
                None => return Err(OPEN),
                Some('-' | ']') => return Err("its `[…]` has an open range"),
                Some('\\') => chars.next().ok_or(OPEN)?,
                Some(c) => c,
            }
        } else {
            low
        };
        if high < low {
            return Err("its `[…]` has a range that runs backwards");
        }
        ranges.push((low, high));
    }
}

/// Returns the first character and the rest. The character is `None` if the bytes are not UTF-8.
fn next_char(bytes: &[u8]) -> Option<(Option<char>, &[u8])> {
    let first = *bytes.first()?;
    let len = match first {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => 1,
    };
    let decoded = bytes.get(..len).and_then(|b| std::str::from_utf8(b).ok());
    match decoded.and_then(|text| text.chars().next()) {
        Some(c) => Some((Some(c), &bytes[len..])),
        None => Some((None, &bytes[1..])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_in_docker() {
        for (pattern, yes, no) in [
            ("a", &["a", "a/b", "a/b/c"][..], &["b/a", "ab", "A", ""][..]),
            ("a/b", &["a/b", "a/b/c"], &["a", "a/bc", "x/a/b"]),
            ("*", &["a", "a/b", ".x"], &[]),
            ("*.md", &["a.md", ".md", "a.md/x"], &["x/a.md", "a.mdx"]),
            ("a*", &["a", "abc", "abc/d"], &["ba", "b/a"]),
            ("*/x", &["a/x", "b/x/y"], &["x", "a/b/x"]),
            ("?.c", &["a.c", "é.c"], &["ab.c", "/.c", ".c"]),
            ("**", &["a", "a/b/c", ".x"], &[]),
            ("**/x", &["x", "a/x", "a/b/x", "a/x/b"], &["ax", "a/bx"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "b/a"]),
            ("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["a", "az", "a/bz"]),
            ("**/*.o", &["a.o", "x/a.o", "x/y/a.o"], &["a.oo"]),
            ("**/a/**", &["a/b", "x/a/b"], &["a", "x/a"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
            ("[^a-c]x", &["dx", "éx"], &["ax", "x"]),
            ("[a\\]]", &["a", "]"], &["b", "\\"]),
            ("[*]", &["*"], &["a"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("a+b", &["a+b"], &["aab", "ab"]),
            ("a.b", &["a.b"], &["axb"]),
            ("(x|y)$", &["(x|y)$"], &["x", "y"]),
            ("***", &["a", "a/b"], &[]),
            ("a**b", &["ab", "ax/b", "ax/y/b"], &["axb"]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            for path in yes {
                assert!(parsed.matches(path.as_bytes()), "{pattern} should match {path}");
            }
            for path in no {
                assert!(!parsed.matches(path.as_bytes()), "{pattern} should not match {path}");
            }
        }
    }

    #[test]
    fn names_that_are_not_utf8_are_matched_by_wildcards() {
        let matches = |pattern, path| Pattern::parse(pattern).unwrap().matches(path);
        assert!(matches("*.bin", b"\xff\xfe.bin"));
        assert!(matches("?", b"\xff"));
        assert!(matches("[^a]", b"\xff"));
        assert!(!matches("?", b"\xff\xff"));
        assert!(!matches("a", b"\xff"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        for stars in ["*a", "**/a*", "?*"] {
            let pattern = Pattern::parse(&(stars.repeat(40) + "b")).unwrap();
            assert!(!pattern.matches(&b"a".repeat(4000)), "{stars}");
            assert!(!pattern.matches(&b"a/".repeat(2000)), "{stars}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["a\\", "[", "[a", "[]", "[]a]", "[a-", "[a-]", "[-a]", "[z-a]", "[\\"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn what_may_match_below_is_never_less_than_what_matches() {
        let alphabet = ["a", "b", "*", "**", "?", "/", "[ab]", "a/"];
        let paths = ["a/a", "a/b", "b/a/b", "a/a/a", "ab/b", "a/b/a/b"];
        for n in 0..alphabet.len().pow(4) {
            let pick = |i: u32| alphabet[n / alphabet.len().pow(i) % alphabet.len()];
            let text: String = (0..4).map(pick).collect();
            let pattern = Pattern::parse(&text).unwrap();
            for path in paths.iter().filter(|path| pattern.matches(path.as_bytes())) {
                for (at, _) in path.match_indices('/') {
                    assert!(
                        pattern.may_match_below(&path.as_bytes()[..at]),
                        "{text} matches {path}, but not below {}",
                        &path[..at]
                    );
                }
            }
        }
    }

    #[test]
    fn what_cannot_match_below_is_known() {
        let below =
            |pattern, path: &str| Pattern::parse(pattern).unwrap().may_match_below(path.as_bytes());
        assert!(below("a/b", "a"));
        assert!(below("a", "a/b"));
        assert!(below("**/x", "a/b"));
        assert!(below("a*/x", "ab"));
        assert!(!below("*.md", "docs"));
        assert!(!below("a/b", "b"));
        assert!(!below("a/b/c", "a/c"));
    }

    #[test]
    fn many_stars_in_a_row_need_no_stack() {
        let started = std::time::Instant::now();
        for token in ["*", "**/", "?", "a", "*?", "[a]"] {
            let pattern = Pattern::parse(&token.repeat(600_000 / token.len())).unwrap();
            assert!(pattern.matches(b"a/b") == ["*", "**/"].contains(&token), "{token}");
            pattern.may_match_below(b"a/b");
        }
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }

    #[test]
    fn the_longest_line_against_the_longest_path_takes_no_time() {
        for unit in ["*a", "?*", "**/a", "[a-b]*"] {
            let pattern = Pattern::parse(&(unit.repeat(4095 / unit.len()) + "d")).unwrap();
            let started = std::time::Instant::now();
            assert!(!pattern.matches(&[&b"a/".repeat(2047)[..], b"c"].concat()), "{unit}");
            assert!(started.elapsed().as_secs() < 10, "{unit}: {:?}", started.elapsed());
        }
    }

    /// A matcher that tries everything, directly from the documentation of the syntax.
    fn reference(pattern: &[char], path: &[char]) -> bool {
        let Some((first, rest)) = pattern.split_first() else {
            return path.is_empty();
        };
        let slashes = || path.iter().enumerate().filter(|(_, c)| **c == '/').map(|(at, _)| at);
        match first {
            '*' if rest.first() == Some(&'*') => {
                let rest = rest[1..].strip_prefix(&['/']).unwrap_or(&rest[1..]);
                rest.is_empty()
                    || reference(rest, path)
                    || slashes().any(|at| reference(rest, &path[at + 1..]))
            }
            '*' => {
                let end = slashes().next().unwrap_or(path.len());
                (0..=end).any(|at| reference(rest, &path[at..]))
            }
            '?' => path.first().is_some_and(|c| *c != '/') && reference(rest, &path[1..]),
            '[' => {
                let end = rest.iter().position(|c| *c == ']').unwrap();
                let (negated, members) = match &rest[..end] {
                    ['^', members @ ..] => (true, members),
                    members => (false, members),
                };
                path.first().is_some_and(|c| members.contains(c) != negated)
                    && reference(&rest[end + 1..], &path[1..])
            }
            '\\' => path.first() == rest.first() && reference(&rest[1..], &path[1..]),
            c => path.first() == Some(c) && reference(rest, &path[1..]),
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_the_reference_matches(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "b", "*", "**", "**/", "?", "/", "[ab]", "[^a]", "\\*", "\\a", "é",
                ]),
                1..7,
            ),
            path in "[ab*é]{1,3}(/[ab]{1,2}){0,3}",
        ) {
            let text = parts.concat();
            let pattern = Pattern::parse(&text).unwrap();
            let chars: Vec<char> = text.chars().collect();
            // A pattern that matches a directory matches everything in it.
            let above = path.match_indices('/').map(|(at, _)| at);
            let expected = above.chain([path.len()]).any(|end| {
                reference(&chars, &path[..end].chars().collect::<Vec<_>>())
            });
            prop_assert_eq!(pattern.matches(path.as_bytes()), expected, "{} {}", text, path);
        }

        #[test]
        fn any_pattern_and_path_end(text in any::<String>(), path in any::<Vec<u8>>()) {
            if let Ok(pattern) = Pattern::parse(&text) {
                pattern.matches(&path);
                pattern.may_match_below(&path);
            }
        }
    }
}
