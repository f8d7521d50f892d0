//! The cloud-config as a whole. The setters stand with their sections.

use std::fmt;

use serde_json::Value;

use super::apt::Apt;
use super::ca_certs::CaCerts;
use super::commands::Commands;
use super::disk::Disk;
use super::error::Result;
use super::final_message::FinalMessage;
use super::host::Host;
use super::locale::Locale;
use super::mounts::Mounts;
use super::ntp::Ntp;
use super::packages::Packages;
use super::password::Passwords;
use super::phone_home::PhoneHome;
use super::power_state::PowerState;
use super::render::Document;
use super::ssh::Ssh;
use super::user_data::UserData;
use super::users::Users;
use super::write_files::WriteFiles;
use super::yum::YumRepos;

/// A cloud-config under construction.
///
/// Setters for one value (`hostname`, `ntp`, …) replace what an earlier call said; setters for one
/// of many (`user`, `write_file`, `runcmd`, …) add to it, and their order is kept. Nothing is
/// checked before [`render`](Self::render). `Debug` shows neither private keys nor passwords nor
/// the content of files; it does show commands.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct CloudConfig {
    pub(super) host: Host,
    pub(super) locale: Locale,
    pub(super) users: Users,
    pub(super) passwords: Passwords,
    pub(super) ssh: Ssh,
    pub(super) disk: Disk,
    pub(super) mounts: Mounts,
    pub(super) ca_certs: Option<CaCerts>,
    pub(super) ntp: Option<Ntp>,
    pub(super) apt: Option<Apt>,
    pub(super) yum: YumRepos,
    pub(super) packages: Packages,
    pub(super) files: WriteFiles,
    pub(super) commands: Commands,
    pub(super) phone_home: Option<PhoneHome>,
    pub(super) final_message: FinalMessage,
    pub(super) power_state: Option<PowerState>,
    extra: Extra,
}

/// A part of the cloud-config that knows its own rules and writes its own keys.
pub(super) trait Section {
    /// Every rule that concerns this section alone.
    fn check(&self) -> Result<()>;

    /// Writes the section. Called only after `check` has passed.
    fn write(&self, document: &mut Document) -> Result<()>;
}

impl CloudConfig {
    /// An empty cloud-config, which is a valid one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Any other top-level key of cloud-init, as it is.
    ///
    /// Nothing is checked but that the key is not one that a typed setter has written or that was
    /// given before: neither of two could be said to win, so both together are an error when the
    /// cloud-config is rendered. A typed section that was not used can be given here.
    ///
    /// ```
    /// use cloudd_core::cloud_init::{CloudConfig, Error};
    /// use serde_json::json;
    ///
    /// let config = CloudConfig::new().extra("output", json!({"all": "| tee /dev/ttyS0"}));
    /// assert!(config.render().is_ok());
    ///
    /// let config = CloudConfig::new().timezone("UTC").extra("timezone", "Europe/Berlin");
    /// assert_eq!(config.render(), Err(Error::KeyCollision { key: "timezone".to_owned() }));
    /// ```
    pub fn extra(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.0.push((key.into(), value.into()));
        self
    }

    /// Checks everything and writes the user data.
    ///
    /// The same cloud-config gives the same text: keys stand in a fixed order, one a line.
    ///
    /// # Errors
    /// The first rule that is broken, as a named [`Error`](super::Error) with the offending value.
    pub fn render(&self) -> Result<UserData> {
        for section in self.sections() {
            section.check()?;
        }
        self.files.check_owners(
            |user| self.users.creates_user(user),
            |group| self.users.creates_group(group),
        )?;
        let mut document = Document::new();
        for section in self.sections() {
            section.write(&mut document)?;
        }
        Ok(UserData::new(document.finish()))
    }

    /// In the order in which they are written: roughly that in which cloud-init acts on them.
    fn sections(&self) -> [&dyn Section; 18] {
        [
            &self.host,
            &self.locale,
            &self.users,
            &self.passwords,
            &self.ssh,
            &self.disk,
            &self.mounts,
            &self.ca_certs,
            &self.ntp,
            &self.apt,
            &self.yum,
            &self.packages,
            &self.files,
            &self.commands,
            &self.phone_home,
            &self.final_message,
            &self.power_state,
            &self.extra, // last, so that it sees what the others wrote
        ]
    }
}

/// Keys that have no section. `Debug` shows their names only: nobody knows what is in them.
#[derive(Clone, Default, PartialEq)]
struct Extra(Vec<(String, Value)>);

impl Section for Extra {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        self.0.iter().try_for_each(|(key, value)| document.extra(key, value))
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}
