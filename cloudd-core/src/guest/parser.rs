use super::{EventBody, FailureReason, GuestEvent, Source, sanitize_untrusted};
use crate::provider::BuildId;

/// What the parser found in the bytes of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parsed {
    /// An event of this build that was not seen before.
    Event(GuestEvent),
    /// Events that never came, before the one that follows.
    Gap {
        /// Whose.
        from: Source,
        /// How many.
        missing: u64,
    },
}

/// Turns the bytes of a channel into events: whole lines, each event once, in order.
///
/// The bytes are untrusted. Lines that are no events of this build are left out, control
/// characters in texts are replaced (a log line must not steer the reader's terminal), and memory
/// is bounded whatever arrives: [`EventParser::MAX_LINE`] for what is not a line yet,
/// [`EventParser::MAX_TEXT`] for a text in an event.
#[derive(Debug)]
pub struct EventParser {
    build: String,
    line: Vec<u8>,
    /// The current line is longer than allowed and left out up to its end.
    overlong: bool,
    /// The sequence number seen last from each source.
    seen: [(Source, u64); 3],
}

impl EventParser {
    /// The longest line in bytes; the guest side writes at most 4,000.
    pub const MAX_LINE: usize = 8 * 1024;

    /// The longest text in bytes of a log line, a message or a reason; the guest side writes at
    /// most 1,000. What is longer is cut.
    pub const MAX_TEXT: usize = 2 * 1024;

    /// A parser for the events of one build.
    #[must_use]
    pub fn new(build: &BuildId) -> Self {
        Self {
            build: build.to_string(),
            // Never grows: what would not fit is not kept.
            line: Vec::with_capacity(Self::MAX_LINE),
            overlong: false,
            seen: [(Source::Stage1, 0), (Source::Stage2, 0), (Source::Return, 0)],
        }
    }

    /// Takes the next bytes and gives what they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Parsed> {
        let mut found = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            self.extend_line(text);
            if ended {
                self.finish_line(&mut found);
            }
        }
        found
    }

    /// How many bytes are kept for a line that has not ended: at most
    /// [`EventParser::MAX_LINE`], whatever was pushed.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.line.capacity()
    }

    fn extend_line(&mut self, text: &[u8]) {
        if self.overlong || self.line.len() + text.len() > Self::MAX_LINE {
            self.overlong = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(text);
        }
    }

    fn finish_line(&mut self, found: &mut Vec<Parsed>) {
        if std::mem::take(&mut self.overlong) {
            tracing::debug!("left out an overlong line of the guest");
        } else if let Some(event) = self.read_line() {
            self.take(event, found);
        }
        self.line.clear();
    }

    /// The event of this build in the current line, if there is one.
    fn read_line(&self) -> Option<GuestEvent> {
        let text = String::from_utf8_lossy(&self.line);
        // A reader that attached in the middle sees half a line first, and serial lines may carry
        // what a firmware left there: an event begins at its brace.
        let start = text.find('{')?;
        // The line is shown as a literal: a reader of logs has a terminal, too.
        let Ok(event) = serde_json::from_str::<GuestEvent>(text[start..].trim_end()) else {
            tracing::debug!(line = ?text, "not an event");
            return None;
        };
        if event.cloudd != GuestEvent::VERSION || event.build != self.build {
            tracing::debug!(line = ?text, "an event of another build or protocol");
            return None;
        }
        Some(event)
    }

    fn take(&mut self, mut event: GuestEvent, found: &mut Vec<Parsed>) {
        let Some((_, seen)) = self.seen.iter_mut().find(|(from, _)| *from == event.from) else {
            return;
        };
        if event.seq <= *seen {
            return; // a repetition after a reconnect
        }
        let missing = event.seq - *seen - 1;
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
    fn events_are_the_same_however_the_bytes_are_cut() {
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
    fn repeated_lines_are_dropped_and_missing_ones_are_told() {
        let mut parser = parser();
        let first = line(1, r#""event":"hello""#);
        assert_eq!(parser.push(first.as_bytes()).len(), 1);
        assert_eq!(parser.push(first.as_bytes()).len(), 0);
        let found = parser.push(line(4, r#""event":"done""#).as_bytes());
        assert_eq!(found[0], Parsed::Gap { from: Source::Stage1, missing: 2 });
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn what_is_no_event_of_this_build_is_left_out() {
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
    fn log_lines_cannot_steer_a_terminal() {
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
    fn a_line_without_end_takes_no_memory() {
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
