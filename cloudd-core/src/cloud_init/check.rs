//! Rules that several sections share. Each takes the cloud-config key, so that the error can name it.

use std::net::IpAddr;

use super::error::{Error, Result};
use super::secret::Url;

/// A name that `useradd` and `groupadd` take on Debian, Fedora, SUSE and Alpine.
pub(super) fn is_account_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

pub(super) fn group_name(name: &str) -> Result<()> {
    if is_account_name(name) {
        return Ok(());
    }
    Err(Error::InvalidGroupName { name: name.to_owned() })
}

/// An absolute path to something below the root directory.
pub(super) fn file_path(key: &'static str, path: &str) -> Result<()> {
    if path.starts_with('/') && !path.ends_with('/') && !path.contains(char::is_control) {
        return Ok(());
    }
    Err(Error::PathNotAbsolute { key, path: path.to_owned() })
}

/// An absolute path, the root directory included.
pub(super) fn directory(key: &'static str, path: &str) -> Result<()> {
    if path == "/" { Ok(()) } else { file_path(key, path) }
}

/// A host name of one label, as in `hostname`.
pub(super) fn host_label(key: &'static str, name: &str) -> Result<()> {
    match label_fault(name) {
        None => Ok(()),
        Some(reason) => Err(Error::InvalidHostname { key, name: name.to_owned(), reason }),
    }
}

/// A host name of one or more labels.
pub(super) fn dns_name(key: &'static str, name: &str) -> Result<()> {
    let fault = if name.len() > 253 {
        Some("longer than 253 characters")
    } else {
        name.split('.').find_map(label_fault)
    };
    match fault {
        None => Ok(()),
        Some(reason) => Err(Error::InvalidHostname { key, name: name.to_owned(), reason }),
    }
}

/// A host name or an address.
pub(super) fn host_or_address(key: &'static str, name: &str) -> Result<()> {
    if name.parse::<IpAddr>().is_ok() { Ok(()) } else { dns_name(key, name) }
}

/// RFC 1123, section 2.1.
fn label_fault(label: &str) -> Option<&'static str> {
    if label.is_empty() {
        Some("a label is empty")
    } else if label.len() > 63 {
        Some("a label is longer than 63 characters")
    } else if label.starts_with('-') || label.ends_with('-') {
        Some("a label begins or ends with '-'")
    } else if !label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        Some("only letters, digits and '-' make a label; a dot only separates labels of an fqdn")
    } else {
        None
    }
}

/// Text of one line, not empty.
pub(super) fn one_line(key: &'static str, value: &str) -> Result<()> {
    if value.trim().is_empty() {
        invalid(key, value, "is empty")
    } else if value.contains(char::is_control) {
        invalid(key, value, "is not one line of text")
    } else {
        Ok(())
    }
}

/// One field of a line: not empty, no white space.
pub(super) fn token(key: &'static str, value: &str) -> Result<()> {
    if value.is_empty() {
        invalid(key, value, "is empty")
    } else if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        invalid(key, value, "holds white space or control characters")
    } else {
        Ok(())
    }
}

/// A URL of one of the schemes that the guest's tools fetch.
pub(super) fn url(key: &'static str, url: &Url) -> Result<()> {
    let text = url.expose();
    let fault = match text.split_once("://") {
        Some(("http" | "https" | "ftp" | "file", rest)) if !rest.is_empty() => {
            (!is_token(text)).then_some("holds white space or control characters")
        }
        _ => Some("is not a URL of http, https, ftp or file"),
    };
    match fault {
        None => Ok(()),
        Some(reason) => invalid(key, &url.shown(), reason),
    }
}

/// The names in `$name` and `${name}`, as cloud-init's templater finds them. It raises on a name
/// that it does not know, and the whole section is lost.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    text.split('$').skip(1).filter_map(move |rest| {
        let (rest, braced) = match rest.strip_prefix('{') {
            Some(inner) => (inner, true),
            None => (rest, false),
        };
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let closed = !braced || rest[end..].starts_with('}');
        (end > 0 && closed).then_some(&rest[..end])
    })
}

/// PEM, one or more blocks of the given kind.
pub(super) fn is_pem(text: &str, kind: &str) -> bool {
    let text = text.trim();
    text.starts_with(&format!("-----BEGIN {kind}-----"))
        && text.ends_with(&format!("-----END {kind}-----"))
}

/// Refuses the second of two equal names.
pub(super) fn no_duplicates<'a>(
    key: &'static str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
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

fn is_token(text: &str) -> bool {
    !text.contains(|c: char| c.is_whitespace() || c.is_control())
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
        assert_eq!(host_or_address("ntp", "2001:db8::1"), Ok(()));
        assert_eq!(host_or_address("ntp", "192.0.2.1"), Ok(()));
    }

    #[test]
    fn urls_have_a_known_scheme_and_no_blanks() {
        for good in ["https://a/b?c#d", "http://[::1]:80/", "file:///x"] {
            assert_eq!(url("k", &Url::new(good)), Ok(()));
        }
        for bad in ["", "a/b", "https://", "gopher://a", "https://a b", "https://a\n"] {
            assert!(url("k", &Url::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn placeholders_are_found_as_cloud_init_finds_them() {
        let found = |text| placeholders(text).collect::<Vec<_>>();
        assert_eq!(found("up $uptime s, ${version}!"), ["uptime", "version"]);
        assert_eq!(found("$HOME/x $a.b"), ["HOME", "a.b"]);
        assert!(found("5 $ and ${open and $").is_empty());
    }
}
