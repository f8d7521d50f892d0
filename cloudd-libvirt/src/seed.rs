//! The seed: a small disk with the user data for cloud-init's data source `NoCloud`.
//!
//! It is a FAT volume with the label `cidata`, as required by `NoCloud`, on a virtio disk, because the
//! kernels of cloud images have few other drivers. Equal input gives equal bytes.

use std::io::{self, Cursor, Write as _};

use cloudd_core::provider::{Error, ErrorKind, Result};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

/// The contents of a seed.
#[derive(Clone, Copy)]
pub(crate) struct Seed<'a> {
    /// Different for each VM: cloud-init runs once per value.
    pub(crate) instance_id: &'a str,
    pub(crate) hostname: &'a str,
    pub(crate) user_data: &'a [u8],
    /// The network configuration; `None`: the choice of cloud-init.
    pub(crate) network_config: Option<&'a str>,
}

/// An arbitrary constant.
const VOLUME_ID: u32 = 0xc10d_d000;
const LABEL: [u8; 11] = *b"cidata     ";
/// Space for file tables, the directory and partly used clusters.
const OVERHEAD: usize = 512 * 1024;
const MIB: usize = 1 << 20;

impl Seed<'_> {
    /// The bytes of the disk.
    pub(crate) fn build(&self) -> Result<Vec<u8>> {
        self.write().map_err(|error| {
            Error::new(ErrorKind::Internal, "create seed")
                .with_resource(self.hostname)
                .with_source(error)
        })
    }

    fn write(&self) -> io::Result<Vec<u8>> {
        // JSON is YAML.
        let meta_data = serde_json::json!({
            "instance-id": self.instance_id,
            "local-hostname": self.hostname,
        })
        .to_string();
        let mut files = vec![("meta-data", meta_data.as_bytes()), ("user-data", self.user_data)];
        files.extend(self.network_config.map(|config| ("network-config", config.as_bytes())));

        let payload: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut disk = Cursor::new(vec![0; (payload + OVERHEAD).next_multiple_of(MIB)]);
        let options = FormatVolumeOptions::new().volume_id(VOLUME_ID).volume_label(LABEL);
        fatfs::format_volume(&mut disk, options)?;
        let file_system = FileSystem::new(&mut disk, FsOptions::new())?;
        for (name, bytes) in files {
            file_system.root_dir().create_file(name)?.write_all(bytes)?;
        }
        file_system.unmount()?;
        Ok(disk.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn seed(user_data: &[u8]) -> Seed<'_> {
        Seed { instance_id: "i-1", hostname: "vm", user_data, network_config: None }
    }

    fn read(disk: Vec<u8>, name: &str) -> Vec<u8> {
        let mut disk = Cursor::new(disk);
        let file_system = FileSystem::new(&mut disk, FsOptions::new()).unwrap();
        assert_eq!(file_system.volume_label(), "cidata");
        let mut bytes = Vec::new();
        file_system.root_dir().open_file(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn files_of_any_size_are_read_back() {
        for size in [0, 1, 40_000, 3_000_000, 16 << 20] {
            let user_data: Vec<u8> = (0..size).map(|i: u32| (i % 251) as u8).collect();
            let disk = seed(&user_data).build().unwrap();
            assert_eq!(disk.len() % 512, 0);
            assert_eq!(read(disk, "user-data"), user_data, "{size} bytes");
        }
    }

    #[test]
    fn equal_input_gives_equal_bytes() {
        let disk = seed(b"#cloud-config\n{}").build().unwrap();
        assert_eq!(disk, seed(b"#cloud-config\n{}").build().unwrap());
        assert_ne!(disk, seed(b"#cloud-config\n{} ").build().unwrap());
    }

    #[test]
    fn meta_data_are_yaml_and_network_config_is_optional() {
        let with = Seed { network_config: Some("version: 2"), ..seed(b"x") }.build().unwrap();
        let meta: serde_json::Value =
            serde_json::from_slice(&read(with.clone(), "meta-data")).unwrap();
        assert_eq!(meta["instance-id"], "i-1");
        assert_eq!(meta["local-hostname"], "vm");
        assert_eq!(read(with, "network-config"), b"version: 2");
    }
}
