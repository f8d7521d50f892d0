//! Errors of rendering a cloud-config.

/// Why a [`CloudConfig`](super::CloudConfig) or a [`MultiPart`](super::MultiPart) cannot be
/// rendered.
///
/// cloud-init reports most of these mistakes only as a warning in a log on the running machine. Each
/// error names the offending value. Secret values (passwords, their hashes, private keys) are
/// replaced by the user or the algorithm they belong to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name is not one that `useradd` accepts on every distribution.
    #[error(
        "{name:?} is not a user name: 1 to 32 of A-Z, a-z, 0-9, '_', '.', '-', starting with a letter or '_'"
    )]
    InvalidUserName {
        /// The name as given.
        name: String,
    },

    /// The name is not one that `groupadd` accepts on every distribution.
    #[error(
        "{name:?} is not a group name: 1 to 32 of A-Z, a-z, 0-9, '_', '.', '-', starting with a letter or '_'"
    )]
    InvalidGroupName {
        /// The name as given.
        name: String,
    },

    /// Groups are created before users, so cloud-init would skip this member with a warning.
    #[error("group {group:?} is created before its member {user:?}; use User::group")]
    MemberNotYetThere {
        /// The group that lists the member.
        group: String,
        /// The member, which the same cloud-config creates.
        user: String,
    },

    /// The text is not an output of crypt(3), and probably a plain password.
    #[error("the password hash of user {user:?} is not a crypt(3) hash (`$6$…`, `$y$…`)")]
    NotAPasswordHash {
        /// The user whose password it is.
        user: String,
    },

    /// The password is empty, has control characters, or is given both hashed and in plain text.
    #[error("the password of user {user:?} {reason}")]
    InvalidPassword {
        /// The user whose password it is.
        user: String,
        /// The violated rule.
        reason: &'static str,
    },

    /// The image's configuration of its default user would override this setting.
    #[error(
        "the {setting} of the default user is configured by the image; only authorized keys can be added"
    )]
    DistroDefaultUser {
        /// The setting that would be ignored, or would replace that of the image.
        setting: &'static str,
    },

    /// SSH keys are stored in the home directory, and this user has none.
    #[error("user {user:?} has SSH keys but no home directory to store them")]
    KeysWithoutHome {
        /// The user.
        user: String,
    },

    /// The text is not a line of an `authorized_keys` or `.pub` file.
    #[error("public key {shown:?} for {owner}: {reason}")]
    InvalidPublicKey {
        /// The user or host key that the public key is for.
        owner: String,
        /// The first characters of the key.
        shown: String,
        /// The violated rule.
        reason: &'static str,
    },

    /// The text is not a private key as written by `ssh-keygen`. The key is not shown.
    #[error("the private {algorithm} host key {reason}")]
    InvalidHostKey {
        /// `ed25519`, `ecdsa` or `rsa`.
        algorithm: &'static str,
        /// The violated rule.
        reason: &'static str,
    },

    /// The name does not conform to RFC 1123.
    #[error("{key}: {name:?} is not a host name: {reason}")]
    InvalidHostname {
        /// The cloud-config key.
        key: &'static str,
        /// The name as given.
        name: String,
        /// The violated rule.
        reason: &'static str,
    },

    /// The path is relative, ends with `/` or has control characters. A relative path would depend on
    /// the working directory of cloud-init.
    #[error("{key}: {path:?} is not an absolute path")]
    PathNotAbsolute {
        /// The cloud-config key.
        key: &'static str,
        /// The path as given.
        path: String,
    },

    /// The mode has more than the twelve bits of chmod(2), or is 0, for which cloud-init leaves the
    /// file readable by all users.
    #[error("permissions {mode:#o} of {path:?} are not within 0o1 to 0o7777")]
    InvalidPermissions {
        /// The file.
        path: String,
        /// The mode as given.
        mode: u32,
    },

    /// The owner is not of the form `user` or `user:group`.
    #[error("owner {owner:?} of {path:?} is not `user` or `user:group`")]
    InvalidOwner {
        /// The file.
        path: String,
        /// The owner as given.
        owner: String,
    },

    /// The file is written before its owner exists, so cloud-init would stop writing files.
    #[error("{path:?} is written before its owner {owner:?} is created; use WriteFile::defer")]
    OwnerNotYetThere {
        /// The file.
        path: String,
        /// The user or group, which the same cloud-config creates.
        owner: String,
    },

    /// `Encoding::Plain` was set for content that is not UTF-8.
    #[error("the content of {path:?} is not UTF-8, so it cannot be encoded as plain text")]
    ContentNotText {
        /// The file.
        path: String,
    },

    /// The command has no program.
    #[error("{key}: command {index} is empty")]
    EmptyCommand {
        /// `bootcmd`, `runcmd` or `power_state.condition`.
        key: &'static str,
        /// The index of the command in its list.
        index: usize,
    },

    /// The command contains a NUL character, which neither a shell script nor an argument can hold.
    #[error("{key}: command {index} contains a NUL character")]
    NulInCommand {
        /// `bootcmd`, `runcmd` or `power_state.condition`.
        key: &'static str,
        /// The index of the command in its list.
        index: usize,
    },

    /// The value is empty, or would break the line or field that it becomes part of.
    #[error("{key}: {value:?} {reason}")]
    InvalidValue {
        /// The cloud-config key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// The violated rule.
        reason: &'static str,
    },

    /// Two entries have the same name, and cloud-init would ignore one of them.
    #[error("{key}: {name:?} is given twice")]
    GivenTwice {
        /// The cloud-config key.
        key: &'static str,
        /// The name.
        name: String,
    },

    /// A key of [`CloudConfig::extra`](super::CloudConfig::extra) that a typed setter wrote, or that was
    /// given twice.
    #[error("key {key:?} was given to extra() twice, or is also written by a typed setter")]
    KeyCollision {
        /// The top-level key.
        key: String,
    },

    /// A MIME part that cloud-init would ignore or handle as another kind.
    #[error("part {name:?} {reason}")]
    InvalidPart {
        /// The file name of the part.
        name: String,
        /// The violated rule.
        reason: &'static str,
    },
}

/// The result of checking or rendering.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;
