//! Scripts as commands for the shell of the other side.

use crate::guest::shell_quote;

/// A POSIX sh script with its arguments.
pub(super) struct Script {
    /// Its name in the process list and in messages.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

/// Prints `/run/cloudd/events` and what is added to it.
pub(super) const FOLLOW: Script =
    Script { name: "ssh_follow.sh", text: include_str!("../../assets/ssh_follow.sh") };

/// Receives the build context.
pub(super) const UPLOAD: Script =
    Script { name: "ssh_upload.sh", text: include_str!("../../assets/ssh_upload.sh") };

impl Script {
    /// The command line that runs it, whatever the user's login shell is: it sees nothing but
    /// quoted words.
    pub(super) fn command(&self, arguments: &[&str]) -> String {
        let mut command = format!("exec sh -c {} {}", shell_quote(self.text), self.name);
        for argument in arguments {
            command.push(' ');
            command.push_str(&shell_quote(argument));
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_hands_the_arguments_over_unchanged() {
        let nasty = ["a'b\"c $(touch /x) `id`\n*", "", "-n"];
        let script = Script { name: "name", text: r#"printf '[%s]' "$0" "$@" # it's"# };
        let command = script.command(&nasty);
        let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
        let expected: String =
            std::iter::once("name").chain(nasty).map(|word| format!("[{word}]")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
