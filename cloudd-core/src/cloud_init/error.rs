//! Errors of rendering user data.

/// Why a [`CloudConfig`](super::CloudConfig) or a [`MultiPart`](super::MultiPart) cannot be
/// rendered.
///
/// cloud-init reports most of these mistakes only as a warning in a log on the running machine. Each
/// error names the offending value. Secret values (passwords, their hashes, private keys) are
/// replaced by the user or the algorithm they belong to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The value is not valid for its key.
    #[error("{key}: {value:?} {reason}")]
    InvalidValue {
        /// The cloud-config key.
        key: &'static str,
        /// The value, or the path of the file that has it.
        value: String,
        /// The violated rule.
        reason: &'static str,
    },

    /// The command has no program, or contains a NUL character.
    #[error("{key}: command {index} {reason}")]
    InvalidCommand {
        /// `bootcmd`, `runcmd` or `power_state.condition`.
        key: &'static str,
        /// The index of the command in its list.
        index: usize,
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

    /// The password cannot be set, or the password hash is not an output of crypt(3).
    #[error("the password of user {user:?} {reason}")]
    InvalidPassword {
        /// The user whose password it is.
        user: String,
        /// The violated rule.
        reason: &'static str,
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

    /// SSH keys are stored in the home directory, and this user has none.
    #[error("user {user:?} has SSH keys but no home directory to store them")]
    KeysWithoutHome {
        /// The user.
        user: String,
    },

    /// The image's configuration of its default user would override this setting.
    #[error(
        "the {setting} of the default user is configured by the image; only authorized keys can be added"
    )]
    DistroDefaultUser {
        /// The setting that would be ignored, or would replace that of the image.
        setting: &'static str,
    },

    /// Groups are created before users, so cloud-init would skip this member with a warning.
    #[error("group {group:?} is created before its member {user:?}; use User::group")]
    MemberNotYetThere {
        /// The group that lists the member.
        group: String,
        /// The member, which the same cloud-config creates.
        user: String,
    },

    /// The file is written before its owner exists, so cloud-init would stop writing files.
    #[error("{path:?} is written before its owner {owner:?} is created; use WriteFile::defer")]
    OwnerNotYetThere {
        /// The file.
        path: String,
        /// The user or group, which the same cloud-config creates.
        owner: String,
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
