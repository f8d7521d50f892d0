//! The properties of [`EventParser`] for arbitrary input of a guest. Shared by the property tests and
//! the fuzz target (`fuzz/fuzz_targets/guest_events.rs`).

use cloudd_core::guest::{EventBody, EventParser, FailureReason, Parsed, Source};
use cloudd_core::provider::BuildId;

/// The build whose events are read.
pub(crate) const BUILD: &str = "abcdefghij";

/// Parses `bytes` at once and in pieces of the given lengths (repeated cyclically), and returns what
/// was found.
///
/// # Panics
/// If a property is violated.
pub(crate) fn judge(bytes: &[u8], lengths: &[usize]) -> Vec<Parsed> {
    let whole = read(std::iter::once(bytes));
    let pieces = Pieces { rest: bytes, lengths: lengths.iter().cycle() };
    assert_eq!(read(pieces), whole, "the pieces make a difference");
    check_order(&whole);
    for parsed in &whole {
        if let Parsed::Event(event) = parsed {
            assert_eq!(event.build, BUILD);
            texts(&event.body).into_iter().for_each(check_text);
        }
    }
    whole
}

/// Parses the pieces, and checks the memory of the parser.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Parsed> {
    let Ok(build) = BuildId::try_from(BUILD.to_owned()) else { panic!("{BUILD} is no build id") };
    let mut parser = EventParser::new(&build);
    let mut found = Vec::new();
    for piece in pieces {
        found.extend(parser.push(piece));
        assert!(parser.buffered() <= EventParser::MAX_LINE, "{} bytes kept", parser.buffered());
    }
    found
}

/// Checks that the numbers of each source increase, and that every missing event is reported.
fn check_order(found: &[Parsed]) {
    let mut seen = [(Source::Stage1, 0), (Source::Stage2, 0), (Source::Return, 0)];
    let mut told = None;
    for parsed in found {
        match parsed {
            Parsed::Gap { from, missing } => {
                assert!(told.is_none() && *missing > 0, "a gap without an event after it");
                told = Some((*from, *missing));
            }
            Parsed::Event(event) => {
                let Some((_, last)) = seen.iter_mut().find(|(from, _)| *from == event.from) else {
                    panic!("an event of an unknown source: {event:?}");
                };
                assert!(event.seq > *last, "an event twice: {event:?}");
                let missing = event.seq - *last - 1;
                assert_eq!(told.take(), (missing > 0).then_some((event.from, missing)));
                *last = event.seq;
            }
            other => panic!("unknown: {other:?}"),
        }
    }
    assert_eq!(told, None, "a gap without an event after it");
}

fn texts(body: &EventBody) -> Vec<&str> {
    match body {
        EventBody::Log { line: text, .. } | EventBody::Note { message: text } => vec![text],
        EventBody::Failed { reason: FailureReason::Other(reason), message, .. } => {
            vec![reason, message]
        }
        EventBody::Failed { message, .. } => vec![message],
        _ => vec![],
    }
}

/// Checks that a text is short and has no control characters except tabs.
fn check_text(text: &str) {
    assert!(text.len() <= EventParser::MAX_TEXT, "{} bytes of text", text.len());
    assert!(!text.contains(|char: char| char.is_control() && char != '\t'), "{text:?}");
}

struct Pieces<'a, L> {
    rest: &'a [u8],
    lengths: L,
}

impl<'a, L: Iterator<Item = &'a usize>> Iterator for Pieces<'a, L> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        // A length of 0 would not end.
        let length = self.lengths.next().map_or(self.rest.len(), |length| (*length).max(1));
        let (piece, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}
