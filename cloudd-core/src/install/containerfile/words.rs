//! Splits an instruction into words, with the quoting rules of a Containerfile.

/// Splits at white space outside of quotes. Quotes and escapes are kept.
pub(super) fn split(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        word.push(c);
        // The escape character has no effect in single quotes.
        if c == escape && quote != Some('\'') {
            word.extend(chars.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Removes quotes and escapes from a word. Variables are not expanded.
pub(super) fn unquote(word: &str, escape: char) -> String {
    let mut text = String::new();
    let mut quote = None;
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if c == open => quote = None,
            None if c == escape => text.extend(chars.next()),
            Some('"') if c == escape => match chars.next() {
                Some(next) if next == '"' || next == '$' || next == escape => text.push(next),
                next => text.extend([c].into_iter().chain(next)),
            },
            _ => text.push(c),
        }
    }
    text
}

/// Replaces the variables that `podman build` expands in a word, which still has its quotes, by `mark`.
/// Returns their names, each with whether it has a default as in `${NAME:-default}`.
pub(super) fn mark_variables(
    word: &str,
    escape: char,
    mark: char,
) -> (String, Vec<(String, bool)>) {
    let (mut marked, mut variables) = (String::new(), Vec::new());
    let mut quote = None;
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            None if c == '"' || c == '\'' => quote = Some(c),
            Some(open) if c == open => quote = None,
            Some('\'') => {}
            _ if c == escape => {
                marked.push(c);
                marked.extend(chars.next());
                continue;
            }
            _ if c == '$' => {
                let is_braced = chars.next_if_eq(&'{').is_some();
                let first = chars.peek().copied();
                let mut name: String = match first.filter(char::is_ascii_digit) {
                    Some(digit) => chars.next_if_eq(&digit).into_iter().collect(),
                    None => String::new(),
                };
                if name.is_empty() {
                    let in_name = |c: &char| c.is_alphanumeric() || *c == '_';
                    while let Some(c) = chars.next_if(in_name) {
                        name.push(c);
                    }
                }
                let has_default = is_braced && chars.peek() != Some(&'}');
                if is_braced {
                    chars.by_ref().find(|c| *c == '}');
                }
                if is_braced || !name.is_empty() {
                    marked.push(mark);
                    variables.push((name, has_default));
                    continue;
                }
            }
            _ => {}
        }
        marked.push(c);
    }
    (marked, variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_white_space_outside_of_quotes() {
        let text = r#"a  "b c"=d 'e "f'  g\ h "i\" j" "#;
        let words = ["a", r#""b c"=d"#, r#"'e "f'"#, r"g\ h", r#""i\" j""#];
        assert_eq!(split(text, '\\'), words);
        assert_eq!(split("a` b", '`'), ["a` b"]);
        assert_eq!(split(r"'a\' b", '\\'), [r"'a\'", "b"]);
        assert_eq!(split(" \t", '\\'), [""; 0]);
    }

    #[test]
    fn quotes_and_escapes_are_taken_off() {
        for (word, text) in [
            (r#""a b""#, "a b"),
            (r#"a"b"'c'"#, "abc"),
            (r#""a \"b\" \n \$x \\""#, r#"a "b" \n $x \"#),
            (r#"'a \"b\"'"#, r#"a \"b\""#),
            (r"a\ b", "a b"),
            (r#""""#, ""),
            ("a\\", "a"),
        ] {
            assert_eq!(unquote(word, '\\'), text, "{word}");
        }
        assert_eq!(unquote("`\"a", '`'), "\"a");
    }

    #[test]
    fn variables_are_marked_where_podman_build_expands_them() {
        for (word, marked, names) in [
            (r#""a $B c""#, "\"a _ c\"", &[("B", false)][..]),
            ("${B}$C", "__", &[("B", false), ("C", false)]),
            ("${B:-x y}$1x", "__x", &[("B", true), ("1", false)]),
            (r#""\$B" \$C"#, r#""\$B" \$C"#, &[]),
            ("'$B ${C}'", "'$B ${C}'", &[]),
            ("$ $( $$ a$", "$ $( $$ a$", &[]),
            ("${B", "_", &[("B", true)]),
        ] {
            let names = names.iter().map(|(name, set)| ((*name).to_owned(), *set)).collect();
            assert_eq!(mark_variables(word, '\\', '_'), (marked.to_owned(), names), "{word}");
        }
    }
}
