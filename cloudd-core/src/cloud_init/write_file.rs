//! `write_files`.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::check;
use super::error::{Error, Result};
use super::user_data::gzip;

/// A file to write on the machine. Missing directories are created.
///
/// The file is written before users are created and packages installed, unless
/// [`defer`](Self::defer) is called. `Debug` shows the length of the content instead of the content.
#[derive(Clone, PartialEq)]
#[must_use]
pub struct WriteFile {
    path: String,
    content: Vec<u8>,
    encoding: Option<Encoding>,
    permissions: Option<u32>,
    owner: Option<String>,
    append: bool,
    defer: bool,
}

/// The encoding of a file's content in the cloud-config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// Plain text. The smallest form of text if the user data is gzipped as a whole.
    Plain,
    /// Base64.
    Base64,
    /// Gzip, then base64. The smallest form of large content if the user data is not gzipped.
    GzipBase64,
}

impl WriteFile {
    /// A file with this content.
    ///
    /// UTF-8 is encoded as plain text and anything else as base64, unless
    /// [`encoding`](Self::encoding) is called. The file holds exactly these bytes in every case.
    pub fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            content: content.into(),
            encoding: None,
            permissions: None,
            owner: None,
            append: false,
            defer: false,
        }
    }

    /// Sets the encoding of the content.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// Sets the mode as in chmod(2). The default is 0o644. Mode 0 is rejected because cloud-init
    /// ignores it and leaves the file readable.
    pub fn permissions(mut self, mode: u32) -> Self {
        self.permissions = Some(mode);
        self
    }

    /// Sets the owner, `user` or `user:group`. The default is `root:root`. A user or group that the
    /// same cloud-config creates requires [`defer`](Self::defer).
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Appends to the file instead of replacing it.
    pub fn append(mut self) -> Self {
        self.append = true;
        self
    }

    /// Writes the file after users are created and packages installed, and before `runcmd`.
    pub fn defer(mut self) -> Self {
        self.defer = true;
        self
    }

    /// The user and group of a file that is written before users are created.
    pub(super) fn owner_at_early_boot(&self) -> Option<(&str, Option<&str>)> {
        self.owner.as_deref().filter(|_| !self.defer).map(split_owner)
    }

    pub(super) fn owner_not_yet_there(&self) -> Error {
        let owner = self.owner.clone().unwrap_or_default();
        Error::OwnerNotYetThere { path: self.path.clone(), owner }
    }

    pub(super) fn check(&self) -> Result<()> {
        check::file_path("write_files", &self.path)?;
        if self.permissions.is_some_and(|mode| !(1..=0o7777).contains(&mode)) {
            let reason = "has permissions that are not within 0o1 to 0o7777";
            return check::invalid("write_files", &self.path, reason);
        }
        if let Some(owner) = &self.owner {
            let (user, group) = split_owner(owner);
            if ![user].into_iter().chain(group).all(check::is_account_name) {
                let reason = "is not of the form `user` or `user:group`";
                return check::invalid("write_files.owner", owner, reason);
            }
        }
        if self.encoding == Some(Encoding::Plain) && str::from_utf8(&self.content).is_err() {
            let reason = "has content that is not UTF-8, so it cannot be encoded as plain text";
            return check::invalid("write_files", &self.path, reason);
        }
        Ok(())
    }

    /// The encoded content and cloud-init's name of the encoding, which is omitted for plain text.
    fn encoded(&self) -> (Cow<'_, str>, Option<&'static str>) {
        match (self.encoding, str::from_utf8(&self.content)) {
            (None | Some(Encoding::Plain), Ok(text)) => (text.into(), None),
            (Some(Encoding::GzipBase64), _) => {
                (STANDARD.encode(gzip(&self.content)).into(), Some("gz+b64"))
            }
            _ => (STANDARD.encode(&self.content).into(), Some("b64")),
        }
    }
}

fn split_owner(owner: &str) -> (&str, Option<&str>) {
    match owner.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (owner, None),
    }
}

/// Rejects a file that replaces an earlier one.
pub(super) fn no_overwrites(files: &[WriteFile]) -> Result<()> {
    for (index, file) in files.iter().enumerate().filter(|(_, file)| !file.append) {
        if files[..index].iter().any(|earlier| earlier.path == file.path) {
            return Err(Error::GivenTwice { key: "write_files", name: file.path.clone() });
        }
    }
    Ok(())
}

impl Serialize for WriteFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (content, encoding) = self.encoded();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &self.path)?;
        if let Some(owner) = &self.owner {
            map.serialize_entry("owner", owner)?;
        }
        if let Some(mode) = self.permissions {
            // A string, because cloud-init reads a number as decimal.
            map.serialize_entry("permissions", &format!("{mode:04o}"))?;
        }
        if let Some(encoding) = encoding {
            map.serialize_entry("encoding", encoding)?;
        }
        for (key, set) in [("append", self.append), ("defer", self.defer)] {
            if set {
                map.serialize_entry(key, &true)?;
            }
        }
        map.serialize_entry("content", &content)?;
        map.end()
    }
}

impl fmt::Debug for WriteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteFile")
            .field("path", &self.path)
            .field("bytes", &self.content.len())
            .field("encoding", &self.encoding)
            .field("permissions", &self.permissions.map(|mode| format!("{mode:04o}")))
            .field("owner", &self.owner)
            .field("append", &self.append)
            .field("defer", &self.defer)
            .finish_non_exhaustive()
    }
}
