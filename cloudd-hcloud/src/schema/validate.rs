//! The API's rules for server names, labels and user data, which come from the caller. They are
//! checked before a request is sent, so that invalid input is reported before anything is created.

use crate::Error;

/// The maximum size of user data, in bytes as sent.
pub(crate) const USER_DATA_BYTES: usize = 32_768;

/// A server's name becomes the guest's host name (RFC 1123), so it has no underscore.
pub(crate) fn check_server_name(name: &str) -> Result<(), Error> {
    let part_fits = |part: &str| {
        let edges = !part.starts_with('-') && !part.ends_with('-');
        let letters = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=63).contains(&part.len()) && edges && letters
    };
    if name.len() <= 253 && name.split('.').all(part_fits) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "name",
        "a server's name must be a host name: parts of 1 to 63 letters, digits and `-`, separated by `.`",
    ))
}

pub(crate) fn check_user_data(user_data: &str) -> Result<(), Error> {
    if user_data.len() <= USER_DATA_BYTES {
        return Ok(());
    }
    Err(Error::invalid_field(
        "user_data",
        format!("{} bytes; the maximum is {USER_DATA_BYTES}", user_data.len()),
    ))
}

/// A label key is `[prefix/]name`; the prefix is a DNS name. The API reserves `hetzner.cloud/`.
pub(crate) fn check_label_key(key: &str) -> Result<(), Error> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let prefix_fits = prefix.is_none_or(|prefix| {
        let dns = prefix.split('.').all(|part| is_plain(part, 63) && !part.contains('_'));
        prefix.len() <= 253 && dns && prefix != "hetzner.cloud"
    });
    if prefix_fits && is_plain(name, 63) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "labels",
        format!(
            "`{}` is not a label key (`[prefix/]name`, the name with 1 to 63 letters, digits, `-`, `_` and `.`)",
            cut(key)
        ),
    ))
}

pub(crate) fn check_label_value(key: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() || is_plain(value, 63) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "labels",
        format!(
            "the value of `{}` must have 0 to 63 letters, digits, `-`, `_` and `.`, not `{}`",
            cut(key),
            cut(value)
        ),
    ))
}

/// Whether a text has 1 to `most` ASCII letters, digits, `-`, `_` and `.`, with a letter or digit
/// at both ends.
fn is_plain(text: &str, most: usize) -> bool {
    let bytes = text.as_bytes();
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= most && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inside)
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_are_host_names() {
        let long = "a".repeat(63);
        for name in ["a", "worker-a1", "cloudd-7f3a.example.org", "0", &long] {
            assert!(check_server_name(name).is_ok(), "{name}");
        }
        let too_long = "a".repeat(64);
        let far_too_long = ["a".repeat(60).as_str(); 5].join(".");
        for name in
            ["", "-a", "a-", "a_b", "a b", "a..b", ".a", "ä", "a/b", &too_long, &far_too_long]
        {
            assert!(check_server_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn label_keys_may_have_a_prefix() {
        let long = "a".repeat(63);
        for key in ["a", "cloudd/build", "cloudd.example/role", "a-b_c.d", &long] {
            assert!(check_label_key(key).is_ok(), "{key}");
        }
        let too_long = "a".repeat(64);
        for key in
            ["", "/a", "a/", "a/b/c", "-a", "a b", "hetzner.cloud/x", "a_b/c", "é", &too_long]
        {
            assert!(check_label_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn label_values_hold_no_time_and_no_base64() {
        for value in ["", "1763629200", "7f3a", "v1.2-3_4"] {
            assert!(check_label_value("k", value).is_ok(), "{value}");
        }
        for value in ["2026-11-20T09:00:00Z", "ab+c=", "a b", "a/b", "-"] {
            assert!(check_label_value("k", value).is_err(), "{value}");
        }
    }

    #[test]
    fn user_data_is_measured_in_bytes_as_sent() {
        assert!(check_user_data(&"a".repeat(USER_DATA_BYTES)).is_ok());
        let error = check_user_data(&"ä".repeat(USER_DATA_BYTES / 2 + 1)).unwrap_err();
        assert!(error.to_string().contains("32770 bytes"), "{error}");
    }
}
