//! Build arguments and environment variables: checks, and how the builder gets them.

use std::collections::BTreeMap;

use super::InstallError;

/// Values by their names. The order in which they were given means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    pub(super) fn set(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn check_build_args(&self) -> Result<(), InstallError> {
        self.first_problem().map_or(Ok(()), |(name, problem)| {
            let name = name.to_owned();
            Err(InstallError::BuildArg { name, problem })
        })
    }

    pub(super) fn check_env(&self) -> Result<(), InstallError> {
        self.first_problem().map_or(Ok(()), |(name, problem)| {
            let name = name.to_owned();
            Err(InstallError::Env { name, problem })
        })
    }

    /// `NAME=value`, one a line. The values are checked to hold no line break.
    pub(super) fn lines(&self) -> String {
        self.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
    }

    /// A Containerfile that sets the variables on top of the image `base`.
    pub(super) fn env_layer(&self, base: &str) -> String {
        let quoted = |value: &str| {
            let escape = |c| matches!(c, '"' | '\\' | '$').then_some('\\');
            value.chars().flat_map(|c| escape(c).into_iter().chain([c])).collect::<String>()
        };
        let set = |(name, value)| format!("ENV {name}=\"{}\"\n", quoted(value));
        format!("FROM {base}\n{}", self.iter().map(set).collect::<String>())
    }

    fn first_problem(&self) -> Option<(&str, &'static str)> {
        self.iter().find_map(|(name, value)| Some((name, problem(name, value)?)))
    }
}

fn problem(name: &str, value: &str) -> Option<&'static str> {
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !starts || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Some("its name is not made of letters, digits and `_`, not starting with a digit");
    }
    // A line break would end the line it travels in; the others have no business in either.
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Some("its value has a line break or another control character");
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
