use super::{EventBody, FailureReason, GuestEvent, Source};
use crate::provider::BuildId;
use crate::text::sanitize_untrusted;

/// What an [`EventParser`] finds in the bytes of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parsed {
    /// A new event of this build.
    Event(GuestEvent),
    /// Events that are missing before the event that follows.
    Gap {
        /// The source of the missing events.
        from: Source,
        /// The number of missing events.
        missing: u64,
    },
}

/// Parses the bytes of a channel into events: whole lines, each event once, in order.
///
/// The bytes are untrusted. Lines that are not events of this build are ignored, control characters
/// in texts are replaced so that they cannot control the reader's terminal, and memory is bounded
/// for any input: [`EventParser::MAX_LINE`] for an incomplete line, [`EventParser::MAX_TEXT`] for a
/// text in an event.
#[derive(Debug)]
pub struct EventParser {
    build: String,
    /// The incomplete line.
    line: Vec<u8>,
    /// The current line is too long and ignored up to its newline.
    overlong: bool,
    /// The last sequence number of each source.
    seen: [(Source, u64); 3],
}

impl EventParser {
    /// The longest line in bytes; the guest scripts write at most 4,000.
    pub const MAX_LINE: usize = 8 * 1024;

    /// The longest text in bytes of a log line, a message or a reason; longer ones are truncated.
    /// The guest scripts write at most 1,000.
    pub const MAX_TEXT: usize = 2 * 1024;

    /// The most events that can be missing between two events of a source.
    pub const MAX_GAP: u64 = 100_000;

    /// Creates a parser for the events of one build.
    #[must_use]
    pub fn new(build: &BuildId) -> Self {
        Self {
            build: build.to_string(),
            // Never reallocated: longer lines are not stored.
            line: Vec::with_capacity(Self::MAX_LINE),
            overlong: false,
            seen: [(Source::Stage1, 0), (Source::Stage2, 0), (Source::Return, 0)],
        }
    }

    /// Parses the next bytes, and returns what they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Parsed> {
        let mut found = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            if self.overlong || self.line.len().saturating_add(text.len()) > Self::MAX_LINE {
                self.overlong = true;
                self.line.clear();
            } else {
                self.line.extend_from_slice(text);
            }
            if piece.ends_with(b"\n") {
                if std::mem::take(&mut self.overlong) {
                    tracing::debug!("ignored an overlong line of the guest");
                } else if let Some(event) = self.parse_line() {
                    self.accept(event, &mut found);
                }
                self.line.clear();
            }
        }
        found
    }

    /// Returns the memory in bytes that holds the incomplete line, at most [`EventParser::MAX_LINE`].
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.line.capacity()
    }

    /// Parses the current line. `None` if it is not an event of this build.
    fn parse_line(&self) -> Option<GuestEvent> {
        let text = String::from_utf8_lossy(&self.line);
        // Bytes before the brace are possible: the first line is incomplete for a reader that attaches
        // late, and firmware writes to the serial port, too.
        let start = text.find('{')?;
        // Logged with `?`, which escapes control characters.
        let Ok(event) = serde_json::from_str::<GuestEvent>(text[start..].trim_end()) else {
            tracing::debug!(line = ?text, "not an event");
            return None;
        };
        if event.cloudd != GuestEvent::VERSION || event.build != self.build {
            tracing::debug!(line = ?text, "an event of another build or protocol version");
            return None;
        }
        Some(event)
    }

    /// Appends a new event, after the gap before it. Ignores a repeated event.
    fn accept(&mut self, mut event: GuestEvent, found: &mut Vec<Parsed>) {
        let Some((_, seen)) = self.seen.iter_mut().find(|(from, _)| *from == event.from) else {
            return;
        };
        if event.seq <= *seen {
            return;
        }
        let missing = event.seq.saturating_sub(*seen).saturating_sub(1);
        // A serial port that overflows loses hundreds of events. A number that is far off is a corrupt
        // one; taken as the last one, it would hide all later events.
        if missing > Self::MAX_GAP {
            tracing::debug!(
                seq = event.seq,
                seen = *seen,
                "an event with a sequence number out of range"
            );
            return;
        }
        *seen = event.seq;
        if missing > 0 {
            found.push(Parsed::Gap { from: event.from, missing });
        }
        event.body.sanitize();
        found.push(Parsed::Event(event));
    }
}

impl EventBody {
    fn sanitize(&mut self) {
        if let Self::Failed { reason: FailureReason::Other(reason), .. } = self {
            *reason = sanitize_untrusted(reason, EventParser::MAX_TEXT);
        }
        if let Self::Log { line: text, .. }
        | Self::Note { message: text }
        | Self::Failed { message: text, .. } = self
        {
            *text = sanitize_untrusted(text, EventParser::MAX_TEXT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::{FailureReason, Step};

    fn parser() -> EventParser {
        EventParser::new(&BuildId::try_from("abcdefghij".to_owned()).unwrap())
    }

    fn line(seq: u64, rest: &str) -> String {
        format!(r#"{{"cloudd":1,"build":"abcdefghij","from":"stage1","seq":{seq},{rest}}}"#) + "\n"
    }

    fn bodies(found: Vec<Parsed>) -> Vec<EventBody> {
        found
            .into_iter()
            .filter_map(|parsed| match parsed {
                Parsed::Event(event) => Some(event.body),
                Parsed::Gap { .. } => None,
            })
            .collect()
    }

    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_split() {
        let text = line(1, r#""event":"hello""#)
            + &line(2, r#""event":"progress","step":"copy","done":5,"total":9"#)
            + &line(3, r#""event":"failed","reason":"container_failed","exit":3,"message":"x""#);
        let whole = bodies(parser().push(text.as_bytes()));
        assert_eq!(
            whole,
            [
                EventBody::Hello,
                EventBody::Progress { step: Step::Copy, done: 5, total: 9 },
                EventBody::Failed {
                    reason: FailureReason::ContainerFailed,
                    exit: Some(3),
                    message: "x".into()
                },
            ]
        );
        for size in 1..text.len() {
            let mut parser = parser();
            let pieces: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|piece| parser.push(piece)).collect();
            assert_eq!(bodies(pieces), whole, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn repeated_lines_are_dropped_and_gaps_are_reported() {
        let mut parser = parser();
        let first = line(1, r#""event":"hello""#);
        assert_eq!(parser.push(first.as_bytes()).len(), 1);
        assert_eq!(parser.push(first.as_bytes()).len(), 0);
        let found = parser.push(line(4, r#""event":"done""#).as_bytes());
        assert_eq!(found[0], Parsed::Gap { from: Source::Stage1, missing: 2 });
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn an_odd_exit_code_does_not_hide_a_failure() {
        for exit in ["99999999999", "-99999999999999999999", "1.5", "\"x\"", "null", "[]"] {
            let text =
                format!(r#""event":"failed","reason":"internal","exit":{exit},"message":"m""#);
            let [EventBody::Failed { exit: None, message, .. }] =
                &bodies(parser().push(line(1, &text).as_bytes()))[..]
            else {
                panic!("{exit}")
            };
            assert_eq!(message, "m");
        }
    }

    #[test]
    fn a_sequence_number_out_of_range_does_not_hide_later_events() {
        let mut parser = parser();
        for far in [u64::MAX, EventParser::MAX_GAP + 2] {
            assert_eq!(parser.push(line(far, r#""event":"hello""#).as_bytes()), []);
        }
        assert_eq!(parser.push(line(1, r#""event":"hello""#).as_bytes()).len(), 1);
    }

    #[test]
    fn lines_that_are_not_events_of_this_build_are_ignored() {
        let mut parser = parser();
        let other = line(1, r#""event":"done""#).replace("abcdefghij", "0000000000");
        let newer = line(1, r#""event":"done""#).replace(r#""cloudd":1"#, r#""cloudd":2"#);
        for noise in
            [other.as_str(), newer.as_str(), "noise\n", "{\n", "\n", "\u{0}\u{ff}{\"a\":1}\n"]
        {
            assert_eq!(parser.push(noise.as_bytes()), [], "{noise:?}");
        }
        assert_eq!(parser.push(&[0xff, 0xfe, b'\n']), []);
        let after_noise = format!("\u{1b}c garbage {}", line(1, r#""event":"hello""#));
        assert_eq!(bodies(parser.push(after_noise.as_bytes())), [EventBody::Hello]);
    }

    #[test]
    fn events_and_reasons_of_newer_guests_are_kept_as_unknown() {
        let text = line(1, r#""event":"teleport","where":"moon""#)
            + &line(2, r#""event":"failed","reason":"moon_missing","message":"m""#);
        assert_eq!(
            bodies(parser().push(text.as_bytes())),
            [
                EventBody::Unknown,
                EventBody::Failed {
                    reason: FailureReason::Other("moon_missing".into()),
                    exit: None,
                    message: "m".into()
                }
            ]
        );
    }

    #[test]
    fn control_characters_of_log_lines_are_replaced() {
        let text = line(1, r#""event":"log","step":"run","line":"a\u001b[2Jb""#);
        let [EventBody::Log { line, .. }] = &bodies(parser().push(text.as_bytes()))[..] else {
            panic!("one log line expected");
        };
        assert_eq!(line, "a\u{fffd}[2Jb");

        let text = line_of_a_reason("\\u001b[2Jboo");
        let [EventBody::Failed { reason, .. }] = &bodies(parser().push(text.as_bytes()))[..] else {
            panic!("one failure expected");
        };
        assert_eq!(reason.to_string(), "\u{fffd}[2Jboo");
    }

    fn line_of_a_reason(reason: &str) -> String {
        line(1, &format!(r#""event":"failed","reason":"{reason}","message":"m""#))
    }

    #[test]
    fn a_line_without_end_needs_no_memory() {
        let mut parser = parser();
        for _ in 0..1000 {
            assert_eq!(parser.push(&[b'{'; 4096]), []);
            assert!(parser.buffered() <= EventParser::MAX_LINE);
        }
        let mut text = "\n".to_owned();
        text += &line(1, r#""event":"hello""#);
        assert_eq!(bodies(parser.push(text.as_bytes())), [EventBody::Hello]);
    }
}
