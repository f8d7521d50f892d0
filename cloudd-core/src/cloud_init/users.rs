//! `users` and `groups`.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::check;
use super::config::{CloudConfig, Section};
use super::error::{Error, Result};
use super::render::Document;
use super::user::User;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Users {
    users: Vec<User>,
    groups: Vec<Group>,
}

impl CloudConfig {
    /// Creates a user.
    ///
    /// Without any user here, cloud-init makes the image's own default user. With at least one,
    /// that user is made only if [`User::distro_default`] is among them.
    #[doc(alias = "users")]
    pub fn user(mut self, user: User) -> Self {
        self.users.users.push(user);
        self
    }

    /// Creates a group, before any user is created.
    #[doc(alias = "groups")]
    pub fn group(mut self, group: Group) -> Self {
        self.users.groups.push(group);
        self
    }
}

/// A group of the machine.
///
/// The groups of a [`User`] are created with it; this is for groups without one, and for adding
/// users that the image already has.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Group {
    name: String,
    members: Vec<String>,
}

impl Group {
    /// A group of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), members: Vec::new() }
    }

    /// A member, which must be a user of the image. Users of the same cloud-config do not exist
    /// yet when groups are made: give them [`User::group`].
    pub fn member(mut self, user: impl Into<String>) -> Self {
        self.members.push(user.into());
        self
    }
}

impl Section for Users {
    fn check(&self) -> Result<()> {
        self.users.iter().try_for_each(User::check)?;
        check::no_duplicates("users", self.users.iter().map(User::name))?;
        check::no_duplicates("groups", self.groups.iter().map(|group| group.name.as_str()))?;
        self.groups.iter().try_for_each(|group| self.check_group(group))
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.list("groups", &self.groups);
        if !self.users.is_empty() {
            document.entry("users", self);
        }
        Ok(())
    }
}

impl Users {
    /// Whether this cloud-config creates the account. `root` is in every image.
    pub(super) fn creates_user(&self, name: &str) -> bool {
        name != "root" && self.users.iter().any(|user| user.name() == name)
    }

    /// Whether this cloud-config creates the group. The further groups of a user do not count:
    /// most of them (`sudo`, `adm`) are in the image.
    pub(super) fn creates_group(&self, name: &str) -> bool {
        self.creates_user(name) || self.groups.iter().any(|group| group.name == name)
    }

    fn check_group(&self, group: &Group) -> Result<()> {
        check::group_name(&group.name)?;
        for member in &group.members {
            if !check::is_account_name(member) {
                return Err(Error::InvalidUserName { name: member.clone() });
            }
            if self.creates_user(member) {
                return Err(Error::MemberNotYetThere {
                    group: group.name.clone(),
                    user: member.clone(),
                });
            }
        }
        Ok(())
    }
}

/// The `users` list, in which the bare default user is a word.
impl Serialize for Users {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.users.len()))?;
        for user in &self.users {
            if user.is_bare_distro_default() {
                list.serialize_element(user.name())?;
            } else {
                list.serialize_element(user)?;
            }
        }
        list.end()
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.members.is_empty() {
            return serializer.serialize_str(&self.name);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.name, &self.members)?;
        map.end()
    }
}
