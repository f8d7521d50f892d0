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
}
