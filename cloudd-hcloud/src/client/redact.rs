//! Keeping secrets out of texts that come from elsewhere.

use std::sync::Arc;

/// The most characters of a foreign text that get into an error.
const LONGEST: usize = 600;

/// A run of this many characters that also stands in a secret is taken for a piece of it.
const RUN: usize = 16;

const MARK: &str = "[redacted]";

/// Makes a text of the API harmless: no control characters, of bounded length, and nothing of the
/// given secrets, not even a piece, since a server may quote the start of what it refuses.
pub(super) fn clean(text: &str, secrets: &[Arc<str>]) -> String {
    let plain: Vec<char> =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    let mut secret = vec![false; plain.len()];
    for needle in secrets {
        mark(&plain, needle, &mut secret);
    }
    let mut out = String::new();
    for (index, c) in plain.iter().enumerate() {
        if !secret[index] {
            out.push(*c);
        } else if index == 0 || !secret[index - 1] {
            out.push_str(MARK);
        }
    }
    out
}

/// Marks every run of `text` that also stands in `secret`.
fn mark(text: &[char], secret: &str, marks: &mut [bool]) {
    // Compared as the text was cleaned: a quoted line break arrives as a space.
    let secret: String = secret.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let length = RUN.min(secret.chars().count());
    if length == 0 {
        return;
    }
    for (start, window) in text.windows(length).enumerate() {
        let window: String = window.iter().collect();
        if secret.contains(&window) {
            marks[start..start + length].fill(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Vec<Arc<str>> {
        vec![text.into()]
    }

    #[test]
    fn a_secret_and_every_piece_of_it_are_hidden() {
        let token = "k7Jq0ZbN4x9sVt2LwYp8";
        let piece = &token[..17];
        assert_eq!(clean(&format!("bad token {token}!"), &secret(token)), "bad token [redacted]!");
        assert_eq!(
            clean(&format!("starts with {piece}"), &secret(token)),
            "starts with [redacted]"
        );
    }

    #[test]
    fn a_short_secret_is_hidden_as_a_whole() {
        assert_eq!(clean("no hunter2 here", &secret("hunter2")), "no [redacted] here");
        assert_eq!(clean("text", &secret("")), "text");
    }

    #[test]
    fn a_quoted_line_break_hides_nothing() {
        let key = "-----BEGIN KEY-----\nAAAAB3NzaC1yc2E\n-----END KEY-----";
        let quoted = format!("cannot parse {key}");
        assert_eq!(clean(&quoted, &secret(key)), "cannot parse [redacted]");
    }

    #[test]
    fn control_characters_and_endless_texts_are_cut() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc", &[]), "a [31mb  c");
        assert_eq!(clean(&"x".repeat(100_000), &[]).len(), LONGEST);
    }
}
