//! What can be wrong with a cloud-config before any machine has seen it.

/// Why a [`CloudConfig`](super::CloudConfig) or a [`MultiPart`](super::MultiPart) cannot be
/// rendered.
///
/// cloud-init answers most of these with a warning in a log that nobody reads, on a machine that is
/// already running. Here they are errors, each naming the offending value. Values that are secret
/// (passwords, their hashes, private keys) are never part of an error; the user or the algorithm
/// they were meant for is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a name that `useradd` takes on every distribution.
    #[error(
        "{name:?} is not a user name: 1 to 32 of A-Z, a-z, 0-9, '_', '.', '-', beginning with a letter or '_'"
    )]
    InvalidUserName {
        /// The name as given.
        name: String,
    },

    /// Not a name that `groupadd` takes on every distribution.
    #[error(
        "{name:?} is not a group name: 1 to 32 of A-Z, a-z, 0-9, '_', '.', '-', beginning with a letter or '_'"
    )]
    InvalidGroupName {
        /// The name as given.
        name: String,
    },

    /// Groups are made before users, so cloud-init would skip this member with a warning.
    #[error(
        "user {user:?} cannot be made a member by group {group:?}, which is created first; use User::group"
    )]
    MemberNotYetThere {
        /// The group that lists the member.
        group: String,
        /// The member, which the same cloud-config creates.
        user: String,
    },

    /// The text is not the output of crypt(3): most likely a plain password.
    #[error("the password hash of user {user:?} is not a crypt(3) hash (`$6$…`, `$y$…`)")]
    NotAPasswordHash {
        /// Whose password it was meant to be.
        user: String,
    },

    /// A user has a hashed and a plain password, or a password that cannot be carried.
    #[error("the password of user {user:?} {reason}")]
    InvalidPassword {
        /// Whose password it was meant to be.
        user: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The image's own configuration of its default user would win over this setting.
    #[error(
        "the default user takes only authorized keys here: the image decides about its {setting}"
    )]
    DistroDefaultUser {
        /// The setting that would have been ignored or would have replaced the image's.
        setting: &'static str,
    },

    /// SSH keys need a home directory, and this user gets none.
    #[error("user {user:?} has SSH keys but no home directory to keep them in")]
    KeysWithoutHome {
        /// The user.
        user: String,
    },

    /// Not a line of an `authorized_keys` or `.pub` file.
    #[error("public key {shown:?} for {owner}: {reason}")]
    InvalidPublicKey {
        /// Who or what the key is for.
        owner: String,
        /// The first characters of the key.
        shown: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// Not a private key as `ssh-keygen` writes it. The key itself is not shown.
    #[error("the private {algorithm} host key {reason}")]
    InvalidHostKey {
        /// `ed25519`, `ecdsa` or `rsa`.
        algorithm: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// Not an RFC 1123 name.
    #[error("{key}: {name:?} is not a host name: {reason}")]
    InvalidHostname {
        /// The cloud-config key.
        key: &'static str,
        /// The name as given.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },

    /// cloud-init resolves no relative paths: it would mean "wherever the boot process stands".
    #[error("{key}: path {path:?} is not absolute, or is not a plain path")]
    PathNotAbsolute {
        /// The cloud-config key.
        key: &'static str,
        /// The path as given.
        path: String,
    },

    /// More than the twelve bits that chmod(2) knows, or 0, with which cloud-init leaves the file
    /// readable by everybody.
    #[error("permissions {mode:#o} of {path:?} are not within 0o1 to 0o7777")]
    InvalidPermissions {
        /// The file.
        path: String,
        /// The mode as given.
        mode: u32,
    },

    /// Not `user` or `user:group`.
    #[error("owner {owner:?} of {path:?} is not `user` or `user:group`")]
    InvalidOwner {
        /// The file.
        path: String,
        /// The owner as given.
        owner: String,
    },

    /// The file is written before its owner exists; cloud-init would give up on all files.
    #[error("{path:?} is written before its owner {owner:?} is created; defer it")]
    OwnerNotYetThere {
        /// The file.
        path: String,
        /// The user or group, which the same cloud-config creates.
        owner: String,
    },

    /// `Encoding::Plain` was asked for, and the bytes are not UTF-8.
    #[error("the content of {path:?} is not UTF-8 text, so it cannot be written as plain text")]
    ContentNotText {
        /// The file.
        path: String,
    },

    /// A command without a program.
    #[error("{key}: command {index} is empty")]
    EmptyCommand {
        /// `bootcmd`, `runcmd` or `power_state.condition`.
        key: &'static str,
        /// Which one, from 0.
        index: usize,
    },

    /// A NUL byte, which neither a shell script nor an argument can hold.
    #[error("{key}: command {index} holds a NUL character")]
    NulInCommand {
        /// `bootcmd`, `runcmd` or `power_state.condition`.
        key: &'static str,
        /// Which one, from 0.
        index: usize,
    },

    /// The value is empty, or would break the line or the field it ends up in.
    #[error("{key}: {value:?} {reason}")]
    InvalidValue {
        /// The cloud-config key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// Two things lease the same place, and one would silently win.
    #[error("{key}: {name:?} is given twice")]
    GivenTwice {
        /// The cloud-config key.
        key: &'static str,
        /// The name that appears twice.
        name: String,
    },

    /// A key of [`CloudConfig::extra`](super::CloudConfig::extra) that a typed setter has written.
    #[error(
        "key {key:?} was given to extra() and is also written by a typed setter, or given twice"
    )]
    KeyCollision {
        /// The top-level key.
        key: String,
    },

    /// Two settings of which cloud-init would ignore one.
    #[error("{ignored} has no effect together with {because}")]
    Ignored {
        /// The setting that would be lost.
        ignored: &'static str,
        /// The setting that makes it so.
        because: &'static str,
    },

    /// A MIME part that cloud-init would take for something else, or lose.
    #[error("part {name:?} {reason}")]
    InvalidPart {
        /// The file name of the part.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The result of checking or rendering.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;
