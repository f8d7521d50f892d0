use crate::{bare, ended};

fn help(arguments: &[&str]) -> String {
    let help = ended(bare(arguments).output().expect("cloudd"));
    assert_eq!(help.code, Some(0), "{}", help.err);
    help.out
}

#[test]
fn help_fits_on_a_screen() {
    let pages: [(&[&str], usize); 6] = [
        (&["--help"], 24),
        (&["build", "--help"], 40),
        (&["preview", "--help"], 40),
        (&["sweep", "--help"], 24),
        (&["list", "--help"], 24),
        (&["delete", "--help"], 24),
    ];
    for (arguments, high) in pages {
        let text = help(arguments);
        assert!(text.lines().count() <= high, "{} lines:\n{text}", text.lines().count());
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
    }
}

#[test]
fn help_names_the_exit_codes() {
    assert!(help(&["--help"]).contains("3 some\nresources remain"));
}

#[test]
fn completions_exist_for_the_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let script = help(&["completions", shell]);
        for word in ["build", "delete", "--volume-size"] {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn an_invalid_command_line_is_exit_code_2_with_what_is_expected() {
    let cases: [(&[&str], &str); 6] = [
        (&["build", "x", ".", "--volume-size", "10GB"], "such as 10GiB or 512MiB"),
        (&["build", "x", ".", "--env", "A"], "expected NAME=VALUE"),
        (&["build", "x", ".", "--arch", "riscv"], "expected x86_64 or aarch64"),
        (&["build", "x", ".", "--boot-check", "udp:1"], "expected tcp:PORT, ssh:PORT, http:PORT"),
        (&["delete", "nonsense/1"], "expected vm, volume, image or lease"),
        (&["build", "x"], "CONTEXT"),
    ];
    for (arguments, expected) in cases {
        let ended = ended(bare(arguments).output().expect("cloudd"));
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}

#[test]
fn a_configuration_is_read_from_a_pipe_too_and_has_a_limit() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut command = bare(&["preview", "x", "--builtin", "debian", "--config", "/dev/stdin"]);
    command.stdin(reader);
    let writing = std::thread::spawn(move || {
        // Ends when the reader has seen enough.
        while std::io::Write::write_all(&mut writer, &[b'x'; 4096]).is_ok() {}
    });
    let ended = ended(command.output().expect("cloudd"));
    drop(command);
    writing.join().unwrap();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("/dev/stdin is longer than 1 MiB"), "{}", ended.err);
}
