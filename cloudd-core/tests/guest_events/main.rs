//! Events of a guest are untrusted input: the install container runs as root in the same VM.
//!
//! Inputs are random; a failure prints the smallest failing input. The fuzz target (`make fuzz`) checks
//! the same properties for longer.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod forged;
#[path = "../guest_support/mod.rs"]
mod guest_support;
mod judge;

use cloudd_core::guest::{EventBody, EventParser, Parsed, Source};
use judge::{BUILD, judge};
use proptest::collection::vec;
use proptest::prelude::*;

/// An event of stage 1, with its newline.
fn event(seq: u64, rest: &str) -> Vec<u8> {
    let line = format!(r#"{{"cloudd":1,"build":"{BUILD}","from":"stage1","seq":{seq},{rest}}}"#);
    (line + "\n").into_bytes()
}

fn log(seq: u64, line: &str) -> Vec<u8> {
    let line = serde_json::to_string(line).unwrap();
    event(seq, &format!(r#""event":"log","step":"run","line":{line}"#))
}

/// Lines of a correct, a broken or a malicious guest.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let seq = || prop_oneof![1..6u64, any::<u64>()];
    let bodies = [
        r#""event":"hello""#,
        r#""event":"done""#,
        r#""event":"step","step":"copy","state":"end","exit":-1"#,
        r#""event":"progress","step":"copy","done":18446744073709551615,"total":0"#,
        r#""event":"failed","reason":"\u001b[2Jboo","exit":1,"message":"\u009b31m""#,
        r#""event":"armed","entry":"exitrd""#,
        r#""event":"teleport","where":{"deep":[[[[[[[[]]]]]]]]}"#,
        r#""event":"note","message":"\ud800""#,
    ];
    prop_oneof![
        (seq(), prop::sample::select(bodies.to_vec())).prop_map(|(seq, body)| event(seq, body)),
        (seq(), any::<String>()).prop_map(|(seq, line)| log(seq, &line)),
        // Giant: lengths around the limits of a line and of a text.
        (seq(), 0..3 * EventParser::MAX_LINE)
            .prop_map(|(seq, length)| log(seq, &"x".repeat(length))),
        (seq(), 0..EventParser::MAX_LINE)
            .prop_map(|(seq, length)| log(seq, &"\u{7f}".repeat(length))),
        (0..3 * EventParser::MAX_LINE).prop_map(|length| vec![b'{'; length]),
        // Truncated, with and without a newline.
        (seq(), any::<prop::sample::Index>(), any::<bool>()).prop_map(move |(seq, cut, ended)| {
            let mut line = event(seq, bodies[2]);
            line.truncate(cut.index(line.len()));
            line.extend(ended.then_some(b'\n'));
            line
        }),
        // Interleaved, as from two writers on one port.
        (vec(any::<bool>(), 0..400)).prop_map(|turns| interleaved(
            &log(1, "one"),
            &log(2, "two"),
            &turns
        )),
        // Not UTF-8, and other noise.
        vec(any::<u8>(), 0..300),
        (vec(128..=255u8, 1..9), seq()).prop_map(|(noise, seq)| [noise, log(seq, "x")].concat()),
    ]
}

/// Interleaves two byte strings.
fn interleaved(one: &[u8], other: &[u8], turns: &[bool]) -> Vec<u8> {
    let (mut one, mut other) = (one.iter(), other.iter());
    let mut mixed = Vec::new();
    for turn in turns {
        mixed.extend(if *turn { one.next() } else { other.next() });
    }
    mixed.extend(one.chain(other));
    mixed
}

/// Lengths of pieces: single bytes, reads of a serial port, reads of a socket.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..4usize, 1..100usize, 1..40_000usize], 1..8)
}

proptest! {
    #[test]
    fn bytes_of_any_kind_in_pieces_of_any_length(
        bytes in vec(any::<u8>(), 0..2000),
        lengths in lengths(),
    ) {
        judge(&bytes, &lengths);
    }

    #[test]
    fn lines_of_any_kind_in_pieces_of_any_length(
        lines in vec(lines(), 0..12),
        lengths in lengths(),
    ) {
        judge(&lines.concat(), &lengths);
    }

    #[test]
    fn whatever_came_before_the_next_whole_event_is_heard(
        noise in vec(lines(), 0..6),
        lengths in lengths(),
        text in "[a-z ]{1,50}",
    ) {
        let before = [noise.concat(), b"\n".to_vec()].concat();
        let heard_before = judge(&before, &[usize::MAX]);
        let seen = heard_before.iter().filter_map(|parsed| match parsed {
            Parsed::Event(event) if event.from == Source::Stage1 => Some(event.seq),
            _ => None,
        });
        let next = seen.max().unwrap_or(0) + 1;
        let found = judge(&[before, log(next, &text)].concat(), &lengths);
        prop_assert_eq!(found.len(), heard_before.len() + 1);
        let Some(Parsed::Event(event)) = found.last() else {
            return Err(TestCaseError::fail("the event is not the last that was heard"));
        };
        prop_assert_eq!(event.seq, next);
        let heard = matches!(&event.body, EventBody::Log { line, .. } if *line == text);
        prop_assert!(heard, "{event:?}");
    }
}

#[test]
fn a_line_of_64_mebibytes_is_kept_in_eight_kibibytes() {
    let mut parser = EventParser::new(&BUILD.to_owned().try_into().unwrap());
    let piece = vec![b'{'; 1 << 20];
    for _ in 0..64 {
        assert_eq!(parser.push(&piece), []);
        assert!(parser.buffered() <= EventParser::MAX_LINE);
    }
    assert_eq!(parser.push(b"\n"), []);
    assert_eq!(parser.push(&log(1, "after it")).len(), 1);
}
