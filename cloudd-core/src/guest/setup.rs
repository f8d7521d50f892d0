use tar::{Builder, Header};

use super::{Access, ContainerDelivery, Parameters};
use crate::cloud_init::{CloudConfig, Encoding, Error, Login, User, UserData, WriteFile};
use crate::install::LoadedContainer;

/// What the builder VM gets: the scripts of the guest side, their parameters, the container.
pub(crate) struct GuestSetup<'a> {
    pub(crate) parameters: Parameters,
    pub(crate) container: &'a LoadedContainer,
    pub(crate) delivery: ContainerDelivery,
    pub(crate) debug_user: Option<&'a User>,
    /// How the builder is reached over SSH, where it is.
    pub(crate) access: Option<&'a Access>,
}

/// Where the guest side lies, see `assets/README.md`.
const DIRECTORY: &str = "/var/lib/cloudd";

/// How the agent names the image that it builds.
const BUILT_IMAGE: &str = "localhost/cloudd";

/// The archive of [`FILES`], which the unit unpacks. As texts of their own they would hold up
/// cloud-init's YAML reader, which goes from character to character, and several times; measured in
/// `assets/README.md`.
const ARCHIVE: &str = "guest.tar";

/// The unit of the agent, and the only file elsewhere.
const UNIT: (&str, &str) =
    ("/etc/systemd/system/cloudd.service", include_str!("../../assets/cloudd.service"));

/// When cloud-init has written them: the unit has one name up to cloud-init 24.2, another since.
const AFTER_THE_FILES: &str =
    "--property=After=network-online.target cloud-init.service cloud-init-network.service";

/// The other files of the guest side that are the same for each build, with their modes.
const FILES: [(&str, u32, &str); 10] = [
    ("stage1", 0o755, include_str!("../../assets/stage1.sh")),
    ("stage2", 0o644, include_str!("../../assets/stage2.sh")),
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
    /// The user data of the builder VM.
    ///
    /// # Errors
    /// What cloud-init would refuse, such as a debug user without a valid name.
    pub(crate) fn user_data(&self) -> Result<UserData, Error> {
        let (path, unit) = UNIT;
        let env = self.parameters.to_env(self.container, &self.delivery);
        let mut config = CloudConfig::new()
            .write_file(WriteFile::new(path, without_comments(unit)))
            .write_file(file(ARCHIVE, archive()).encoding(Encoding::GzipBase64))
            .write_file(file("env", env).permissions(0o600));
        let build_args = self.container.build_args_file();
        if !build_args.is_empty() {
            config = config.write_file(file("build-args", build_args));
        }
        let base = match &self.delivery {
            ContainerDelivery::Reference(reference) => reference,
            _ => BUILT_IMAGE,
        };
        if let Some(layer) = self.container.env_containerfile(base) {
            config = config.write_file(file("env.Containerfile", layer));
        }
        if let ContainerDelivery::UserData(archive) = &self.delivery {
            // Only small archives come this way, and those are in memory.
            let bytes = archive.as_bytes().unwrap_or_default();
            config = config.write_file(file("context.tar.gz", bytes).encoding(Encoding::Base64));
        }
        if let Some(user) = self.debug_user {
            config = config.user(user.clone()).ssh_password_login(Login::Allowed);
        }
        if let Some(access) = self.access {
            config = access.authorize_in(config);
        }
        // A unit, so that nothing of cloud-init waits for the agent or ends it. Asked for before the
        // files are there, to be started as soon as they are; what runcmd has to say comes a whole
        // process of cloud-init later, and counts only where the first did not work.
        let start = ["systemctl", "start", "--no-block", "cloudd.service"];
        let soon = ["systemd-run", "--no-block", "--unit=cloudd-start", AFTER_THE_FILES];
        config.bootcmd([&soon[..], &start].concat()).runcmd(start).render()
    }
}

fn file(name: &str, content: impl Into<Vec<u8>>) -> WriteFile {
    WriteFile::new(format!("{DIRECTORY}/{name}"), content)
}

/// The same bytes each time: nothing of this machine or of the time is in it.
fn archive() -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, mode, text) in FILES {
        let text = without_comments(text);
        let mut header = Header::new_ustar();
        header.set_mode(mode);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).expect("short names, and a Vec");
    }
    tar.into_inner().expect("writing into a Vec does not fail")
}

/// Leaves out lines that are only a comment, a third of the whole: user data are short.
fn without_comments(text: &str) -> String {
    let comment = |line: &str| line.trim_start().starts_with('#') && !line.starts_with("#!");
    text.split_inclusive('\n').filter(|line| !comment(line)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::guest::Stage2Entry;
    use crate::install::InstallContainer;
    use crate::provider::BuildId;

    #[test]
    fn the_guest_side_leaves_room_for_a_context_in_32_kib() {
        let reference = "registry.example/installer:1";
        let setup = GuestSetup {
            parameters: Parameters::new(
                BuildId::random(),
                "/dev/disk/by-id/virtio-cloudd-volume".into(),
                Some("/dev/ttyS1".into()),
                Stage2Entry::Exitrd,
            ),
            container: &InstallContainer::reference(reference).load().unwrap(),
            delivery: ContainerDelivery::Reference(reference.to_owned()),
            debug_user: None,
            access: None,
        };
        let data = setup.user_data().unwrap();
        let sizes = data.sizes();
        assert!(sizes.gzip_base64 < 16 * 1024, "{sizes:?}: half of Hetzner's limit");
    }

    #[test]
    fn the_archive_has_each_file_without_its_comments() {
        let bytes = archive();
        let mut tar = tar::Archive::new(bytes.as_slice());
        let mut entries = tar.entries().unwrap();
        for (name, mode, text) in FILES {
            let mut entry = entries.next().unwrap().unwrap();
            assert_eq!(entry.path_bytes(), name.as_bytes());
            assert_eq!(entry.header().mode().unwrap(), mode);
            let mut found = String::new();
            entry.read_to_string(&mut found).unwrap();
            assert_eq!(found, without_comments(text));
        }
        assert!(entries.next().is_none());
    }

    #[test]
    fn comments_stay_at_home_and_nothing_else_does() {
        assert_eq!(without_comments("#!/bin/sh\n  # why\nx # y\n\n"), "#!/bin/sh\nx # y\n\n");
    }
}
