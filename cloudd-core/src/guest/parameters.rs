use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::provider::BuildId;

/// The way from stage 1 into stage 2, see `assets/README.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Entry {
    /// systemd stops everything and pivots into a tree in memory: no second boot, no dracut.
    #[default]
    Exitrd,
    /// The running kernel is started anew with its initramfs and a hook in it.
    Kexec,
    /// The machine reboots into its initramfs with a hook in it: the original's way.
    Reboot,
}

impl Entry {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exitrd => "exitrd",
            Self::Kexec => "kexec",
            Self::Reboot => "reboot",
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the agent gets the install container from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextSource {
    /// An image reference, pulled by podman.
    Reference(String),
    /// A build context whose archive is written by cloud-init.
    UserData(ArchiveIdentity),
    /// A build context whose archive begins at the start of a device.
    Media(ArchiveIdentity, PathBuf),
    /// A build context whose archive is uploaded.
    Upload(ArchiveIdentity),
}

/// What an archive must turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveIdentity {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

impl ArchiveIdentity {
    /// Length and hash of an archive.
    #[must_use]
    pub fn new(bytes: u64, sha256: impl Into<String>) -> Self {
        Self { bytes, sha256: sha256.into() }
    }
}

/// The parameters of the guest side.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameters {
    /// The build.
    pub build: BuildId,
    /// The by-id path of the volume.
    pub volume: PathBuf,
    /// Where the install container comes from.
    pub container: ContextSource,
    /// The serial port for events.
    pub port: Option<PathBuf>,
    /// The way into stage 2.
    pub entry: Entry,
}

impl Parameters {
    /// All parameters.
    #[must_use]
    pub fn new(
        build: BuildId,
        volume: PathBuf,
        container: ContextSource,
        port: Option<PathBuf>,
        entry: Entry,
    ) -> Self {
        Self { build, volume, container, port, entry }
    }

    /// The environment file that the shell scripts read: one `KEY='value'` a line, quoted so that
    /// no value can be anything but a value.
    #[must_use]
    pub fn to_env(&self) -> String {
        let mut env = String::new();
        let mut line = |key: &str, value: &str| {
            env.push_str(key);
            env.push('=');
            env.push_str(&quoted(value));
            env.push('\n');
        };
        line("CLOUDD_BUILD", self.build.as_str());
        line("CLOUDD_VOLUME", &self.volume.to_string_lossy());
        line("CLOUDD_ENTRY", self.entry.as_str());
        let port = self.port.as_ref().map(|port| port.to_string_lossy());
        line("CLOUDD_PORT", port.as_deref().unwrap_or_default());
        let archive = match &self.container {
            ContextSource::Reference(reference) => {
                line("CLOUDD_CONTAINER", "reference");
                line("CLOUDD_REFERENCE", reference);
                None
            }
            ContextSource::UserData(archive) => {
                line("CLOUDD_CONTAINER", "context");
                line("CLOUDD_CONTEXT", "file");
                Some(archive)
            }
            ContextSource::Media(archive, device) => {
                line("CLOUDD_CONTAINER", "context");
                line("CLOUDD_CONTEXT", "media");
                line("CLOUDD_CONTEXT_DEVICE", &device.to_string_lossy());
                Some(archive)
            }
            ContextSource::Upload(archive) => {
                line("CLOUDD_CONTAINER", "context");
                line("CLOUDD_CONTEXT", "upload");
                Some(archive)
            }
        };
        if let Some(archive) = archive {
            line("CLOUDD_CONTEXT_BYTES", &archive.bytes.to_string());
            line("CLOUDD_CONTEXT_SHA256", &archive.sha256);
        }
        env
    }
}

/// A word of POSIX shell that stands for exactly this text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_exactly_what_was_given() {
        let nasty = "a'b\"c $(touch /x) `id` \\ \n\t*";
        let parameters = Parameters::new(
            BuildId::try_from("abcdefghij".to_owned()).unwrap(),
            "/dev/disk/by-id/virtio-cloudd-volume".into(),
            ContextSource::Reference(nasty.to_owned()),
            Some("/dev/ttyS1".into()),
            Entry::Kexec,
        );
        let script = parameters.to_env()
            + "printf '%s|%s|%s|%s' \"$CLOUDD_REFERENCE\" \"$CLOUDD_ENTRY\" \"$CLOUDD_PORT\" \"$CLOUDD_BUILD\"";
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            format!("{nasty}|kexec|/dev/ttyS1|abcdefghij")
        );
    }
}
