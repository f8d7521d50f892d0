//! Text for people: durations, and text of a guest that is safe to show.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

/// A duration in the units that people use, such as `5 min`, `1 h 30 min`, `1.5 s` or `200 ms`.
///
/// From one minute on, fractions of a second are dropped; from one hour on, seconds are dropped.
#[must_use]
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (value, unit, rest, rest_unit) = match seconds {
        0 if duration.is_zero() => return "0 s".to_owned(),
        0 => return format!("{} ms", duration.as_millis()),
        1..60 if duration.subsec_millis() > 0 => return format!("{:.1} s", duration.as_secs_f32()),
        1..60 => return format!("{seconds} s"),
        60..3600 => (seconds / 60, "min", seconds % 60, "s"),
        _ => (seconds / 3600, "h", seconds % 3600 / 60, "min"),
    };
    match rest {
        0 => format!("{value} {unit}"),
        _ => format!("{value} {unit} {rest} {rest_unit}"),
    }
}

/// An untrusted text, safe to keep and to print: at most `max_bytes` of it, cut at a character and
/// marked with `…`. Control characters except tabs, which could control the reader's terminal, and the characters
/// that reorder text (Unicode Standard Annex 9, "Explicit Directional Formatting Characters"), which
/// could show another text than the one that is there, become U+FFFD.
#[must_use]
pub fn sanitize_untrusted(text: &str, max_bytes: usize) -> String {
    const CUT: char = '…';
    let mut sanitized = text.replace(is_unsafe, "\u{fffd}");
    if sanitized.len() > max_bytes {
        let room = max_bytes.saturating_sub(CUT.len_utf8());
        let end = (0..=room).rev().find(|end| sanitized.is_char_boundary(*end)).unwrap_or(0);
        sanitized.truncate(end);
        sanitized.push(CUT);
    }
    sanitized
}

/// An untrusted text of several lines, safe to print: as [`sanitize_untrusted`], except that newlines
/// stay.
pub(crate) fn sanitize_lines(text: &str, max_bytes: usize) -> String {
    // Two pieces can be longer than the whole: a cut is marked.
    let lines: Vec<_> = text.split('\n').map(|line| sanitize_untrusted(line, max_bytes)).collect();
    let end = lines.iter().scan(0_usize, |sum, line| {
        *sum = sum.saturating_add(line.len());
        Some(*sum)
    });
    let fitting = end.take_while(|end| *end <= max_bytes).count().max(1);
    lines[..fitting.min(lines.len())].join("\n")
}

fn is_unsafe(char: char) -> bool {
    char.is_control() && char != '\t'
        || matches!(char, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A word of POSIX shell that stands for exactly this text.
pub(crate) fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_the_units_that_people_use() {
        for (millis, shown) in [
            (0, "0 s"),
            (200, "200 ms"),
            (1_000, "1 s"),
            (1_500, "1.5 s"),
            (59_000, "59 s"),
            (90_000, "1 min 30 s"),
            (300_000, "5 min"),
            (3_600_000, "1 h"),
            (5_400_500, "1 h 30 min"),
            (90_000_000, "25 h"),
        ] {
            assert_eq!(human_duration(Duration::from_millis(millis)), shown);
        }
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(
            sanitize_untrusted("grüße \u{1b}[2J\u{9b}\u{7f}", 100),
            "grüße \u{fffd}[2J\u{fffd}\u{fffd}"
        );
        assert_eq!(
            sanitize_untrusted("a\u{202e}b\u{2066}\u{2028}", 100),
            "a\u{fffd}b\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_marked() {
        assert_eq!(sanitize_untrusted("exactly", 7), "exactly");
        for max_bytes in 3..20 {
            let cut = sanitize_untrusted(&"ü€".repeat(50), max_bytes);
            assert!(cut.len() <= max_bytes && cut.ends_with('…'), "{max_bytes}: {cut}");
        }
        // U+FFFD is longer than the control character that it replaces.
        assert!(sanitize_untrusted(&"\u{1}".repeat(1000), 1000).len() <= 1000);
    }
}
