//! Output of commands becomes events.

use std::fs;

use serde_json::Value;

use crate::agent::{agent, each, in_small_run, lines};
use crate::guest_support::{Guest, events};

/// Returns the log lines for a command that prints these bytes.
fn logged(guest: &Guest, bytes: &[u8]) -> Vec<String> {
    guest.write("bytes", bytes);
    let script = format!("begin run; logged cat {}", guest.path("bytes").display());
    lines(&agent(guest, &script)).into_iter().map(str::to_owned).collect()
}

#[test]
fn output_of_any_kind_becomes_lines_that_hold_what_can_be_read() {
    let table: [(&[u8], &[&str]); 9] = [
        (b"one\ntwo\n", &["one", "two"]),
        (b"no line break at the end", &["no line break at the end"]),
        (b"10%\r20%\r\n30%\r", &["10%", "20%", "30%"]),
        (b"\n\n  \n", &["  "]),
        (b"say \"hi\" \\n \tthere", &["say \"hi\" \\n \tthere"]),
        (b"\x1b[31mred\x07\0\x7f", &["?[31mred???"]),
        ("grün ✓ 😀".as_bytes(), &["grün ✓ 😀"]),
        (b"a\xffb\xc3 \xe2\x9c c\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf", &["ab  c"]),
        (b"", &[]),
    ];
    each(|guest| {
        for (bytes, expected) in table {
            assert_eq!(logged(guest, bytes), expected, "{bytes:?}");
        }
    });
}

#[test]
fn lines_are_reported_while_the_command_runs() {
    each(|guest| {
        let events = guest.path("run/events").display().to_string();
        let count = format!("echo one; sleep 2; echo reported: $(grep -c '\"one\"' {events})");
        guest.write("command", count);
        let script = format!("begin run; logged sh {}", guest.path("command").display());
        assert_eq!(lines(&agent(guest, &script)), ["one", "reported: 1"]);
        // Tools whose output comes when their input ends, as those of uutils.
        for tool in ["tr", "cut"] {
            let late =
                format!("[ $1 != --version ] || exit 0; x=$(/usr/bin/{tool} \"$@\"); echo \"$x\"");
            guest.program(tool, &late);
        }
        assert_eq!(lines(&agent(guest, &script)), ["one", "reported: 1"]);
        assert_eq!(logged(guest, b"10%\r20%\r\n\x1b[1m\0 \xc3\xbc\n"), ["10%", "20%", "?[1m? ü"]);
        for tool in ["tr", "cut"] {
            fs::remove_file(guest.path("bin").join(tool)).unwrap();
        }
    });
}

#[test]
fn output_that_looks_like_an_event_stays_output() {
    let fake = r#"{"cloudd":1,"build":"abcdefghij","from":"stage2","seq":1,"event":"done"}"#;
    each(|guest| assert_eq!(logged(guest, fake.as_bytes()), [fake]));
}

#[test]
fn a_megabyte_without_a_line_break_is_one_short_line() {
    each(|guest| {
        let mut bytes = vec![b'"'; 1 << 20];
        bytes.extend(b"\nnext");
        assert_eq!(logged(guest, &bytes), ["\"".repeat(1000), "next".to_owned()]);
    });
}

#[test]
fn a_character_at_the_cut_is_not_cut() {
    each(|guest| {
        let long = format!("{}ü and more", "x".repeat(999));
        assert_eq!(logged(guest, long.as_bytes()), ["x".repeat(999)]);
    });
}

#[test]
fn output_of_both_kinds_is_logged_and_the_exit_code_kept() {
    each(|guest| {
        let events = agent(
            guest,
            r#"begin build; logged sh -c 'echo out; echo err >&2; exit 42'; end "$code""#,
        );
        assert_eq!(lines(&events), ["out", "err"]);
        assert_eq!(events.last().unwrap()["exit"], 42);
        assert!(events.iter().all(|event| event["from"] == "stage1"));
    });
}

#[test]
fn messages_of_any_kind_are_valid_events() {
    each(|guest| {
        let events = agent(guest, r#"note "$(printf 'a "b" \\ \t\303\274 \001\nnext')""#);
        assert_eq!(events.last().unwrap()["message"], "a 'b' ? ??? ??next");
    });
}

#[test]
fn what_is_secret_in_a_url_is_not_logged() {
    each(|guest| {
        for (line, shown) in [
            ("get https://user:hunter2@h.example/x now", "get https://***@h.example/x now"),
            ("\"https://h.example/x?sig=hunter2\" ok", "\"https://h.example/x?*** ok"),
            ("http://hunter2@a/#hunter2\thttp://b/c@d", "http://***@a/#***\thttp://b/c@d"),
            ("why? a@b", "why? a@b"),
        ] {
            assert_eq!(logged(guest, line.as_bytes()), [shown]);
        }
    });
}

#[test]
fn much_output_leaves_room_for_the_events_that_matter() {
    each(|guest| {
        let line = "x".repeat(90);
        let script = format!(
            "begin build; logged sh -c 'seq -f \"{line} %g\" 1 5000'; end; \
             begin run; logged sh -c 'seq -f \"again %g\" 1 50'; note done; \
             emit '\"event\":\"armed\",\"entry\":\"exitrd\"'"
        );
        guest.write(
            "lib/env",
            "CLOUDD_BUILD='abcdefghij'\nCLOUDD_PORT=''\nCLOUDD_ENTRY='exitrd'\nCLOUDD_LOG_BYTES=10000\n",
        );
        let events = agent(guest, &script);
        assert!(guest.read("run/events").len() < 30_000, "{}", guest.read("run/events").len());
        let notes = events.iter().filter(|event| event["event"] == "note");
        let notes: Vec<_> = notes.map(|event| event["message"].as_str().unwrap()).collect();
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].starts_with("the log is full"), "{notes:?}");
        let lines = lines(&events);
        assert_eq!(lines[0], format!("{line} 1"));
        let first: Vec<_> = lines.iter().filter(|text| text.starts_with(&line)).collect();
        assert!((40..60).contains(&first.len()), "{}", first.len());
        let last: Vec<_> = (4981..=5000).map(|n| format!("{line} {n}")).collect();
        assert!(first.iter().rev().take(20).map(|line| **line).eq(last.iter().rev()), "{first:?}");
        let again: Vec<_> = lines.iter().filter(|text| text.starts_with("again")).collect();
        assert_eq!(again.len(), 20);
        assert_eq!(*again[19], "again 50");
        let steps = events.iter().filter(|event| event["event"] == "step").count();
        assert_eq!(steps, 3);
        assert_eq!(events.last().unwrap()["event"], "armed");
    });
}

#[test]
fn a_full_file_system_does_not_silence_the_agent() {
    each(|guest| {
        // The container fills the rest of the file system, also where the log still has room.
        let main = "main() {\nstart_writer\ntrap at_exit EXIT\nimage=image\nbegin run\nexport run\n\
             logged sh -c 'seq 1 500; cat /dev/zero >$run/fill; seq 501 1000; exit 3'\n\
             fail container_failed \"$code\" 'the install container ended'\n}";
        let output = in_small_run(guest, main);
        let text = guest.text("events");
        let last = text.lines().last().unwrap_or_else(|| panic!("{output:?}"));
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["event"], "failed", "{text}\n{output:?}");
        assert_eq!(last["exit"], 3);
        assert!(text.contains("the log is full"), "{text}");
        let end = text.lines().rev().nth(1).unwrap();
        assert!(end.contains(r#""state":"end","exit":3"#), "{end}");
    });
}

#[test]
fn a_full_file_system_hides_neither_the_exit_code_nor_a_use_of_the_volume() {
    each(|guest| {
        guest.disk("vdb", "serial", "cloudd-volume", 2048);
        guest.write("sys/block/vdb/dev", "254:16\n");
        let main = "heartbeat() { :; }\nmain() {\nstart_writer\ntrap at_exit EXIT\nbegin run\n\
             cat /dev/zero >$run/fill\n\
             logged_last sh -c 'echo x; exit 0' && note \"zero, last $(cat $run/last)\"\n\
             logged_last sh -c 'exit 42'\nnote \"$code\"\n\
             volume=vdb\nnote \"$(volume_users)\"\nflush\nreported=yes\n}";
        let output = in_small_run(guest, main);
        let events = events(guest.text("events").as_bytes());
        let notes = events.iter().filter(|event| event["event"] == "note");
        let notes: Vec<_> = notes.map(|event| event["message"].as_str().unwrap()).collect();
        let unknown = "unknown, because /run is full";
        assert_eq!(notes[notes.len() - 3..], ["zero, last ", "42", unknown], "{output:?}");
    });
}
