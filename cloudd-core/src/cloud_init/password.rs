//! Passwords: what counts as a hash, and `chpasswd`.

use serde::Serialize;

use super::check;
use super::config::{CloudConfig, Section};
use super::error::{Error, Result};
use super::render::Document;
use super::secret::Secret;

/// Whether a door is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It can be used.
    Allowed,
    /// It is shut.
    Refused,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Passwords {
    chpasswd: Option<Chpasswd>,
}

impl CloudConfig {
    /// Changes passwords of users, whether the image has them or [`CloudConfig::user`] makes them.
    pub fn chpasswd(mut self, chpasswd: Chpasswd) -> Self {
        self.passwords.chpasswd = Some(chpasswd);
        self
    }
}

/// Changes passwords, as chpasswd(8) does. Needs cloud-init 22.3 or later.
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
    /// At the first login, which also refuses commands over ssh until then.
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
    /// No change yet.
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
    /// Everything said at [`User::plain_text_password`](super::User::plain_text_password) holds
    /// here too.
    pub fn plain_text(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.change(user.into(), TEXT, Some(Secret::new(password)))
    }

    /// Sets a random password, which cloud-init prints on the console.
    pub fn random(self, user: impl Into<String>) -> Self {
        self.change(user.into(), RANDOM, None)
    }

    /// When these passwords expire. cloud-init's own choice is at the first login.
    pub fn expiry(mut self, expiry: PasswordExpiry) -> Self {
        self.expire = Some(expiry == PasswordExpiry::AtFirstLogin);
        self
    }

    fn change(mut self, name: String, kind: &'static str, password: Option<Secret>) -> Self {
        self.users.push(Change { name, kind, password });
        self
    }
}

impl Section for Passwords {
    fn check(&self) -> Result<()> {
        let Some(chpasswd) = &self.chpasswd else {
            return Ok(());
        };
        if chpasswd.users.is_empty() {
            return check::invalid("chpasswd.users", "", "is empty");
        }
        check::no_duplicates("chpasswd.users", chpasswd.users.iter().map(|c| c.name.as_str()))?;
        for change in &chpasswd.users {
            if !check::is_account_name(&change.name) {
                return Err(Error::InvalidUserName { name: change.name.clone() });
            }
            match &change.password {
                Some(hash) if change.kind == HASH => check_hash(&change.name, hash)?,
                Some(password) => check_plain(&change.name, password)?,
                None => {}
            }
        }
        Ok(())
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("chpasswd", &self.chpasswd);
        Ok(())
    }
}

pub(super) fn check_hash(user: &str, hash: &Secret) -> Result<()> {
    if is_crypt_hash(hash.expose()) {
        return Ok(());
    }
    Err(Error::NotAPasswordHash { user: user.to_owned() })
}

pub(super) fn check_plain(user: &str, password: &Secret) -> Result<()> {
    let reason = if password.expose().is_empty() {
        "is empty"
    } else if password.expose().contains(char::is_control) {
        // chpasswd(8) reads one user a line.
        "holds a line break or another control character"
    } else {
        return Ok(());
    };
    Err(Error::InvalidPassword { user: user.to_owned(), reason })
}

/// The `$id$…` forms of crypt(5). The older ones without a prefix are left out: thirteen letters
/// are more likely a password than a DES hash, and no distribution makes those any more.
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

/// crypt(3)'s own alphabet.
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
