//! The cloud-config document: its keys, the rules between them, and the order of rendering.

use std::fmt;

use serde_json::Value;

use super::check;
use super::command::Command;
use super::error::{Error, Result};
use super::host_key::{HostKey, HostKeys};
use super::mount::Mount;
use super::password::{Chpasswd, Login};
use super::power_state::PowerState;
use super::public_key::check_public_key;
use super::render::Document;
use super::user::{self, Group, User};
use super::user_data::UserData;
use super::write_file::{self, WriteFile};

/// A builder for a `#cloud-config` document.
///
/// Setters of a single value (`hostname`, `power_state`, …) replace the value of an earlier call.
/// Setters of a list (`user`, `write_file`, `runcmd`, …) append to it. Values are validated by
/// [`render`](Self::render), not by the setters. `Debug` leaves out private keys, passwords and file
/// contents, and shows commands.
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct CloudConfig {
    hostname: Option<String>,
    fqdn: Option<String>,
    timezone: Option<String>,
    groups: Vec<Group>,
    users: Vec<User>,
    chpasswd: Option<Chpasswd>,
    ssh_host_keys: Vec<HostKey>,
    root_login: Option<Login>,
    ssh_password_login: Option<Login>,
    ssh_authorized_keys: Vec<String>,
    mounts: Vec<Mount>,
    package_update: bool,
    package_upgrade: bool,
    packages: Vec<String>,
    files: Vec<WriteFile>,
    bootcmd: Vec<Command>,
    runcmd: Vec<Command>,
    power_state: Option<PowerState>,
    extra: Extra,
}

impl CloudConfig {
    /// Creates an empty cloud-config, which is valid.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the host name, a single label. Use [`fqdn`](Self::fqdn) for a name with dots.
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.hostname = Some(name.into());
        self
    }

    /// Sets the fully qualified domain name. Its first label becomes the host name unless
    /// [`hostname`](Self::hostname) sets another one.
    pub fn fqdn(mut self, name: impl Into<String>) -> Self {
        self.fqdn = Some(name.into());
        self
    }

    /// Sets the time zone, a name below `/usr/share/zoneinfo` such as `UTC` or `Europe/Berlin`.
    pub fn timezone(mut self, name: impl Into<String>) -> Self {
        self.timezone = Some(name.into());
        self
    }

    /// Adds a group, which is created before any user.
    #[doc(alias = "groups")]
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// Adds a user.
    ///
    /// If no user is added, cloud-init creates the default user of the image. Otherwise that user is
    /// created only if [`User::distro_default`] is added too.
    #[doc(alias = "users")]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Changes passwords of users of the image or of users added by [`user`](Self::user).
    pub fn chpasswd(mut self, chpasswd: Chpasswd) -> Self {
        self.chpasswd = Some(chpasswd);
        self
    }

    /// Adds an SSH host key that was generated in advance, so that clients can verify the host on
    /// the first connection.
    ///
    /// If at least one is given, cloud-init generates no host keys. This also saves the time of
    /// generating an RSA key.
    #[doc(alias = "ssh_keys")]
    pub fn ssh_host_key(mut self, key: HostKey) -> Self {
        self.ssh_host_keys.push(key);
        self
    }

    /// Sets whether root may log in with the machine's authorized keys. Most images refuse it.
    #[doc(alias = "disable_root")]
    pub fn root_login(mut self, login: Login) -> Self {
        self.root_login = Some(login);
        self
    }

    /// Sets whether sshd accepts passwords. The setting of the image applies if this is not called.
    #[doc(alias = "ssh_pwauth")]
    pub fn ssh_password_login(mut self, login: Login) -> Self {
        self.ssh_password_login = Some(login);
        self
    }

    /// Adds a public key for the default user of the image, and for root if
    /// [`root_login`](Self::root_login) is allowed.
    ///
    /// [`User::authorized_key`] adds a key for one particular user.
    #[doc(alias = "ssh_authorized_keys")]
    pub fn ssh_authorized_key(mut self, key: impl Into<String>) -> Self {
        self.ssh_authorized_keys.push(key.into());
        self
    }

    /// Adds a line to `/etc/fstab` and mounts it.
    #[doc(alias = "mounts")]
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Refreshes the package lists even if no package is installed.
    pub fn package_update(mut self) -> Self {
        self.package_update = true;
        self
    }

    /// Upgrades the packages of the image before any package is installed.
    pub fn package_upgrade(mut self) -> Self {
        self.package_upgrade = true;
        self
    }

    /// Installs a package. cloud-init refreshes the package lists first.
    #[doc(alias = "packages")]
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.packages.push(name.into());
        self
    }

    /// Writes a file.
    #[doc(alias = "write_files")]
    pub fn write_file(mut self, file: WriteFile) -> Self {
        self.files.push(file);
        self
    }

    /// Adds a command that runs early in *every* boot, before files are written and users created.
    pub fn bootcmd(mut self, command: impl Into<Command>) -> Self {
        self.bootcmd.push(command.into());
        self
    }

    /// Adds a command that runs late in the first boot, when files, users, packages and the network
    /// are available.
    ///
    /// All of these commands form one shell script. A failing command does not stop the next one.
    pub fn runcmd(mut self, command: impl Into<Command>) -> Self {
        self.runcmd.push(command.into());
        self
    }

    /// Powers off or reboots the machine after the first run of cloud-init.
    pub fn power_state(mut self, state: PowerState) -> Self {
        self.power_state = Some(state);
        self
    }

    /// Sets any other top-level key of cloud-init to a JSON value.
    ///
    /// The value is not validated. Rendering fails if a typed setter wrote the same key or if the
    /// key is given twice. A section that has a typed setter can be given here if that setter is not
    /// used, for instance `users` with keys that [`User`] does not cover.
    ///
    /// ```
    /// use cloudd_core::cloud_init::{CloudConfig, Error};
    /// use serde_json::json;
    ///
    /// let config = CloudConfig::new()
    ///     .extra("ntp", json!({"servers": ["time.example.org"]}))
    ///     .extra("swap", json!({"filename": "/swap.img", "size": 1 << 30}));
    /// assert!(config.render().is_ok());
    ///
    /// let config = CloudConfig::new().timezone("UTC").extra("timezone", "Europe/Berlin");
    /// assert_eq!(config.render(), Err(Error::KeyCollision { key: "timezone".to_owned() }));
    /// ```
    pub fn extra(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.0.push((key.into(), value.into()));
        self
    }

    /// Validates the cloud-config and renders the user data.
    ///
    /// Equal cloud-configs give equal text: one key per line, in a fixed order, which is roughly the
    /// order in which cloud-init processes the keys.
    ///
    /// # Errors
    /// The first violated rule, as a named [`Error`] with the offending value.
    pub fn render(&self) -> Result<UserData> {
        self.check()?;
        let yes = |set: bool| set.then_some(true);
        let mut document = Document::new();
        document.entry_if("hostname", &self.hostname);
        document.entry_if("fqdn", &self.fqdn);
        document.entry_if("timezone", &self.timezone);
        document.list("groups", &self.groups);
        document.list("users", &user::entries(&self.users));
        document.entry_if("chpasswd", &self.chpasswd);
        if !self.ssh_host_keys.is_empty() {
            document.entry("ssh_keys", &HostKeys(&self.ssh_host_keys));
        }
        document.entry_if("disable_root", &self.root_login.map(|login| login == Login::Refused));
        let password_login = self.ssh_password_login.map(|login| login == Login::Allowed);
        document.entry_if("ssh_pwauth", &password_login);
        document.list("ssh_authorized_keys", &self.ssh_authorized_keys);
        document.list("mounts", &self.mounts);
        document.entry_if("package_update", &yes(self.package_update));
        document.entry_if("package_upgrade", &yes(self.package_upgrade));
        document.list("packages", &self.packages);
        document.list("write_files", &self.files);
        document.list("bootcmd", &self.bootcmd);
        document.list("runcmd", &self.runcmd);
        document.entry_if("power_state", &self.power_state);
        for (key, value) in &self.extra.0 {
            document.extra(key, value)?;
        }
        Ok(UserData::new(document.finish()))
    }

    fn check(&self) -> Result<()> {
        if let Some(name) = &self.hostname {
            check::host_label("hostname", name)?;
        }
        if let Some(name) = &self.fqdn {
            check::dns_name("fqdn", name)?;
        }
        if let Some(name) = &self.timezone {
            check::timezone("timezone", name)?;
        }
        self.users.iter().try_for_each(User::check)?;
        check::no_duplicates("users", self.users.iter().map(User::name))?;
        check::no_duplicates("groups", self.groups.iter().map(Group::name))?;
        for group in &self.groups {
            group.check()?;
            if let Some(user) = group.members().find(|member| self.creates_user(member)) {
                let (group, user) = (group.name().to_owned(), user.to_owned());
                return Err(Error::MemberNotYetThere { group, user });
            }
        }
        self.chpasswd.iter().try_for_each(Chpasswd::check)?;
        self.ssh_host_keys.iter().try_for_each(HostKey::check)?;
        check::no_duplicates("ssh_keys", self.ssh_host_keys.iter().map(HostKey::name))?;
        for key in &self.ssh_authorized_keys {
            check_public_key("the default user", key)?;
        }
        self.mounts.iter().try_for_each(Mount::check)?;
        check::no_duplicates("mounts", self.mounts.iter().filter_map(Mount::mount_point))?;
        for name in &self.packages {
            check::token("packages", name)?;
            if name.starts_with('-') {
                return check::invalid("packages", name, "would be taken for an option");
            }
        }
        check::no_duplicates("packages", self.packages.iter().map(String::as_str))?;
        self.check_files()?;
        for (key, commands) in [("bootcmd", &self.bootcmd), ("runcmd", &self.runcmd)] {
            for (index, command) in commands.iter().enumerate() {
                command.check(key, index)?;
            }
        }
        self.power_state.iter().try_for_each(PowerState::check)
    }

    fn check_files(&self) -> Result<()> {
        self.files.iter().try_for_each(WriteFile::check)?;
        write_file::no_overwrites(&self.files)?;
        for file in &self.files {
            let Some((user, group)) = file.owner_at_early_boot() else { continue };
            if self.creates_user(user) || group.is_some_and(|group| self.creates_group(group)) {
                return Err(file.owner_not_yet_there());
            }
        }
        Ok(())
    }

    /// Whether this cloud-config creates the user. Every image already has `root`.
    fn creates_user(&self, name: &str) -> bool {
        name != "root" && self.users.iter().any(|user| user.name() == name)
    }

    /// Whether this cloud-config creates the group. The supplementary groups of a user do not count
    /// because most of them (`sudo`, `adm`) exist in the image.
    fn creates_group(&self, name: &str) -> bool {
        self.creates_user(name) || self.groups.iter().any(|group| group.name() == name)
    }
}

/// The keys given to [`CloudConfig::extra`]. `Debug` shows the keys only, since the values may
/// contain secrets.
#[derive(Clone, Default, PartialEq)]
struct Extra(Vec<(String, Value)>);

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}
