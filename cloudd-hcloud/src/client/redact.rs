//! Removing secrets from texts of the API.

/// The maximum number of characters kept of a text.
const MAX_LENGTH: usize = 600;

/// A run of this many characters that also occurs in a secret counts as a part of it.
const RUN: usize = 16;

const MARK: &str = "[redacted]";

/// Makes a text of the API safe to show: without control characters, of limited length, and without
/// the secrets or parts of them. A server may quote the start of what it rejects.
pub(super) fn redact(text: &str, secrets: &[&str]) -> String {
    let plain: Vec<char> =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LENGTH).collect();
    let mut is_secret = vec![false; plain.len()];
    for secret in secrets {
        mark(&plain, secret, &mut is_secret);
    }
    let mut out = String::new();
    for (index, c) in plain.iter().enumerate() {
        if !is_secret[index] {
            out.push(*c);
        } else if index == 0 || !is_secret[index - 1] {
            out.push_str(MARK);
        }
    }
    out
}

/// Marks every run of `text` that also occurs in `secret`.
fn mark(text: &[char], secret: &str, marks: &mut [bool]) {
    // The text has spaces in place of line breaks.
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

    #[test]
    fn a_secret_and_every_piece_of_it_are_hidden() {
        let token = "k7Jq0ZbN4x9sVt2LwYp8";
        let piece = &token[..17];
        assert_eq!(redact(&format!("bad token {token}!"), &[token]), "bad token [redacted]!");
        assert_eq!(redact(&format!("starts with {piece}"), &[token]), "starts with [redacted]");
    }

    #[test]
    fn a_short_secret_is_hidden_as_a_whole() {
        assert_eq!(redact("no hunter2 here", &["hunter2"]), "no [redacted] here");
        assert_eq!(redact("text", &[""]), "text");
    }

    #[test]
    fn a_quoted_line_break_hides_nothing() {
        let key = "-----BEGIN KEY-----\nAAAAB3NzaC1yc2E\n-----END KEY-----";
        let quoted = format!("cannot parse {key}");
        assert_eq!(redact(&quoted, &[key]), "cannot parse [redacted]");
    }

    #[test]
    fn control_characters_and_endless_texts_are_cut() {
        assert_eq!(redact("a\u{1b}[31mb\r\nc", &[]), "a [31mb  c");
        assert_eq!(redact(&"x".repeat(100_000), &[]).len(), MAX_LENGTH);
    }
}
