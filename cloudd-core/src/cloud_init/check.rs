//! Validation rules shared by several sections. Each takes the cloud-config key to report.

use std::collections::BTreeSet;

use super::error::{Error, Result};

/// Whether `useradd` and `groupadd` accept the name on Debian, Fedora, SUSE and Alpine.
pub(super) fn is_account_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Requires a name of a user or group.
pub(super) fn account_name(key: &'static str, name: &str) -> Result<()> {
    const REASON: &str = "is not an account name: 1 to 32 of A-Z, a-z, 0-9, '_', '.', '-', starting \
                          with a letter or '_'";
    if is_account_name(name) { Ok(()) } else { invalid(key, name, REASON) }
}

/// Requires an absolute path other than the root directory.
pub(super) fn file_path(key: &'static str, path: &str) -> Result<()> {
    if path.starts_with('/') && !path.ends_with('/') && !path.contains(char::is_control) {
        return Ok(());
    }
    invalid(key, path, "is not an absolute path")
}

/// Requires an absolute path, which may be the root directory.
pub(super) fn directory(key: &'static str, path: &str) -> Result<()> {
    if path == "/" { Ok(()) } else { file_path(key, path) }
}

/// Requires a host name of one label, as in `hostname`.
pub(super) fn host_label(key: &'static str, name: &str) -> Result<()> {
    label_problem(name).map_or(Ok(()), |reason| invalid(key, name, reason))
}

/// Requires a host name of one or more labels.
pub(super) fn dns_name(key: &'static str, name: &str) -> Result<()> {
    if name.len() > 253 {
        return invalid(key, name, "is longer than 253 characters");
    }
    let problem = name.split('.').find_map(label_problem);
    problem.map_or(Ok(()), |reason| invalid(key, name, reason))
}

/// The rule of RFC 1123, section 2.1, that a label violates.
fn label_problem(label: &str) -> Option<&'static str> {
    if label.is_empty() {
        Some("has an empty label")
    } else if label.len() > 63 {
        Some("has a label of more than 63 characters")
    } else if label.starts_with('-') || label.ends_with('-') {
        Some("has a label that starts or ends with '-'")
    } else if !label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        Some("has characters other than letters, digits and '-' in a label (only an fqdn has dots)")
    } else {
        None
    }
}

/// Requires a name below the directory of time zones. cloud-init joins it to that directory, so
/// `/etc/passwd` would be accepted.
pub(super) fn timezone(key: &'static str, name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
    if name.split('/').all(|part| !part.is_empty() && part.chars().all(allowed)) {
        return Ok(());
    }
    invalid(key, name, "is not the name of a time zone")
}

/// Requires text of one line that is not blank.
pub(super) fn one_line(key: &'static str, value: &str) -> Result<()> {
    if value.trim().is_empty() {
        invalid(key, value, "is empty")
    } else if value.contains(char::is_control) {
        invalid(key, value, "is not one line of text")
    } else {
        Ok(())
    }
}

/// Requires one field of a line: not empty, without white space.
pub(super) fn token(key: &'static str, value: &str) -> Result<()> {
    if value.is_empty() {
        invalid(key, value, "is empty")
    } else if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        invalid(key, value, "contains white space or control characters")
    } else {
        Ok(())
    }
}

/// Rejects the second of two equal names.
pub(super) fn no_duplicates<'a>(
    key: &'static str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Error::GivenTwice { key, name: name.to_owned() });
        }
    }
    Ok(())
}

pub(super) fn invalid(key: &'static str, value: &str, reason: &'static str) -> Result<()> {
    Err(Error::InvalidValue { key, value: value.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names_follow_the_strictest_distribution() {
        for good in ["core", "_apt", "systemd-network", "a.b", "User1"] {
            assert!(is_account_name(good), "{good}");
        }
        let long = "a".repeat(33);
        for bad in ["", "1up", "-x", "a b", "a:b", "a/b", "ö", "a\n", long.as_str()] {
            assert!(!is_account_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn paths_are_absolute_and_name_something() {
        for good in ["/etc/motd", "/a b/ü", "/x"] {
            assert_eq!(file_path("k", good), Ok(()));
        }
        for bad in ["", "etc/motd", "./x", "/", "/etc/", "/a\nb", "/a\0"] {
            assert!(file_path("k", bad).is_err(), "{bad:?}");
        }
        assert_eq!(directory("k", "/"), Ok(()));
    }

    #[test]
    fn host_names_follow_rfc_1123() {
        let label63 = "a".repeat(63);
        for good in ["a", "web-1", "1a", "X", label63.as_str()] {
            assert_eq!(host_label("hostname", good), Ok(()));
        }
        let label64 = "a".repeat(64);
        for bad in ["", "a.b", "-a", "a-", "a_b", "ä", "a b", label64.as_str()] {
            assert!(host_label("hostname", bad).is_err(), "{bad:?}");
        }
        assert_eq!(dns_name("fqdn", "web-1.example.org"), Ok(()));
        let long = format!("{}a", "a.".repeat(127));
        for bad in ["a..b", ".a", "a.", "a.-b", long.as_str()] {
            assert!(dns_name("fqdn", bad).is_err(), "{bad:?}");
        }
    }
}
