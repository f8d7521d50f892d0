//! `users` and `groups`.

use serde::{Serialize, Serializer};

use super::check;
use super::error::{Error, Result};
use super::password::{Login, check_hash, check_plain};
use super::public_key::check_public_key;
use super::secret::Secret;

/// A user of the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct User {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gecos: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homedir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_group: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sudo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lock_flag")]
    lock_passwd: Option<Login>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashed_passwd: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain_text_passwd: Option<Secret>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh_authorized_keys: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    system: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_create_home: bool,
}

/// cloud-init's name for the user that the image configures.
const DISTRO_DEFAULT: &str = "default";

impl User {
    /// A user with this name. The name `default` means [`distro_default`](Self::distro_default).
    ///
    /// If the image already has the user, for instance root, cloud-init applies the password, the
    /// sudo rule and the keys, and locks the password unless a setter says otherwise.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            gecos: None,
            homedir: None,
            uid: None,
            primary_group: None,
            groups: Vec::new(),
            shell: None,
            sudo: None,
            lock_passwd: None,
            hashed_passwd: None,
            plain_text_passwd: None,
            ssh_authorized_keys: Vec::new(),
            system: false,
            no_create_home: false,
        }
    }

    /// The user configured in `/etc/cloud/cloud.cfg` of the image: `debian`, `fedora`, `core`, …
    ///
    /// It accepts authorized keys only; the image decides everything else. To override that, give
    /// cloud-init's key `user` to [`CloudConfig::extra`](super::CloudConfig::extra).
    pub fn distro_default() -> Self {
        Self::new(DISTRO_DEFAULT)
    }

    pub(crate) fn has_password(&self) -> bool {
        self.hashed_passwd.is_some() || self.plain_text_passwd.is_some()
    }

    /// Sets the comment field, by convention the person's full name.
    pub fn gecos(mut self, gecos: impl Into<String>) -> Self {
        self.gecos = Some(gecos.into());
        self
    }

    /// Sets the home directory. The default is `/home/NAME`.
    #[doc(alias = "homedir")]
    pub fn home(mut self, path: impl Into<String>) -> Self {
        self.homedir = Some(path.into());
        self
    }

    /// Sets the numeric user id.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Sets the primary group, which is created if it does not exist. The default is a group with
    /// the user's name.
    pub fn primary_group(mut self, group: impl Into<String>) -> Self {
        self.primary_group = Some(group.into());
        self
    }

    /// Adds a supplementary group, which is created if it does not exist.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// Sets the login shell, an absolute path.
    pub fn shell(mut self, path: impl Into<String>) -> Self {
        self.shell = Some(path.into());
        self
    }

    /// Sets a sudo rule without the user's name, as in `ALL=(ALL) NOPASSWD:ALL`. cloud-init does not
    /// validate it, and an invalid rule disables sudo for all users.
    pub fn sudo(mut self, rule: impl Into<String>) -> Self {
        self.sudo = Some(rule.into());
        self
    }

    /// Sets a password hashed by crypt(3) (`mkpasswd -m yescrypt`, `openssl passwd -6`).
    ///
    /// This also unlocks the password, which cloud-init locks by default, unless
    /// [`password_login`](Self::password_login) is called.
    /// [`CloudConfig::ssh_password_login`](super::CloudConfig::ssh_password_login) decides whether
    /// sshd accepts passwords.
    #[doc(alias = "hashed_passwd")]
    pub fn hashed_password(mut self, hash: impl Into<String>) -> Self {
        self.hashed_passwd = Some(Secret::new(hash));
        self.lock_passwd = self.lock_passwd.or(Some(Login::Allowed));
        self
    }

    /// Sets a password in plain text. Unlocks the password like
    /// [`hashed_password`](Self::hashed_password).
    ///
    /// # Warning
    /// User data is not secret: on many clouds every process of the machine can read it from the
    /// metadata service while the machine exists, cloud-init keeps copies on disk, and the cloud
    /// stores it. Use a hashed password or an SSH key except for short-lived test machines.
    #[doc(alias = "plain_text_passwd")]
    pub fn plain_text_password(mut self, password: impl Into<String>) -> Self {
        self.plain_text_passwd = Some(Secret::new(password));
        self.lock_passwd = self.lock_passwd.or(Some(Login::Allowed));
        self
    }

    /// Sets whether the user may log in with the password.
    #[doc(alias = "lock_passwd")]
    pub fn password_login(mut self, login: Login) -> Self {
        self.lock_passwd = Some(login);
        self
    }

    /// Adds a public key for logging in as this user, as a line of an `authorized_keys` file.
    #[doc(alias = "ssh_authorized_keys")]
    pub fn authorized_key(mut self, key: impl Into<String>) -> Self {
        self.ssh_authorized_keys.push(key.into());
        self
    }

    /// Makes this a system user: an id from the system range and no home directory.
    pub fn system(mut self) -> Self {
        self.system = true;
        self
    }

    /// Creates no home directory.
    pub fn no_create_home(mut self) -> Self {
        self.no_create_home = true;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.name == DISTRO_DEFAULT {
            self.check_distro_default()?;
        } else {
            check::account_name("users", &self.name)?;
        }
        for name in self.groups.iter().chain(&self.primary_group) {
            check::account_name("users.groups", name)?;
        }
        if let Some(gecos) = &self.gecos {
            check::one_line("users.gecos", gecos)?;
            if gecos.contains(':') {
                let reason = "contains ':', which separates the fields of passwd(5)";
                return check::invalid("users.gecos", gecos, reason);
            }
        }
        for (key, path) in [("users.homedir", &self.homedir), ("users.shell", &self.shell)] {
            path.iter().try_for_each(|path| check::file_path(key, path))?;
        }
        if let Some(rule) = &self.sudo {
            check::one_line("users.sudo", rule)?;
        }
        match (&self.hashed_passwd, &self.plain_text_passwd) {
            (Some(_), Some(_)) => {
                let reason = "is given both hashed and in plain text";
                return Err(Error::InvalidPassword { user: self.name.clone(), reason });
            }
            (Some(hash), None) => check_hash(&self.name, hash)?,
            (None, Some(password)) => check_plain(&self.name, password)?,
            (None, None) => {}
        }
        for key in &self.ssh_authorized_keys {
            check_public_key(&format!("user {}", self.name), key)?;
        }
        if !self.ssh_authorized_keys.is_empty() && (self.system || self.no_create_home) {
            return Err(Error::KeysWithoutHome { user: self.name.clone() });
        }
        Ok(())
    }

    fn check_distro_default(&self) -> Result<()> {
        let decided_by_image = [
            ("gecos", self.gecos.is_some()),
            ("home", self.homedir.is_some()),
            ("uid", self.uid.is_some()),
            ("primary group", self.primary_group.is_some()),
            ("groups", !self.groups.is_empty()),
            ("shell", self.shell.is_some()),
            ("sudo rule", self.sudo.is_some()),
            ("password", self.lock_passwd.is_some()),
            ("system flag", self.system),
            ("home flag", self.no_create_home),
        ];
        match decided_by_image.iter().find(|(_, given)| *given) {
            Some((setting, _)) => Err(Error::DistroDefaultUser { setting }),
            None => Ok(()),
        }
    }
}

fn lock_flag<S: Serializer>(login: &Option<Login>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(*login == Some(Login::Refused))
}

/// An item of the list `users`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Entry<'a> {
    DistroDefault(&'static str),
    User(&'a User),
}

/// The items of the list `users`. The default user without any key is a bare word there.
pub(super) fn entries(users: &[User]) -> Vec<Entry<'_>> {
    let default = User::distro_default();
    let entry = |user| match user == &default {
        true => Entry::DistroDefault(DISTRO_DEFAULT),
        false => Entry::User(user),
    };
    users.iter().map(entry).collect()
}

/// A group of the machine.
///
/// The groups of a [`User`] are created with the user. Use this type for a group without users, or to
/// add users of the image to a group.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Group {
    name: String,
    members: Vec<String>,
}

impl Group {
    /// A group with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), members: Vec::new() }
    }

    /// Adds a member, which must be a user of the image. For users added to the same cloud-config,
    /// use [`User::group`], because groups are created before users.
    pub fn member(mut self, user: impl Into<String>) -> Self {
        self.members.push(user.into());
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(String::as_str)
    }

    pub(super) fn check(&self) -> Result<()> {
        check::account_name("groups", &self.name)?;
        self.members().try_for_each(|name| check::account_name("groups", name))
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.members.is_empty() {
            return serializer.serialize_str(&self.name);
        }
        serializer.collect_map([(&self.name, &self.members)])
    }
}
