//! Passwords: `chpasswd`, and the recognition of password hashes.

use serde::Serialize;

use super::check;
use super::error::{Error, Result};
use super::secret::Secret;

/// Whether a way to log in is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Login {
    /// Logging in this way is allowed.
    Allowed,
    /// Logging in this way is refused.
    Refused,
}

/// Password changes, applied as by chpasswd(8). Requires cloud-init 22.3 or later.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[must_use]
pub struct Chpasswd {
    #[serde(skip_serializing_if = "Option::is_none")]
    expire: Option<bool>,
    users: Vec<Change>,
}

/// When a password has to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordExpiry {
    /// At the first login. Commands over SSH are refused until then.
    AtFirstLogin,
    /// Never.
    Never,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Change {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<Secret>,
}

const HASH: &str = "hash";
const TEXT: &str = "text";
const RANDOM: &str = "RANDOM";

impl Chpasswd {
    /// Creates an empty list of changes. Rendering requires at least one change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a password that crypt(3) has hashed.
    pub fn hashed(self, user: impl Into<String>, hash: impl Into<String>) -> Self {
        self.change(user.into(), HASH, Some(Secret::new(hash)))
    }

    /// Sets a password in plain text.
    ///
    /// # Warning
    /// The warning of [`User::plain_text_password`](super::User::plain_text_password) applies.
    pub fn plain_text(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.change(user.into(), TEXT, Some(Secret::new(password)))
    }

    /// Sets a random password, which cloud-init prints on the console.
    pub fn random(self, user: impl Into<String>) -> Self {
        self.change(user.into(), RANDOM, None)
    }

    /// Sets when these passwords expire. cloud-init's default is at the first login.
    pub fn expiry(mut self, expiry: PasswordExpiry) -> Self {
        self.expire = Some(expiry == PasswordExpiry::AtFirstLogin);
        self
    }

    fn change(mut self, name: String, kind: &'static str, password: Option<Secret>) -> Self {
        self.users.push(Change { name, kind, password });
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.users.is_empty() {
            return check::invalid("chpasswd.users", "", "is empty");
        }
        check::no_duplicates("chpasswd.users", self.users.iter().map(|c| c.name.as_str()))?;
        for Change { name, kind, password } in &self.users {
            check::account_name("chpasswd.users", name)?;
            match password {
                Some(hash) if *kind == HASH => check_hash(name, hash)?,
                Some(password) => check_plain(name, password)?,
                None => {}
            }
        }
        Ok(())
    }
}

pub(super) fn check_hash(user: &str, hash: &Secret) -> Result<()> {
    if is_crypt_hash(hash.expose()) {
        return Ok(());
    }
    let reason = "is not a crypt(3) hash (`$6$…`, `$y$…`)";
    Err(Error::InvalidPassword { user: user.to_owned(), reason })
}

pub(super) fn check_plain(user: &str, password: &Secret) -> Result<()> {
    let reason = if password.expose().is_empty() {
        "is empty"
    } else if password.expose().contains(char::is_control) {
        // chpasswd(8) reads one user per line.
        "contains a line break or another control character"
    } else {
        return Ok(());
    };
    Err(Error::InvalidPassword { user: user.to_owned(), reason })
}

/// Recognizes the `$id$…` forms of crypt(5). The traditional DES form is not recognized: thirteen
/// letters are more likely a password, and no distribution creates such hashes any more.
fn is_crypt_hash(hash: &str) -> bool {
    let Some((id, rest)) = hash.strip_prefix('$').and_then(|rest| rest.split_once('$')) else {
        return false;
    };
    let mut fields: Vec<&str> = rest.split('$').collect();
    match id {
        "y" | "gy" => matches!(fields[..], [params, salt, digest]
            if !params.is_empty() && is_b64(params) && is_b64(salt) && is_digest(digest, 43)),
        "7" => matches!(fields[..], [salt, digest]
            if salt.len() >= 11 && is_b64(salt) && is_digest(digest, 43)),
        "2a" | "2b" | "2y" => matches!(fields[..], [cost, digest]
            if cost.len() == 2 && is_digits(cost) && is_digest(digest, 53)),
        "5" | "6" => {
            if let Some(rounds) = fields[0].strip_prefix("rounds=") {
                if !is_digits(rounds) {
                    return false;
                }
                fields.remove(0);
            }
            matches!(fields[..], [salt, digest]
                if is_salt(salt, 16) && is_digest(digest, if id == "5" { 43 } else { 86 }))
        }
        "1" => matches!(fields[..], [salt, digest] if is_salt(salt, 8) && is_digest(digest, 22)),
        _ => false,
    }
}

fn is_salt(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic() && c != ':')
}

fn is_digest(text: &str, length: usize) -> bool {
    text.len() == length && is_b64(text)
}

/// The base64 alphabet of crypt(3).
fn is_b64(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_crypt_hash;

    #[test]
    fn hashes_made_by_crypt_are_recognized() {
        for hash in [
            // Made by `openssl passwd` and by libxcrypt from the password "cloudd".
            "$1$clouddaa$SqKlqhBl0WjVaAX4fooxM0",
            "$5$cloudd$S2PQTB/DvZ/wYV0CCEFLN/8trwCWtv7ag/aoGgLkbU7",
            "$6$cloudd$Z3O3bjNwfiM3elPmle4Jw5cJiPfuGDByRjLEw01EZSEHgglQJHKY9vPTnWK128WEJ8K5w6hPTUPWjwj5AL9he1",
            "$y$j9T$abcdefghijklmnop$SL6GxP.AFqmC.L6.wYjcq2hCJWiSGNsKVuXkQ11lRL8",
            "$gy$j9T$abcdefghijklmnop$l/aVnTinN5LHPbuCTJuJRsCh738K0EZAcf3NQTsGBI2",
            "$7$CU..../....abcdefgh$061W9OTKwDsmRyk4RB8K9TpCwbCD1z1Jze63vz.N.M9",
            "$2b$05$abcdefghijklmnopqrstuupAH89QmBOOnmQqmHeZt6o16pyZebdpG",
            "$6$rounds=5000$abcdefgh$crETW5L4D4bQg2/VVgu6HF8QW4yviEvdZM/GmfyAVsao16frJ25RVnGksMUpHJxYVad/SgApVzDj4daL8.mas0",
        ] {
            assert!(is_crypt_hash(hash), "{hash}");
        }
    }

    #[test]
    fn anything_else_is_not_a_hash() {
        for text in [
            "",
            "cloudd",
            "$6$",
            "$6$salt$short",
            "$y$j9T$salt$short",
            "ab1cdefghijkl",
            "*",
            "!",
            "$9$salt$0123456789012345678901",
            "$1$toolongsalt$0123456789012345678901",
            "$1$salt$0123456789012345678901\n",
            "$6$rounds=x$salt$12345678901234567890123456789012345678901234567890123456789012345678901234567890123456",
        ] {
            assert!(!is_crypt_hash(text), "{text:?}");
        }
    }
}
