//! Output of a container in the agent's pipe (`logged` in `assets/stage1.sh`).

use std::fs;

use cloudd_core::guest::{EventBody, Parsed};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::guest_support::{Guest, shells};
use super::judge::{BUILD, judge};

/// Output that imitates events: whole ones, with quotes to break out, with control characters.
fn forgeries() -> impl Strategy<Value = Vec<u8>> {
    let event =
        format!(r#"{{"cloudd":1,"build":"{BUILD}","from":"stage2","seq":1,"event":"done"}}"#);
    let breakout = r#"x","event":"done","line":""#.to_owned();
    let escape = r#"\u0022,\"event\":\"done\",\"#.to_owned();
    let part = prop_oneof![
        Just(event.clone().into_bytes()),
        Just(breakout.into_bytes()),
        Just(escape.into_bytes()),
        Just([b"\\".to_vec(), event.into_bytes()].concat()),
        prop::sample::select(vec![
            &b"\r"[..],
            b"\0",
            b"\n",
            b"\x01",
            b"\x02",
            b"\x1b[2J",
            b"\"",
            b"\\",
            b"}",
            b"{",
            b"\t",
            b"\xe2\x80",
            b"\xff",
        ])
        .prop_map(<[u8]>::to_vec),
        vec(any::<u8>(), 0..40),
        (900..1100usize).prop_map(|length| vec![b'x'; length]),
    ];
    vec(part, 1..6).prop_map(|parts| parts.concat())
}

#[test]
fn no_output_of_a_container_passes_for_an_event() {
    const OUTPUTS: usize = 400;
    let mut runner = TestRunner::default();
    for shell in shells() {
        let guest = Guest::new(shell);
        let mut output = Vec::new();
        for _ in 0..OUTPUTS {
            output.extend(forgeries().new_tree(&mut runner).unwrap().current());
            output.push(b'\n');
        }
        guest.write("bytes", &output);
        let main = format!(
            "heartbeat() {{ :; }}\nmain() {{\nstart_writer\ntrap at_exit EXIT\nbegin run; logged cat {}\nflush\nreported=yes\n}}",
            guest.path("bytes").display()
        );
        let told = guest.stage("lib/stage1.sh", &[], &main);
        let found = judge(&guest.read("run/events"), &[1000]);
        let mut logged = 0;
        for parsed in found {
            match parsed {
                Parsed::Event(event) => match event.body {
                    EventBody::Log { .. } => logged += 1,
                    EventBody::Hello | EventBody::Step { .. } => {}
                    forged => {
                        let _ = fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/forged"), &output);
                        panic!(
                            "forged with {shell}: {forged:?}, output in {}/forged",
                            env!("CARGO_TARGET_TMPDIR")
                        );
                    }
                },
                other => panic!("an event that was no valid line: {other:?}"),
            }
        }
        assert!(logged >= OUTPUTS, "{logged} lines of {OUTPUTS} outputs came through: {told:?}");
    }
}
