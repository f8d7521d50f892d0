//! `mounts`.

use serde::{Serialize, Serializer};

use super::check;
use super::error::Result;

/// A line of `/etc/fstab`.
///
/// Fields that are not set but precede one that is set get the defaults of fstab(5): type `auto`,
/// options `defaults,nofail`.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Mount {
    device: String,
    directory: String,
    fs_type: Option<String>,
    options: Option<String>,
    pass: Option<u8>,
}

impl Mount {
    /// Mounts a device at a directory, which is created if it does not exist.
    ///
    /// The device is anything that fstab accepts. A path below `/dev/disk` or `LABEL=…` is best,
    /// because kernel names change between boots. The directory may be `none`.
    pub fn new(device: impl Into<String>, directory: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            directory: directory.into(),
            fs_type: None,
            options: None,
            pass: None,
        }
    }

    /// Sets the file system type, as in `ext4`.
    pub fn fs_type(mut self, fs_type: impl Into<String>) -> Self {
        self.fs_type = Some(fs_type.into());
        self
    }

    /// Sets the mount options, separated by commas.
    pub fn options(mut self, options: impl Into<String>) -> Self {
        self.options = Some(options.into());
        self
    }

    /// Sets the order in which fsck(8) checks the file system: 0 never, 1 for the root file system,
    /// 2 for others.
    pub fn pass(mut self, pass: u8) -> Self {
        self.pass = Some(pass);
        self
    }

    /// The directory, unless it is `none`.
    pub(super) fn mount_point(&self) -> Option<&str> {
        Some(self.directory.as_str()).filter(|directory| *directory != "none")
    }

    pub(super) fn check(&self) -> Result<()> {
        // cloud-init joins the fields with blanks and does not escape blanks inside them as \040.
        self.fields().iter().try_for_each(|field| check::token("mounts", field))?;
        self.mount_point().map_or(Ok(()), |directory| check::directory("mounts", directory))
    }

    /// The fields up to the last one that is set. The fifth field, for dump(8), is always 0.
    fn fields(&self) -> Vec<String> {
        let optional = [
            (self.fs_type.clone(), "auto"),
            (self.options.clone(), "defaults,nofail"),
            (None, "0"),
            (self.pass.map(|pass| pass.to_string()), "0"),
        ];
        let set =
            optional.iter().rposition(|(field, _)| field.is_some()).map_or(0, |last| last + 1);
        let or_default =
            |(field, default): (Option<String>, &str)| field.unwrap_or_else(|| default.to_owned());
        let mut fields = vec![self.device.clone(), self.directory.clone()];
        fields.extend(optional.into_iter().take(set).map(or_default));
        fields
    }
}

impl Serialize for Mount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields().serialize(serializer)
    }
}
