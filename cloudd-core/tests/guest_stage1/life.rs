//! How the agent ends, and that it is alive.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::agent::{agent, agent_with, each};
use crate::guest_support::{events, failure};

#[test]
fn an_agent_that_ends_unexpectedly_says_so() {
    each(|guest| {
        let events = agent(guest, "begin run; exit 7");
        assert_eq!(failure(&events), ("internal", "the agent ended unexpectedly"));
        assert_eq!(events.last().unwrap()["exit"], 7);
        assert_eq!(events[events.len() - 2]["state"], "end", "the step was ended");
    });
}

#[test]
fn an_agent_that_is_killed_is_reported_with_the_cause() {
    each(|guest| {
        let line =
            r#"{"cloudd":1,"build":"abcdefghij","from":"stage1","seq":1,"up":1,"event":"hello"}"#;
        let run = |events: &str| {
            guest.write("run/events", events);
            let overrides = format!("{}run={}\n", guest.paths(), guest.path("run").display());
            guest.write("test.sh", overrides);
            let mut command = Command::new(guest.shell());
            command.arg(guest.path("lib/last_words.sh"));
            command.env("CLOUDD_TEST", guest.path("test.sh"));
            command.env("SERVICE_RESULT", "signal").env("EXIT_CODE", "killed");
            let output = command.env("EXIT_STATUS", "KILL").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            guest.text("run/events")
        };
        // The agent was killed while it wrote its second event.
        let text = run(&format!("{line}\n{}", &line[..40]));
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["seq"], 2, "{text}");
        assert_eq!(last["event"], "failed");
        assert_eq!(last["message"], "the agent was ended: signal (killed KILL)");
        // It has reported its result before.
        let text = format!("{line}\n");
        assert_eq!(run(&text), text);
        fs::remove_file(guest.path("run/reported")).unwrap();
    });
}

#[test]
fn an_agent_at_work_sends_a_heartbeat() {
    each(|guest| {
        let pause = guest.path("pause").display().to_string();
        // The first pause is short.
        guest.program("sleep", &format!("[ ! -e {pause} ] || exec /bin/sleep 60; touch {pause}"));
        let events = agent_with(guest, "", "begin run; logged /bin/sleep 1; end");
        let beats = events.iter().filter(|event| event["event"] == "alive").count();
        assert_eq!(beats, 2, "{events:?}");
        fs::remove_file(pause).unwrap();
    });
}

#[test]
fn coming_up_again_is_reported_with_what_is_known() {
    each(|guest| {
        for (state, refused, expected) in [
            (
                "armed",
                None,
                ("stage2_not_entered", "the builder booted again after exitrd was armed"),
            ),
            ("armed", Some("lib/refused"), ("stage2_refused", "no disk is x")),
            ("armed", Some("run/refused"), ("stage2_refused", "no disk is x")),
            ("started", None, ("internal", "the builder rebooted during stage 1")),
        ] {
            let _ = fs::remove_dir_all(guest.path("run"));
            let _ = fs::remove_file(guest.path("lib/refused"));
            guest.write("lib/state", format!("{state}\n"));
            if let Some(file) = refused {
                guest.write(file, "no disk is x\n");
            }
            let output = guest.stage("lib/stage1.sh", &[], "");
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let events = events(&guest.read("run/events"));
            assert_eq!(failure(&events), expected);
            assert!(events.iter().all(|event| event["from"] == "return"));
        }
    });
}
