use std::path::{Path, PathBuf};
use std::time::Duration;

use tar::{Builder, Header};

use super::{Access, Stage2Entry};
use crate::cloud_init::{CloudConfig, Encoding, Error, Login, User, UserData, WriteFile};
use crate::install::{ContextArchive, LoadedContainer};
use crate::provider::BuildId;
use crate::text::shell_quote;

/// How the install container gets into the guest.
#[derive(Debug, Clone)]
pub(crate) enum ContainerDelivery {
    /// An image reference, which podman pulls.
    Reference(String),
    /// A build context in the user data.
    UserData(ContextArchive),
    /// A build context at the start of this read-only device.
    Media(ContextArchive, PathBuf),
    /// A build context that is uploaded through the channel within this time.
    Upload(ContextArchive, Duration),
}

/// The inputs of a builder VM's user data.
pub(crate) struct GuestSetup<'a> {
    pub(crate) build: BuildId,
    /// The volume's path in `/dev/disk/by-id`.
    pub(crate) volume: &'a Path,
    /// The serial port for events.
    pub(crate) event_port: Option<&'a Path>,
    pub(crate) entry: Stage2Entry,
    pub(crate) container: &'a LoadedContainer,
    pub(crate) delivery: ContainerDelivery,
    pub(crate) debug_user: Option<&'a User>,
    /// How the build logs in to the VM, if it does.
    pub(crate) access: Option<&'a dyn Access>,
}

/// The directory of the guest scripts in the VM, see `assets/README.md`.
const DIRECTORY: &str = "/var/lib/cloudd";

/// The name that the agent gives to the image that it builds.
const BUILT_IMAGE: &str = "localhost/cloudd";

/// The archive of [`FILES`], which the unit unpacks. One archive instead of separate texts, because
/// cloud-init parses YAML character by character, several times; measured in `assets/README.md`.
const ARCHIVE: &str = "guest.tar";

/// The agent's unit, the only file outside [`DIRECTORY`].
const UNIT: (&str, &str) =
    ("/etc/systemd/system/cloudd.service", include_str!("../../assets/cloudd.service"));

/// Orders the agent after the cloud-init unit that writes the files, by its name up to cloud-init
/// 24.2 and its name since.
const AFTER_WRITE_FILES: &str =
    "--property=After=network-online.target cloud-init.service cloud-init-network.service";

/// The files of the archive with their modes; the same for every build.
const FILES: [(&str, u32, &str); 11] = [
    ("stage1", 0o755, include_str!("../../assets/stage1.sh")),
    ("stage2", 0o644, include_str!("../../assets/stage2.sh")),
    ("last_words.sh", 0o644, include_str!("../../assets/last_words.sh")),
    ("events.sh", 0o644, include_str!("../../assets/events.sh")),
    ("disks.sh", 0o644, include_str!("../../assets/disks.sh")),
    ("trace.sh", 0o644, include_str!("../../assets/trace.sh")),
    ("arm.sh", 0o644, include_str!("../../assets/arm.sh")),
    ("copy.sh", 0o644, include_str!("../../assets/copy.sh")),
    ("premount.sh", 0o644, include_str!("../../assets/premount.sh")),
    ("extents.awk", 0o644, include_str!("../../assets/extents.awk")),
    ("log.sed", 0o644, include_str!("../../assets/log.sed")),
];

impl GuestSetup<'_> {
    /// Renders the user data of the builder VM.
    ///
    /// # Errors
    /// Invalid cloud-config, such as a debug user with an invalid name.
    pub(crate) fn user_data(&self) -> Result<UserData, Error> {
        let (path, unit) = UNIT;
        let mut config = CloudConfig::new()
            .write_file(WriteFile::new(path, minified(unit)))
            .write_file(file(ARCHIVE, archive()).encoding(Encoding::GzipBase64))
            .write_file(file("env", self.env()).permissions(0o600));
        let build_args = self.container.build_args_file();
        if !build_args.is_empty() {
            config = config.write_file(file("build-args", build_args).permissions(0o600));
        }
        let base = match &self.delivery {
            ContainerDelivery::Reference(reference) => reference,
            _ => BUILT_IMAGE,
        };
        if let Some(layer) = self.container.env_containerfile(base) {
            config = config.write_file(file("env.Containerfile", layer).permissions(0o600));
        }
        if let Some(auth) = self.container.registry_auth() {
            config = config.write_file(file("auth.json", auth).permissions(0o600));
        }
        if let ContainerDelivery::UserData(archive) = &self.delivery {
            // Small archives only, and those are in memory.
            let bytes = archive.as_bytes().unwrap_or_default();
            config = config.write_file(file("context.tar.gz", bytes).encoding(Encoding::Base64));
        }
        if let Some(user) = self.debug_user {
            config = config.user(user.clone());
            // The setting is for all users, among them those of the base image.
            if user.has_password() {
                config = config.ssh_password_login(Login::Allowed);
            }
        }
        if let Some(access) = self.access {
            config = access.authorize_in(config);
        }
        // A unit, so that cloud-init neither waits for the agent nor ends it. `bootcmd` requests the
        // start before the files exist, to happen as soon as they do; `runcmd`, which runs in a later
        // cloud-init process, requests it again in case that failed.
        let start = ["systemctl", "start", "--no-block", "cloudd.service"];
        let early = ["systemd-run", "--no-block", "--unit=cloudd-start", AFTER_WRITE_FILES];
        config.bootcmd([&early[..], &start].concat()).runcmd(start).render()
    }

    /// Renders the parameters as an environment file for the shell scripts: one `KEY='value'` per
    /// line, quoted so that the shell expands nothing in a value.
    fn env(&self) -> String {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut env = vec![
            ("BUILD", self.build.to_string()),
            ("VOLUME", text(self.volume)),
            ("ENTRY", self.entry.to_string()),
            ("PORT", self.event_port.map(text).unwrap_or_default()),
        ];
        let archive = match &self.delivery {
            ContainerDelivery::Reference(reference) => {
                env.push(("CONTAINER", "reference".to_owned()));
                env.push(("REFERENCE", reference.clone()));
                None
            }
            ContainerDelivery::UserData(archive) => {
                env.push(("CONTEXT", "file".to_owned()));
                Some(archive)
            }
            ContainerDelivery::Media(archive, device) => {
                env.push(("CONTEXT", "media".to_owned()));
                env.push(("CONTEXT_DEVICE", text(device)));
                Some(archive)
            }
            ContainerDelivery::Upload(archive, timeout) => {
                env.push(("CONTEXT", "upload".to_owned()));
                env.push(("UPLOAD_WAIT", timeout.as_secs().to_string()));
                Some(archive)
            }
        };
        if let Some(archive) = archive {
            env.push(("CONTAINER", "context".to_owned()));
            env.push(("CONTEXT_BYTES", archive.len().to_string()));
            env.push(("CONTEXT_SHA256", archive.sha256().to_string()));
            if let Some(context) = self.container.context() {
                env.push(("CONTAINERFILE", text(context.containerfile())));
            }
        }
        env.iter().map(|(key, value)| format!("CLOUDD_{key}={}\n", shell_quote(value))).collect()
    }
}

fn file(name: &str, content: impl Into<Vec<u8>>) -> WriteFile {
    WriteFile::new(format!("{DIRECTORY}/{name}"), content)
}

/// Packs [`FILES`] into a reproducible archive: no owner, no modification time.
fn archive() -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, mode, text) in FILES {
        let text = minified(text);
        let mut header = Header::new_ustar();
        header.set_mode(mode);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).expect("short names, and a Vec");
    }
    tar.into_inner().expect("writing into a Vec does not fail")
}

/// Removes the lines that are only a comment, and indentation, since user data is limited: 38 % of all
/// bytes. No script has text of several lines whose indentation matters.
fn minified(text: &str) -> String {
    let is_comment = |line: &str| line.trim_start().starts_with('#') && !line.starts_with("#!");
    let lines = text.split_inclusive('\n').filter(|line| !is_comment(line));
    lines.map(|line| line.trim_start_matches([' ', '\t'])).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::install::InstallContainer;

    /// User data and parameters for a volume and an image reference.
    fn with_setup<T>(volume: &str, reference: &str, test: impl FnOnce(GuestSetup<'_>) -> T) -> T {
        test(GuestSetup {
            build: BuildId::random(),
            volume: Path::new(volume),
            event_port: Some(Path::new("/dev/ttyS1")),
            entry: Stage2Entry::Kexec,
            container: &InstallContainer::reference(reference).load().unwrap(),
            delivery: ContainerDelivery::Reference(reference.to_owned()),
            debug_user: None,
            access: None,
        })
    }

    #[test]
    fn a_shell_reads_the_parameters_unchanged() {
        let volume = "a'b\"c $(touch /x) `id` \\ \n\t*";
        let reference = "registry.example/x:1";
        let script = with_setup(volume, reference, |setup| setup.env())
            + "printf '%s|%s|%s|%s' \"$CLOUDD_VOLUME\" \"$CLOUDD_ENTRY\" \"$CLOUDD_PORT\" \"$CLOUDD_REFERENCE\"";
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            format!("{volume}|kexec|/dev/ttyS1|{reference}")
        );
    }

    #[test]
    fn only_root_can_read_the_files_with_values() {
        let container = InstallContainer::reference("registry.example/x:1")
            .env("TOKEN", "hunter2")
            .registry_auth(r#"{"auths": {"registry.example": {"auth": "aHVudGVyMw=="}}}"#);
        let setup = GuestSetup {
            build: BuildId::random(),
            volume: Path::new("/dev/x"),
            event_port: None,
            entry: Stage2Entry::Exitrd,
            container: &container.load().unwrap(),
            delivery: ContainerDelivery::Reference("registry.example/x:1".to_owned()),
            debug_user: None,
            access: None,
        };
        let data = setup.user_data().unwrap();
        let (_, json) = data.as_str().split_once('\n').unwrap();
        let config: serde_json::Value = serde_json::from_str(json).unwrap();
        let files = config["write_files"].as_array().unwrap();
        for (value, name) in [("hunter2", "env.Containerfile"), ("aHVudGVyMw", "auth.json")] {
            let with_value: Vec<_> =
                files.iter().filter(|file| file.to_string().contains(value)).collect();
            assert_eq!(with_value.len(), 1);
            assert_eq!(with_value[0]["path"], format!("/var/lib/cloudd/{name}"));
            assert_eq!(with_value[0]["permissions"], "0600");
        }
        assert!(!format!("{container:?} {:?}", container.load()).contains("aHVudGVyMw"));
    }

    #[test]
    fn a_debug_user_with_a_key_turns_on_no_passwords() {
        let reference = "registry.example/x:1";
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpwRhW/BcfsUE0A0zfrw/FLJ4QVSWYLLBgc7au5RgnC me";
        for (user, allowed) in [
            (User::new("debug").authorized_key(key), serde_json::Value::Null),
            (User::new("debug").plain_text_password("hunter22"), true.into()),
        ] {
            let data = with_setup("/dev/x", reference, |setup| {
                GuestSetup { debug_user: Some(&user), ..setup }.user_data()
            });
            let data = data.unwrap();
            let (_, json) = data.as_str().split_once('\n').unwrap();
            let config: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(config["ssh_pwauth"], allowed);
        }
    }

    #[test]
    fn the_guest_scripts_leave_room_for_a_context_in_32_kib() {
        let volume = "/dev/disk/by-id/virtio-cloudd-volume";
        let data = with_setup(volume, "registry.example/installer:1", |setup| setup.user_data());
        let sizes = data.unwrap().sizes();
        assert!(sizes.gzip_base64 < 18 * 1024, "{sizes:?}: 14 KiB of Hetzner's limit are left");
    }

    #[test]
    fn the_archive_has_each_file_without_comments_and_indentation() {
        let bytes = archive();
        let mut tar = tar::Archive::new(bytes.as_slice());
        let mut entries = tar.entries().unwrap();
        for (name, mode, text) in FILES {
            let mut entry = entries.next().unwrap().unwrap();
            assert_eq!(entry.path_bytes(), name.as_bytes());
            assert_eq!(entry.header().mode().unwrap(), mode);
            let mut found = String::new();
            entry.read_to_string(&mut found).unwrap();
            assert_eq!(found, minified(text));
        }
        assert!(entries.next().is_none());
    }

    #[test]
    fn only_comment_lines_and_indentation_are_removed() {
        assert_eq!(minified("#!/bin/sh\n  # why\n  x # y  \n\n"), "#!/bin/sh\nx # y  \n\n");
    }
}
