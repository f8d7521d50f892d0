//! The command that podman makes of a label: `generateRunlabelCommand` in podman's
//! `pkg/domain/infra/abi/containers_runlabel.go`, the same in podman 4.3 and 5.
//!
//! podman appends the arguments to the label, splits the text into words, replaces `IMAGE` and `NAME`,
//! joins the words by blanks, expands variables, and splits the text a second time. Quotes protect a
//! blank from the first split only. `tests/install_podman.rs` compares this file with the installed
//! podman, so it uses nothing else of this crate.

use std::collections::BTreeSet;

/// What podman inserts into the command.
pub(crate) struct Values<'a> {
    pub(crate) image: &'a str,
    pub(crate) name: &'a str,
    /// The value of `$PWD`, the only variable that podman knows in every version.
    pub(crate) directory: &'a str,
    /// The argument of `podman container runlabel`, appended to the label.
    pub(crate) argument: &'a str,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program and its arguments. The program `podman` is `/proc/self/exe`.
    pub(crate) words: Vec<String>,
    /// Words of the first split of which the second makes none or several.
    pub(crate) split_again: Vec<String>,
    /// The names of the variables that podman replaces by nothing.
    pub(crate) unset: BTreeSet<String>,
}

/// podman itself, as it starts itself again.
pub(crate) const SELF: &str = "/proc/self/exe";

/// The options of podman before its subcommand that have no value.
pub(crate) const GLOBAL_FLAGS: [&str; 9] =
    ["help", "noout", "r", "remote", "syslog", "trace", "transient-store", "v", "version"];

/// The options of `podman run` that have no value, in podman 4.3 to 5. All others have one.
pub(crate) const RUN_FLAGS: [&str; 30] = [
    "d",
    "detach",
    "disable-content-trust",
    "env-host",
    "help",
    "http-proxy",
    "i",
    "init",
    "interactive",
    "no-healthcheck",
    "no-hostname",
    "no-hosts",
    "oom-kill-disable",
    "P",
    "passwd",
    "privileged",
    "publish-all",
    "q",
    "quiet",
    "read-only",
    "read-only-tmpfs",
    "replace",
    "rm",
    "rmi",
    "rootfs",
    "sig-proxy",
    "t",
    "tls-verify",
    "tty",
    "unsetenv-all",
];

/// # Errors
/// Why podman runs nothing.
pub(crate) fn command(label: &str, values: &Values<'_>) -> Result<Command, &'static str> {
    let first = split(&format!("{label} {}", values.argument))?;
    let [program, arguments @ ..] = &first[..] else {
        return Err("is a comment, so there is no command");
    };
    let is_docker = program.trim_end_matches('/').rsplit('/').next() == Some("docker");
    let program = if program == "podman" || is_docker { SELF } else { program };
    let arguments = arguments.iter().map(|word| {
        let word = replace(word, "NAME", values.name);
        // `IMAGE=IMAGE` needs no case of its own: the rule for a word that ends in `=IMAGE` has its result.
        replace(&word, "IMAGE", values.image)
    });
    let words: Vec<String> = std::iter::once(program.to_owned()).chain(arguments).collect();

    let mut unset = BTreeSet::new();
    let text = expand(&words.join(" "), values.directory, &mut unset);
    let again = |word: &String| split(&expand(word, values.directory, &mut BTreeSet::new()));
    let is_lost = |word: &&String| {
        // A variable without a value is told by its name.
        let has_variable = expand(word, values.directory, &mut BTreeSet::new()) != **word;
        !has_variable && again(word).is_ok_and(|words| words.len() != 1)
    };
    let split_again = words.iter().filter(is_lost).cloned().collect();
    Ok(Command { words: split(&text)?, split_again, unset })
}

/// Replaces `KEY`, `$KEY`, `${KEY}`, and `=KEY` at the end of a word.
fn replace(word: &str, key: &str, value: &str) -> String {
    if word == key {
        return value.to_owned();
    }
    let word = word.replace(&format!("${key}"), value).replace(&format!("${{{key}}}"), value);
    let assigned = format!("={key}");
    if word.ends_with(&assigned) { word.replace(&assigned, &format!("={value}")) } else { word }
}

/// Splits like Go's `github.com/google/shlex`: quotes, backslashes, and comments, which start with `#`
/// at the start of a word and end at a line feed.
pub(crate) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if word.is_none() => {
                chars.by_ref().find(|c| *c == '\n');
            }
            '\\' => {
                let escaped = chars.next().ok_or("ends in a backslash")?;
                word.get_or_insert_default().push(escaped);
            }
            '"' | '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("has a quotation mark that is not closed")? {
                        end if end == c => break,
                        '\\' if c == '"' => {
                            let escaped = chars.next();
                            word.push(escaped.ok_or("has a quotation mark that is not closed")?);
                        }
                        inner => word.push(inner),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Expands variables like Go's `os.Expand`. All but `PWD` have no value; their names are added to `unset`.
fn expand(text: &str, directory: &str, unset: &mut BTreeSet<String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, len) = variable(after);
        match name {
            // A dollar sign without a name stays, except at the start of a wrong `${…}`.
            "" if len == 0 => expanded.push('$'),
            "PWD" => expanded.push_str(directory),
            name => {
                unset.insert(if name.is_empty() { "{" } else { name }.to_owned());
            }
        }
        rest = &after[len..];
    }
    expanded + rest
}

/// Returns the name of a variable and the length of what it is written as, after the dollar sign.
fn variable(text: &str) -> (&str, usize) {
    let is_special = |c: char| matches!(c, '*' | '#' | '$' | '@' | '!' | '?' | '-' | '0'..='9');
    let Some(braced) = text.strip_prefix('{') else {
        if text.starts_with(is_special) {
            return (&text[..1], 1);
        }
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &text[..end.unwrap_or(text.len())];
        return (name, name.len());
    };
    // A special name may be followed by its brace only.
    if braced.starts_with(is_special) && braced[1..].starts_with('}') {
        return (&braced[..1], 3);
    }
    match braced.find('}') {
        Some(0) => ("", 2),
        Some(end) => (&braced[..end], end + 2),
        None => ("", 1),
    }
}
