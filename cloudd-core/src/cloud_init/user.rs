//! One entry of `users`.

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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh_import_id: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    system: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_create_home: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_user_group: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    selinux_user: Option<String>,
}

/// cloud-init's word for the user that the image describes.
const DISTRO_DEFAULT: &str = "default";

impl User {
    /// A user of this name. `default` is [`distro_default`](Self::distro_default).
    ///
    /// For a user that the image already has, root for one, cloud-init applies the password, the
    /// sudo rule and the keys, and refuses the password login unless told otherwise.
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
            ssh_import_id: Vec::new(),
            system: false,
            no_create_home: false,
            no_user_group: false,
            selinux_user: None,
        }
    }

    /// The user that the image's own `/etc/cloud/cloud.cfg` describes: `debian`, `fedora`, `core`…
    ///
    /// It takes authorized keys. Everything else the image decides; to decide otherwise, give
    /// cloud-init's `user` key to [`CloudConfig::extra`](super::CloudConfig::extra).
    pub fn distro_default() -> Self {
        Self::new(DISTRO_DEFAULT)
    }

    /// The comment field, by custom the person's name.
    pub fn gecos(mut self, gecos: impl Into<String>) -> Self {
        self.gecos = Some(gecos.into());
        self
    }

    /// The home directory; `/home/NAME` if not given.
    #[doc(alias = "homedir")]
    pub fn home(mut self, path: impl Into<String>) -> Self {
        self.homedir = Some(path.into());
        self
    }

    /// The numeric id.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// The primary group; one of the user's own name if not given. Created if missing.
    pub fn primary_group(mut self, group: impl Into<String>) -> Self {
        self.primary_group = Some(group.into());
        self
    }

    /// A further group. Created if missing.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    /// The login shell, an absolute path.
    pub fn shell(mut self, path: impl Into<String>) -> Self {
        self.shell = Some(path.into());
        self
    }

    /// A sudo rule without the user's name, as in `ALL=(ALL) NOPASSWD:ALL`. cloud-init does not
    /// check it, and a wrong one disables sudo for everybody.
    pub fn sudo(mut self, rule: impl Into<String>) -> Self {
        self.sudo = Some(rule.into());
        self
    }

    /// A password as crypt(3) hashes it (`mkpasswd -m yescrypt`, `openssl passwd -6`).
    ///
    /// Opens the password login, which cloud-init shuts otherwise (`lock_passwd` is true unless
    /// said otherwise); an explicit [`password_login`](Self::password_login) wins. Whether ssh
    /// takes passwords is for
    /// [`CloudConfig::ssh_password_login`](super::CloudConfig::ssh_password_login) to say.
    #[doc(alias = "hashed_passwd")]
    pub fn hashed_password(mut self, hash: impl Into<String>) -> Self {
        self.hashed_passwd = Some(Secret::new(hash));
        self.lock_passwd = self.lock_passwd.or(Some(Login::Allowed));
        self
    }

    /// A password in plain text.
    ///
    /// # Warning
    /// User data is no secret: on many clouds every process of the machine can read it from the
    /// metadata service for as long as the machine exists, cloud-init keeps copies on disk, and
    /// the cloud stores it. Use [`hashed_password`](Self::hashed_password), or better a key. This
    /// is for machines that are thrown away. Opens the password login like the hashed form.
    #[doc(alias = "plain_text_passwd")]
    pub fn plain_text_password(mut self, password: impl Into<String>) -> Self {
        self.plain_text_passwd = Some(Secret::new(password));
        self.lock_passwd = self.lock_passwd.or(Some(Login::Allowed));
        self
    }

    /// Whether the user can log in with the password.
    #[doc(alias = "lock_passwd")]
    pub fn password_login(mut self, login: Login) -> Self {
        self.lock_passwd = Some(login);
        self
    }

    /// A public key that opens this account, as a line of an `authorized_keys` file.
    #[doc(alias = "ssh_authorized_keys")]
    pub fn authorized_key(mut self, key: impl Into<String>) -> Self {
        self.ssh_authorized_keys.push(key.into());
        self
    }

    /// Keys published elsewhere, as in `gh:NAME` or `lp:NAME`; fetched at the first boot by the
    /// program ssh-import-id.
    pub fn ssh_import_id(mut self, id: impl Into<String>) -> Self {
        self.ssh_import_id.push(id.into());
        self
    }

    /// A system user: an id from the system range and no home directory.
    pub fn system(mut self) -> Self {
        self.system = true;
        self
    }

    /// Makes no home directory.
    pub fn no_create_home(mut self) -> Self {
        self.no_create_home = true;
        self
    }

    /// Makes no group of the user's own name.
    pub fn no_user_group(mut self) -> Self {
        self.no_user_group = true;
        self
    }

    /// The SELinux user, as in `staff_u`.
    pub fn selinux_user(mut self, user: impl Into<String>) -> Self {
        self.selinux_user = Some(user.into());
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_distro_default(&self) -> bool {
        self.name == DISTRO_DEFAULT
    }

    /// The default user with nothing to add, which cloud-init writes as a word.
    pub(super) fn is_bare_distro_default(&self) -> bool {
        *self == Self::distro_default()
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.is_distro_default() {
            self.check_distro_default()?;
        } else if !check::is_account_name(&self.name) {
            return Err(Error::InvalidUserName { name: self.name.clone() });
        }
        self.groups
            .iter()
            .chain(&self.primary_group)
            .try_for_each(|name| check::group_name(name))?;
        if let Some(gecos) = &self.gecos {
            check::one_line("users.gecos", gecos)?;
            if gecos.contains(':') {
                check::invalid(
                    "users.gecos",
                    gecos,
                    "holds ':', which separates fields of passwd(5)",
                )?;
            }
        }
        for (key, path) in [("users.homedir", &self.homedir), ("users.shell", &self.shell)] {
            path.iter().try_for_each(|path| check::file_path(key, path))?;
        }
        if let Some(rule) = &self.sudo {
            check::one_line("users.sudo", rule)?;
        }
        if let Some(user) = &self.selinux_user {
            check::token("users.selinux_user", user)?;
        }
        self.check_password()?;
        for key in &self.ssh_authorized_keys {
            check_public_key(&format!("user {}", self.name), key)?;
        }
        self.ssh_import_id.iter().try_for_each(|id| check::token("users.ssh_import_id", id))?;
        let has_keys = !self.ssh_authorized_keys.is_empty() || !self.ssh_import_id.is_empty();
        if has_keys && (self.system || self.no_create_home) {
            return Err(Error::KeysWithoutHome { user: self.name.clone() });
        }
        Ok(())
    }

    fn check_password(&self) -> Result<()> {
        match (&self.hashed_passwd, &self.plain_text_passwd) {
            (Some(_), Some(_)) => Err(Error::InvalidPassword {
                user: self.name.clone(),
                reason: "is given both hashed and in plain text",
            }),
            (Some(hash), None) => check_hash(&self.name, hash),
            (None, Some(password)) => check_plain(&self.name, password),
            (None, None) => Ok(()),
        }
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
            ("group flag", self.no_user_group),
            ("SELinux user", self.selinux_user.is_some()),
        ];
        match decided_by_image.iter().find(|(_, given)| *given) {
            Some((setting, _)) => Err(Error::DistroDefaultUser { setting }),
            None => Ok(()),
        }
    }
}

fn lock_flag<S: Serializer>(
    login: &Option<Login>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_bool(*login == Some(Login::Refused))
}
