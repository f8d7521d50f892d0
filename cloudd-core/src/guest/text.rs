/// A text of a guest, made safe to keep and to show: at most `longest` bytes of it, and no control
/// characters, with which it could steer the reader's terminal.
pub(crate) fn sanitize_untrusted(text: &str, longest: usize) -> String {
    const CUT: char = '…';
    let mut sanitized = text.replace(char::is_control, "\u{fffd}");
    if sanitized.len() > longest {
        let room = longest.saturating_sub(CUT.len_utf8());
        let end = (0..=room).rev().find(|end| sanitized.is_char_boundary(*end)).unwrap_or(0);
        sanitized.truncate(end);
        sanitized.push(CUT);
    }
    sanitized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_characters_and_loses_what_steers_a_terminal() {
        assert_eq!(
            sanitize_untrusted("grüße \u{1b}[2J\u{9b}\u{7f}", 100),
            "grüße \u{fffd}[2J\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(sanitize_untrusted("exactly", 7), "exactly");
        for longest in 3..20 {
            let cut = sanitize_untrusted(&"ü€".repeat(50), longest);
            assert!(cut.len() <= longest && cut.ends_with('…'), "{longest}: {cut}");
        }
        // What replaces a control character is longer than it.
        assert!(sanitize_untrusted(&"\u{1}".repeat(1000), 1000).len() <= 1000);
    }
}
