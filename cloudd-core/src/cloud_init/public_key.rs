//! The syntax of OpenSSH public keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::{Error, Result};

/// The key types that OpenSSH 9 accepts for logins and hosts.
const KEY_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Checks a line of an `authorized_keys` file: options, type, key and comment, of which the options
/// and the comment are optional.
pub(super) fn check_public_key(owner: &str, line: &str) -> Result<()> {
    check(owner, line, true, "")
}

/// Checks the `.pub` file of a host key: no options, and a key type that starts with `prefix`.
pub(super) fn check_host_key(owner: &str, line: &str, prefix: &str) -> Result<()> {
    check(owner, line, false, prefix)
}

fn check(owner: &str, line: &str, options_allowed: bool, prefix: &str) -> Result<()> {
    let Some(reason) = problem(line, options_allowed, prefix) else {
        return Ok(());
    };
    // Short enough to reveal nothing of a private key that was pasted by mistake.
    let shown = line.chars().take(24).collect();
    Err(Error::InvalidPublicKey { owner: owner.to_owned(), shown, reason })
}

fn problem(line: &str, options_allowed: bool, prefix: &str) -> Option<&'static str> {
    if line.contains("PRIVATE KEY") {
        return Some("it is a private key");
    }
    if line.trim_end().contains(['\n', '\r', '\0']) {
        return Some("it has more than one line");
    }
    let starts_with_type =
        |text: &str| text.split_whitespace().next().is_some_and(|word| KEY_TYPES.contains(&word));
    let key = match starts_with_type(line) {
        true => line,
        false if options_allowed => after_options(line),
        false => "",
    };
    if !starts_with_type(key) {
        return Some("it has no key type that OpenSSH accepts");
    }
    let mut fields = key.split_whitespace();
    match (fields.next(), fields.next()) {
        (Some(name), _) if !name.starts_with(prefix) => Some("it is a key of another algorithm"),
        (Some(name), Some(blob)) => blob_problem(name, blob),
        _ => Some("the key is missing after its type"),
    }
}

/// Compares the type inside the key with the type before it, which detects truncated and joined
/// keys.
fn blob_problem(name: &str, blob: &str) -> Option<&'static str> {
    let Ok(bytes) = STANDARD.decode(blob) else {
        return Some("the key is not base64");
    };
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
        return Some("the key is truncated");
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    match rest.get(..length) {
        Some(inner) if inner == name.as_bytes() && rest.len() > length => None,
        Some(_) => Some("the key is not of the type given before it"),
        None => Some("the key is truncated"),
    }
}

/// Skips the options: separated by commas, blanks only inside double quotes, `\"` for a quote.
fn after_options(line: &str) -> &str {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' if !escaped => quoted = !quoted,
            ' ' | '\t' if !quoted => return line[at..].trim_start(),
            _ => {}
        }
        escaped = c == '\\';
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGpwRhW/BcfsUE0A0zfrw/FLJ4QVSWYLLBgc7au5RgnC";

    #[test]
    fn lines_of_an_authorized_keys_file_are_taken() {
        for line in [
            format!("ssh-ed25519 {ED25519}"),
            format!("ssh-ed25519 {ED25519} me@here with words\n"),
            format!("no-pty,command=\"echo \\\"hi there\\\"\" ssh-ed25519 {ED25519} me"),
        ] {
            assert_eq!(check_public_key("user core", &line), Ok(()), "{line}");
        }
    }

    #[test]
    fn a_damaged_key_is_named_with_its_owner() {
        for line in [
            String::new(),
            "ssh-ed25519".to_owned(),
            format!("ssh-ed25519 {}", &ED25519[..10]),
            format!("ssh-ed25519 {}", &ED25519[1..]),
            format!("ssh-rsa {ED25519}"),
            format!("ssh-dss {ED25519}"),
            format!("ssh-ed25519 {ED25519}\nssh-ed25519 {ED25519}"),
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n".to_owned(),
        ] {
            let error = check_public_key("user core", &line).unwrap_err();
            assert!(error.to_string().contains("user core"), "{error}");
            assert!(!error.to_string().contains("b3BlbnNz"), "{error}");
        }
    }

    #[test]
    fn options_are_for_logins_only() {
        let line = format!("no-pty ssh-ed25519 {ED25519}");
        assert!(check_host_key("host", &line, "ssh-ed25519").is_err());
        let line = format!("ssh-ed25519 {ED25519}");
        assert_eq!(check_host_key("host", &line, "ssh-ed25519"), Ok(()));
        assert!(check_host_key("host", &line, "ssh-rsa").is_err());
    }
}
