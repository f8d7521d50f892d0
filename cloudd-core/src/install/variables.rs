//! Build arguments and environment variables: their checks, and the forms in which the builder VM
//! gets them.

use std::collections::BTreeMap;
use std::fmt;

use super::error::InstallError;

/// Values by name, independent of the order in which they were set.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Variables(BTreeMap<String, String>);

/// The longest value in bytes. Linux passes no argument of more than 128 KiB to a program.
const MAX_VALUE: usize = 32 << 10;

impl Variables {
    pub(super) fn set(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn check_build_args(&self) -> Result<(), InstallError> {
        self.check(|name, problem| InstallError::BuildArg { name, problem })
    }

    pub(super) fn check_env(&self) -> Result<(), InstallError> {
        self.check(|name, problem| InstallError::Env { name, problem })
    }

    fn check(&self, error: fn(String, &'static str) -> InstallError) -> Result<(), InstallError> {
        let problem = self.iter().find_map(|(name, value)| Some((name, problem(name, value)?)));
        problem.map_or(Ok(()), |(name, problem)| Err(error(name.to_owned(), problem)))
    }

    /// `NAME=value`, one per line. Checked values contain no line break.
    pub(super) fn lines(&self) -> String {
        self.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
    }

    /// A Containerfile that sets the variables on top of the image `base`.
    pub(super) fn env_layer(&self, base: &str) -> String {
        let mut layer = format!("FROM {base}\n");
        for (name, value) in self.iter() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
            layer += &format!("ENV {name}=\"{value}\"\n");
        }
        layer
    }
}

/// The names only, because values may be secret.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn problem(name: &str, value: &str) -> Option<&'static str> {
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !starts || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Some("its name is not a letter or `_` followed by letters, digits and `_`");
    }
    // A line break would end the line that carries the value.
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Some("its value has a line break or another control character");
    }
    if value.len() > MAX_VALUE {
        return Some("its value is longer than 32 KiB");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Variables {
        let mut variables = Variables::default();
        variables.set(name.to_owned(), value.to_owned());
        variables
    }

    #[test]
    fn names_must_be_shell_names_and_values_must_be_one_line() {
        for (name, value) in [("A", ""), ("_a9", "b c"), ("VERSION", "15.6\t\"x\" $y é =")] {
            assert!(one(name, value).check_build_args().is_ok(), "{name:?} {value:?}");
        }
        for (name, value) in [
            ("", "x"),
            ("9A", "x"),
            ("A-B", "x"),
            ("A B", "x"),
            ("A=B", "x"),
            ("É", "x"),
            ("A", "x\ny"),
            ("A", "x\ry"),
            ("A", "\0"),
            ("A", "\u{1b}[2J"),
            ("A", "\u{85}"),
        ] {
            let variables = one(name, value);
            let error = variables.check_build_args().unwrap_err();
            assert!(matches!(&error, InstallError::BuildArg { name: n, .. } if n == name));
            assert!(matches!(variables.check_env(), Err(InstallError::Env { .. })));
        }
    }

    #[test]
    fn a_value_has_a_limit_and_is_never_shown() {
        assert!(one("A", &"x".repeat(MAX_VALUE)).check_env().is_ok());
        let error = one("A", &"secret".repeat(MAX_VALUE)).check_env().unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment variable \"A\": its value is longer than 32 KiB"
        );
        assert_eq!(format!("{:?}", one("TOKEN", "secret")), "{\"TOKEN\"}");
    }

    #[test]
    fn a_later_value_replaces_an_earlier_one() {
        let mut variables = one("A", "1");
        variables.set("B".to_owned(), "2".to_owned());
        variables.set("A".to_owned(), "3".to_owned());
        assert_eq!(variables.lines(), "A=3\nB=2\n");
    }

    #[test]
    fn env_layer_escapes_what_a_containerfile_would_expand() {
        assert_eq!(
            one("A", r#"say "$HOME" \o/"#).env_layer("localhost/cloudd"),
            "FROM localhost/cloudd\nENV A=\"say \\\"\\$HOME\\\" \\\\o/\"\n"
        );
    }
}
