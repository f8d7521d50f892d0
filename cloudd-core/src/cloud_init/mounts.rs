//! `mounts`, `mount_default_fields` and `swap`.

use serde::{Serialize, Serializer};

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Mounts {
    mounts: Vec<Mount>,
    default_fields: Option<[Option<String>; 6]>,
    swap: Option<Swap>,
}

impl CloudConfig {
    /// Adds a line to `/etc/fstab` and mounts it.
    #[doc(alias = "mounts")]
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.mounts.push(mount);
        self
    }

    /// What cloud-init fills in for fields that a [`Mount`] leaves open: device, directory, type,
    /// options, dump, pass.
    pub fn mount_default_fields(mut self, fields: [Option<&str>; 6]) -> Self {
        self.mounts.default_fields = Some(fields.map(|field| field.map(str::to_owned)));
        self
    }

    /// Makes a swap file.
    pub fn swap(mut self, swap: Swap) -> Self {
        self.mounts.swap = Some(swap);
        self
    }
}

/// A line of `/etc/fstab`.
///
/// A field that is left open before one that is given gets what fstab(5) means by it: type `auto`,
/// options `defaults,nofail`, dump 0.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Mount {
    device: String,
    directory: Option<String>,
    fs_type: Option<String>,
    options: Option<String>,
    dump: Option<u8>,
    pass: Option<u8>,
}

impl Mount {
    /// Mounts a device at a directory, which is created if missing. The device is anything that
    /// fstab takes, best a path below `/dev/disk` or `LABEL=…`, since kernel names change; the
    /// directory may be `none`.
    pub fn new(device: impl Into<String>, directory: impl Into<String>) -> Self {
        Self { directory: Some(directory.into()), ..Self::removed(device) }
    }

    /// Takes back what cloud-init would mount unasked: `ephemeral0`, `swap`.
    pub fn removed(device: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            directory: None,
            fs_type: None,
            options: None,
            dump: None,
            pass: None,
        }
    }

    /// The file system, as in `ext4`.
    pub fn fs_type(mut self, fs_type: impl Into<String>) -> Self {
        self.fs_type = Some(fs_type.into());
        self
    }

    /// Options, separated by commas.
    pub fn options(mut self, options: impl Into<String>) -> Self {
        self.options = Some(options.into());
        self
    }

    /// Whether dump(8) saves it: 0 or 1.
    pub fn dump(mut self, dump: u8) -> Self {
        self.dump = Some(dump);
        self
    }

    /// When fsck(8) checks it: 0 never, 1 for the root, 2 for others.
    pub fn pass(mut self, pass: u8) -> Self {
        self.pass = Some(pass);
        self
    }

    fn fields(&self) -> Vec<String> {
        let Some(directory) = &self.directory else {
            return vec![self.device.clone()];
        };
        let mut fields = vec![self.device.clone(), directory.clone()];
        let rest = [
            (self.fs_type.clone(), "auto"),
            (self.options.clone(), "defaults,nofail"),
            (self.dump.map(|dump| dump.to_string()), "0"),
            (self.pass.map(|pass| pass.to_string()), "0"),
        ];
        let given = rest.iter().rposition(|(field, _)| field.is_some()).map_or(0, |last| last + 1);
        let filled = |(field, open): (Option<String>, &str)| field.unwrap_or(open.to_owned());
        fields.extend(rest.into_iter().take(given).map(filled));
        fields
    }

    fn check(&self) -> Result<()> {
        // fstab escapes a blank as \040; cloud-init joins the fields as they are.
        self.fields().iter().try_for_each(|field| check::token("mounts", field))?;
        match self.directory.as_deref() {
            None | Some("none") => Ok(()),
            Some(directory) => check::directory("mounts", directory),
        }
    }
}

impl Serialize for Mount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}

/// A swap file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct Swap {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    size: SwapSize,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxsize: Option<u64>,
}

/// How big a swap file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SwapSize {
    /// What cloud-init thinks fits the memory.
    Auto,
    /// This many bytes.
    #[serde(untagged)]
    Bytes(u64),
}

impl Swap {
    /// A swap file of this size.
    pub fn new(size: SwapSize) -> Self {
        Self { filename: None, size, maxsize: None }
    }

    /// Where it is; `/swap.img` if not given.
    #[doc(alias = "filename")]
    pub fn file(mut self, path: impl Into<String>) -> Self {
        self.filename = Some(path.into());
        self
    }

    /// The most bytes that [`SwapSize::Auto`] may take.
    #[doc(alias = "maxsize")]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.maxsize = Some(bytes);
        self
    }

    fn check(&self) -> Result<()> {
        if self.size == SwapSize::Bytes(0) {
            check::invalid("swap.size", "0", "bytes make no swap file")?;
        }
        self.filename.iter().try_for_each(|path| check::file_path("swap.filename", path))
    }
}

impl Section for Mounts {
    fn check(&self) -> Result<()> {
        self.mounts.iter().try_for_each(Mount::check)?;
        let directories = self.mounts.iter().filter_map(|mount| mount.directory.as_deref());
        check::no_duplicates("mounts", directories.filter(|directory| *directory != "none"))?;
        for field in self.default_fields.iter().flatten().flatten() {
            check::token("mount_default_fields", field)?;
        }
        self.swap.iter().try_for_each(Swap::check)
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.list("mounts", &self.mounts);
        document.entry_if("mount_default_fields", &self.default_fields);
        document.entry_if("swap", &self.swap);
        Ok(())
    }
}
