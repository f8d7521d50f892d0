use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::install::{ContextArchive, LoadedContainer};
use crate::provider::BuildId;

/// The way from stage 1 into stage 2, see `assets/README.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage2Entry {
    /// systemd stops everything and pivots into a tree in memory: no second boot, no dracut.
    #[default]
    Exitrd,
    /// The running kernel is started anew with its initramfs and a hook in it.
    Kexec,
    /// The machine reboots into its initramfs with a hook in it: the original's way.
    Reboot,
}

impl Stage2Entry {
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

impl fmt::Display for Stage2Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the install container reaches the guest.
#[derive(Debug, Clone)]
pub(crate) enum ContainerDelivery {
    /// By reference: podman pulls it.
    Reference(String),
    /// A build context, written by cloud-init.
    UserData(ContextArchive),
    /// A build context that begins at the start of this device.
    Media(ContextArchive, PathBuf),
    /// A build context, uploaded through the channel within this time.
    Upload(ContextArchive, Duration),
}

/// The parameters of the guest side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// The build.
    pub(crate) build: BuildId,
    /// The by-id path of the volume.
    pub(crate) volume: PathBuf,
    /// The serial port for events.
    pub(crate) port: Option<PathBuf>,
    /// The way into stage 2.
    pub(crate) entry: Stage2Entry,
}

impl Parameters {
    /// All parameters.
    #[must_use]
    pub(crate) fn new(
        build: BuildId,
        volume: PathBuf,
        port: Option<PathBuf>,
        entry: Stage2Entry,
    ) -> Self {
        Self { build, volume, port, entry }
    }

    /// The environment file that the shell scripts read: one `KEY='value'` a line, quoted so that
    /// no value can be anything but a value.
    pub(super) fn to_env(&self, container: &LoadedContainer, by: &ContainerDelivery) -> String {
        let mut env = Env::default();
        env.set("CLOUDD_BUILD", self.build.as_str());
        env.set("CLOUDD_VOLUME", &self.volume.to_string_lossy());
        env.set("CLOUDD_ENTRY", self.entry.as_str());
        let port = self.port.as_ref().map(|port| port.to_string_lossy());
        env.set("CLOUDD_PORT", port.as_deref().unwrap_or_default());
        let archive = match by {
            ContainerDelivery::Reference(reference) => {
                env.set("CLOUDD_CONTAINER", "reference");
                env.set("CLOUDD_REFERENCE", reference);
                return env.0;
            }
            ContainerDelivery::UserData(archive) => {
                env.set("CLOUDD_CONTEXT", "file");
                archive
            }
            ContainerDelivery::Media(archive, device) => {
                env.set("CLOUDD_CONTEXT", "media");
                env.set("CLOUDD_CONTEXT_DEVICE", &device.to_string_lossy());
                archive
            }
            ContainerDelivery::Upload(archive, wait) => {
                env.set("CLOUDD_CONTEXT", "upload");
                env.set("CLOUDD_UPLOAD_WAIT", &wait.as_secs().to_string());
                archive
            }
        };
        env.set("CLOUDD_CONTAINER", "context");
        env.set("CLOUDD_CONTEXT_BYTES", &archive.len().to_string());
        env.set("CLOUDD_CONTEXT_SHA256", &archive.sha256().to_string());
        if let Some(context) = container.context() {
            env.set("CLOUDD_CONTAINERFILE", &context.containerfile().to_string_lossy());
        }
        env.0
    }
}

/// Lines of an environment file.
#[derive(Default)]
struct Env(String);

impl Env {
    fn set(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        self.0.push('=');
        self.0.push_str(&shell_quote(value));
        self.0.push('\n');
    }
}

/// A word of POSIX shell that stands for exactly this text.
pub(crate) fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::InstallContainer;

    #[test]
    fn a_shell_reads_back_exactly_what_was_given() {
        let nasty = "a'b\"c $(touch /x) `id` \\ \n\t*";
        let parameters = Parameters::new(
            BuildId::try_from("abcdefghij".to_owned()).unwrap(),
            nasty.into(),
            Some("/dev/ttyS1".into()),
            Stage2Entry::Kexec,
        );
        let reference = "registry.example/x:1";
        let container = InstallContainer::reference(reference).load().unwrap();
        let by = ContainerDelivery::Reference(reference.to_owned());
        let script = parameters.to_env(&container, &by)
            + "printf '%s|%s|%s|%s' \"$CLOUDD_VOLUME\" \"$CLOUDD_ENTRY\" \"$CLOUDD_PORT\" \"$CLOUDD_REFERENCE\"";
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            format!("{nasty}|kexec|/dev/ttyS1|{reference}")
        );
    }
}
