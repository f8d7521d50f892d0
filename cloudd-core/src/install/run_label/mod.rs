//! Checks the `RUN` label before anything is created.

mod podman;

use podman::{GLOBAL_FLAGS, RUN_FLAGS, SELF, Values};

use crate::text::sanitize_untrusted;

/// Stands for the value of a variable that only `podman build` knows.
pub(super) const UNKNOWN: char = '\u{fffc}';

/// Stands for the device node of the volume, which podman appends to the label.
const DEVICE: &str = "/dev/vdX";

/// What a `RUN` label that podman runs says.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Sentences without their subject, which is the label.
    pub(super) warnings: Vec<String>,
    /// Whether the image must have an entrypoint: the label has neither `--entrypoint` nor a program
    /// after `IMAGE`.
    pub(super) needs_entrypoint: bool,
}

/// Checks a label as `podman build` makes it, with [`UNKNOWN`] in place of each variable.
///
/// # Errors
/// Why the label cannot run an install container: a sentence without its subject, which is the label.
pub(super) fn check(label: &str) -> Result<Checked, String> {
    // `IMAGE` and `NAME` stand for themselves, so that they can be found in the command.
    let values = Values { image: "IMAGE", name: "NAME", directory: "/", argument: DEVICE };
    let command = podman::command(label, &values)?;
    let mut checked = Checked::default();
    checked.warnings.extend(command.split_again.iter().map(|word| {
        format!(
            "has the word {}, which podman splits again at its blanks; quote it twice, as in \"'A=b c'\"",
            shown(word)
        )
    }));
    checked.warnings.extend(command.unset.iter().map(|name| {
        format!(
            "has the variable {}, which podman replaces by nothing; it knows only $IMAGE, $NAME and $PWD",
            shown(&format!("${name}"))
        )
    }));
    if command.words.last().map(String::as_str) != Some(DEVICE) {
        return Err(
            "has a comment, which hides the volume's device that podman appends to the label"
                .to_owned(),
        );
    }
    let Some((program, arguments)) = command.words.split_first() else { return Ok(checked) };
    let is_podman = program == SELF || program.rsplit('/').next() == Some("podman");
    if !is_podman {
        checked.warnings.push(format!(
            "runs the program {} of the builder, not podman, so that nothing else is checked",
            shown(program)
        ));
        return Ok(checked);
    }
    checked.needs_entrypoint = check_podman(arguments).map_err(|problem| {
        // A word that was split again may be the reason.
        checked.warnings.iter().fold(problem, |told, also| format!("{told}; it also {also}"))
    })?;
    Ok(checked)
}

/// Checks the arguments of podman. Returns whether the image must have an entrypoint.
fn check_podman(arguments: &[String]) -> Result<bool, String> {
    let has_unknown = arguments.iter().any(|word| word.contains(UNKNOWN));
    let (_, subcommand) = options(arguments, &GLOBAL_FLAGS);
    let run = match subcommand {
        [container, run, rest @ ..] if container == "container" && run == "run" => rest,
        [run, rest @ ..] if run == "run" => rest,
        // The subcommand may be in a variable.
        _ if has_unknown => return Ok(false),
        [other, ..] => {
            return Err(format!(
                "has the podman command {}, expected `podman run`",
                shown(if other == DEVICE { "" } else { other })
            ));
        }
        [] => return Err("has no podman command, expected `podman run`".to_owned()),
    };
    let (options, rest) = options(run, &RUN_FLAGS);
    let is_true = |value: &str| matches!(value, "1" | "t" | "T" | "TRUE" | "true" | "True");
    let last = |names: [&str; 2]| {
        options.iter().rev().find(|(name, _)| names.contains(name)).map(|(_, value)| *value)
    };
    if last(["d", "detach"]).is_some_and(is_true) {
        return Err(
            "has the option --detach (-d), so that podman ends and the image is made while the \
             container still writes; remove it"
                .to_owned(),
        );
    }
    let restart = last(["restart", "restart"]).filter(|policy| !policy.contains(UNKNOWN));
    if let Some(policy) = restart.filter(|policy| !matches!(*policy, "" | "no" | "never")) {
        return Err(format!(
            "has the restart policy {}, so that the container runs again while the image is made; \
             remove --restart",
            shown(policy)
        ));
    }
    match rest.iter().position(|word| word == "IMAGE") {
        Some(0) => {
            let has_program = rest.len() > 2 || last(["entrypoint", "entrypoint"]).is_some();
            Ok(!has_program && !has_unknown)
        }
        _ if has_unknown => Ok(false),
        Some(_) => Err(format!("runs the image {}, expected the word IMAGE", shown(&rest[0]))),
        // The word may be taken for the value of an option that this version of cloudd does not know.
        None if run.iter().any(|word| word == "IMAGE") => Ok(false),
        None => Err("does not have the word IMAGE, which podman replaces by the image".to_owned()),
    }
}

/// Splits a command line into options with their values and what comes after them. `flags` are the
/// options without a value; the value of a flag is `true` if it has none.
fn options<'a>(words: &'a [String], flags: &[&str]) -> (Vec<(&'a str, &'a str)>, &'a [String]) {
    let mut options = Vec::new();
    let mut rest = words;
    while let [word, after @ ..] = rest {
        if word == "--" {
            return (options, after);
        }
        // An option whose value is the next word, if it has one.
        let mut open = None;
        if let Some(long) = word.strip_prefix("--") {
            match long.split_once('=') {
                Some(option) => options.push(option),
                None if flags.contains(&long) => options.push((long, "true")),
                None => open = Some(long),
            }
        } else if let Some(mut short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
            while let Some(c) = short.chars().next() {
                let (name, value) = short.split_at(c.len_utf8());
                short = "";
                match value.strip_prefix('=') {
                    Some(value) => options.push((name, value)),
                    None if flags.contains(&name) => {
                        options.push((name, "true"));
                        short = value;
                    }
                    None if value.is_empty() => open = Some(name),
                    None => options.push((name, value)),
                }
            }
        } else {
            return (options, rest);
        }
        rest = after;
        if let (Some(name), [value, after @ ..]) = (open, rest) {
            options.push((name, value));
            rest = after;
        }
    }
    (options, rest)
}

fn shown(text: &str) -> String {
    format!("{:?}", sanitize_untrusted(text, 100))
}

#[cfg(test)]
mod tests;
