//! `write_files`.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::check;
use super::config::{CloudConfig, Section};
use super::error::{Error, Result};
use super::render::Document;
use super::user_data::gzip;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct WriteFiles {
    files: Vec<WriteFile>,
}

impl CloudConfig {
    /// Writes a file.
    #[doc(alias = "write_files")]
    pub fn write_file(mut self, file: WriteFile) -> Self {
        self.files.files.push(file);
        self
    }
}

/// A file of the machine. Missing directories are created.
///
/// Written before users exist and packages are installed, unless [`defer`](Self::defer) is said.
/// `Debug` shows the length of the content, not the content.
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

/// How the content of a file travels in the cloud-config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// As text. The best choice for text if the whole user data is gzipped.
    Plain,
    /// In base64.
    Base64,
    /// gzipped, then in base64. The best choice for what is big, if the user data is not gzipped.
    GzipBase64,
}

impl WriteFile {
    /// A file with this text or these bytes.
    ///
    /// UTF-8 travels as text and anything else in base64, unless [`encoding`](Self::encoding) says
    /// otherwise. Either way the file holds exactly these bytes.
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

    /// How the content travels.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// The mode, as chmod(2) takes it; 0o644 if not given. 0 is an error: cloud-init takes it for
    /// no mode at all and leaves the file readable.
    pub fn permissions(mut self, mode: u32) -> Self {
        self.permissions = Some(mode);
        self
    }

    /// `user` or `user:group`; `root:root` if not given. A user or group that the same
    /// cloud-config creates asks for [`defer`](Self::defer).
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Appends to the file instead of replacing it.
    pub fn append(mut self) -> Self {
        self.append = true;
        self
    }

    /// Writes the file late: after users were created and packages installed, before runcmd.
    pub fn defer(mut self) -> Self {
        self.defer = true;
        self
    }

    fn check(&self) -> Result<()> {
        check::file_path("write_files", &self.path)?;
        if let Some(mode) = self.permissions.filter(|mode| !(1..=0o7777).contains(mode)) {
            return Err(Error::InvalidPermissions { path: self.path.clone(), mode });
        }
        if let Some(owner) = &self.owner {
            let (user, group) = split_owner(owner);
            if ![user].into_iter().chain(group).all(check::is_account_name) {
                return Err(Error::InvalidOwner { path: self.path.clone(), owner: owner.clone() });
            }
        }
        if self.encoding == Some(Encoding::Plain) && str::from_utf8(&self.content).is_err() {
            return Err(Error::ContentNotText { path: self.path.clone() });
        }
        Ok(())
    }

    /// The content as it travels, and cloud-init's name for that, which is not written for text.
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

impl WriteFiles {
    /// The first file whose owner does not exist yet when it is written.
    pub(super) fn check_owners(
        &self,
        creates_user: impl Fn(&str) -> bool,
        creates_group: impl Fn(&str) -> bool,
    ) -> Result<()> {
        for file in self.files.iter().filter(|file| !file.defer) {
            let Some(owner) = &file.owner else { continue };
            let (user, group) = split_owner(owner);
            if creates_user(user) || group.is_some_and(&creates_group) {
                let (path, owner) = (file.path.clone(), owner.clone());
                return Err(Error::OwnerNotYetThere { path, owner });
            }
        }
        Ok(())
    }
}

impl Section for WriteFiles {
    fn check(&self) -> Result<()> {
        self.files.iter().try_for_each(WriteFile::check)?;
        for (at, file) in self.files.iter().enumerate().filter(|(_, file)| !file.append) {
            if self.files[..at].iter().any(|earlier| earlier.path == file.path) {
                return Err(Error::GivenTwice { key: "write_files", name: file.path.clone() });
            }
        }
        Ok(())
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.list("write_files", &self.files);
        Ok(())
    }
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
            // As a string: cloud-init would take a number for decimal.
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
