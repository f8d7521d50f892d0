//! Images: root disks, exported as self-contained qcow2 volumes.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use cloudd_core::provider::{
    BuildId, Error, ErrorKind, Image, ImageSpec, PowerState, Report, Reporter, Result, Size, keys,
};
use virt::storage_vol::StorageVol;

use crate::connection::Session;
use crate::error::{ResultExt, invalid};
use crate::labels::{Adopted, Metadata, MetadataKind, MetadataState, image_file};
use crate::pool::{for_minutes, retry_while_busy};
use crate::vm::VmFiles;
use crate::xml::volume::{Format, NewVolume};

const CREATE: &str = "create image of VM";
/// The interval of progress reports.
const PROGRESS: Duration = Duration::from_millis(500);

impl Session {
    /// Exports the root disk of a VM that is off, together with its backing file, to a volume of its
    /// own. Blocks that were never written or are zero take no space in it.
    pub(crate) fn create_image(
        &self,
        vm: &str,
        spec: &ImageSpec,
        reporter: &Reporter,
    ) -> Result<Image> {
        let fail =
            |kind, message| Err(Error::new(kind, CREATE).with_resource(vm).with_message(message));
        let (domain, _) = self.existing_domain(CREATE, vm)?;
        match self.power_state(&domain, vm)? {
            Some(PowerState::Off) => {}
            Some(_) => return fail(ErrorKind::Busy, "the VM is not off"),
            None => return fail(ErrorKind::NotFound, "the VM does not exist"),
        }
        let Some((root, description)) = self.described_volume(&VmFiles(vm).root())? else {
            return fail(ErrorKind::NotFound, "the root disk of the VM does not exist");
        };
        let name = image_name(spec)?;
        let mut wanted =
            Metadata::new(MetadataKind::Image, &name, image_file(&name), description.capacity);
        wanted.labels = spec.labels.clone();
        wanted.architecture = Some(spec.architecture);
        wanted.description = Some(spec.description.clone());
        match self.create_or_adopt(&wanted)? {
            Adopted::New => {}
            Adopted::Ready(existing) => return Ok(existing.image()),
            Adopted::Resume(_) => {
                if let Some(data) = self.volume(&wanted.data)? {
                    let path = data.get_path().context(CREATE, &name)?;
                    self.ensure_unused(CREATE, &[path], None)?;
                }
                // An export that a dead process began goes on in the daemon, and the volume is busy
                // until it ends.
                retry_while_busy(for_minutes(), || self.delete_volume(&wanted.data))?;
                self.write_metadata(&wanted)?;
            }
        }
        if let Err(error) = self.export(&root, &wanted, reporter) {
            if let Err(left) = self.delete_image(&name) {
                tracing::warn!(%left, image = name, "incomplete image left in pool");
            }
            return Err(error);
        }
        // A process that wanted to delete the image during the export found it busy; the mark that
        // it left in the metadata is honoured here.
        let current = self.metadata(MetadataKind::Image, &name)?.map(|current| current.state);
        if current != Some(MetadataState::Creating) {
            self.delete_image(&name)?;
            return Err(deleted(&name));
        }
        wanted.state = MetadataState::Ready;
        self.write_metadata(&wanted)?;
        Ok(wanted.image())
    }

    fn export(&self, root: &StorageVol, image: &Metadata, reporter: &Reporter) -> Result<()> {
        let xml = NewVolume::new(&image.data, Format::Qcow2, image.size).xml();
        let copied = thread::scope(|scope| {
            let (end, ended) = mpsc::channel::<()>();
            scope.spawn(move || self.report_progress(&image.data, reporter, &ended));
            let copied = StorageVol::create_xml_from(&self.pool, &xml, root, 0);
            drop(end);
            copied
        });
        copied.context(CREATE, &image.name)?;
        let (_, made) = self.described_volume(&image.data)?.ok_or_else(|| deleted(&image.name))?;
        if made.backing.is_some() && self.has_data() || made.capacity != image.size {
            return Err(Error::new(ErrorKind::Failed, CREATE)
                .with_resource(&image.name)
                .with_message(format_args!(
                    "libvirt created a volume of {} with backing file {}, expected {} and none",
                    made.capacity,
                    made.backing.as_deref().unwrap_or("none"),
                    image.size
                )));
        }
        Ok(())
    }

    /// Reports the size of the copy until the sender is dropped.
    fn report_progress(&self, name: &str, reporter: &Reporter, ended: &mpsc::Receiver<()>) {
        while ended.recv_timeout(PROGRESS) == Err(RecvTimeoutError::Timeout) {
            if let Ok(Some(volume)) = self.volume(name)
                && let Ok(info) = volume.get_info()
            {
                reporter.report(Report::Progress {
                    what: "export image".to_owned(),
                    done: Size::bytes(info.allocation),
                    // The number of zero blocks is known only when the disk has been read.
                    total: None,
                });
            }
        }
    }

    pub(crate) fn image(&self, name: &str) -> Result<Option<Image>> {
        Ok(self.metadata(MetadataKind::Image, name)?.as_ref().map(Metadata::image))
    }

    pub(crate) fn delete_image(&self, name: &str) -> Result<()> {
        self.delete_with_metadata("delete image", MetadataKind::Image, name)
    }
}

fn deleted(name: &str) -> Error {
    Error::new(ErrorKind::Gone, CREATE)
        .with_resource(name)
        .with_message("another process deleted the image during the export")
}

/// The image's id: readable, different for each build, the same for each attempt of one build.
fn image_name(spec: &ImageSpec) -> Result<String> {
    if spec.name.is_empty() || !cloudd_core::provider::validate_value(&spec.name) {
        return Err(invalid(CREATE, format_args!("{:?} is not a valid image name", spec.name)));
    }
    Ok(match spec.labels.get(keys::BUILD) {
        Some(build) => format!("{}-{build}", spec.name),
        None => format!("{}-{}", spec.name, BuildId::random()),
    })
}
