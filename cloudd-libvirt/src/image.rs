//! Images: root disks exported as volumes that stand alone.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use cloudd_core::provider::{
    BuildId, Error, ErrorKind, Image, ImageId, ImageSpec, ImageStatus, PowerState, Report,
    Reporter, Result, Size, keys,
};
use virt::storage_vol::StorageVol;

use crate::error::{During, invalid};
use crate::from_image::CREATE;
use crate::record::{Record, RecordKind, RecordState, image_file};
use crate::session::Session;
use crate::vm::{RootDisk, VmFiles, same_build};
use crate::xml::volume::{Format, NewVolume};

const MAKE: &str = "make image of VM";
const TELL: Duration = Duration::from_millis(500);

impl Session {
    /// Copies what is in the root disk's overlay and under it into a volume of its own. Unwritten
    /// and zeroed parts take no space in it.
    pub(crate) fn create_image(
        &self,
        vm: &str,
        spec: &ImageSpec,
        reporter: &Reporter,
    ) -> Result<Image> {
        let (domain, _) = self.existing_domain(MAKE, vm)?;
        match self.power_state(&domain, vm)? {
            Some(PowerState::Off) => {}
            Some(_) => {
                return Err(Error::new(ErrorKind::Busy, MAKE)
                    .with_resource(vm)
                    .with_message("it is not off"));
            }
            None => return Err(Error::new(ErrorKind::NotFound, MAKE).with_resource(vm)),
        }
        let files = VmFiles(vm);
        let (root, description) = self.described_volume(&files.root())?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, MAKE)
                .with_resource(vm)
                .with_message("its root disk is gone")
        })?;
        let name = image_name(spec)?;
        let mut record =
            Record::new(RecordKind::Image, &name, image_file(&name), description.capacity);
        record.labels = spec.labels.clone();
        record.architecture = Some(spec.architecture);
        record.description = Some(spec.description.clone());
        if let Some(done) = self.record_or_adopt_image(&record)? {
            return Ok(image(&done));
        }
        if let Err(error) = self.export(&root, &record, reporter) {
            // Half an image is of no use to anybody; its record goes last.
            if let Err(left) = self.delete_recorded(MAKE, RecordKind::Image, &name) {
                tracing::warn!(%left, image = name, "half an image is left in the pool");
            }
            return Err(error);
        }
        // Whoever deleted it meanwhile found it busy, and counts on us.
        let current = self.record(RecordKind::Image, &name)?.map(|record| record.state);
        if current != Some(RecordState::Creating) {
            self.delete_recorded(MAKE, RecordKind::Image, &name)?;
            return Err(vanished(&name));
        }
        record.state = RecordState::Ready;
        self.write_record(&record)?;
        Ok(image(&record))
    }

    /// Writes the record of an image to be. Gives the whole one, if this build has made it before.
    fn record_or_adopt_image(&self, record: &Record) -> Result<Option<Record>> {
        match self.create_record(record) {
            Ok(()) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let existing = self.record(RecordKind::Image, &record.name)?;
                match existing.filter(|it| same_build(&it.labels, &record.labels)) {
                    Some(existing) if existing.is_ready() => return Ok(Some(existing)),
                    Some(_) => {}
                    None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
        // Half made by a dead run of this build.
        self.delete_when_idle(&record.data)?;
        self.write_record(record)?;
        Ok(None)
    }

    /// The copying that a dead process asked for goes on in the daemon, which calls the volume busy
    /// as long as it does.
    fn delete_when_idle(&self, name: &str) -> Result<()> {
        let mut patience = 600;
        loop {
            match self.delete_volume(name) {
                Err(error) if error.kind() == ErrorKind::Busy && patience > 0 => {
                    patience -= 1;
                    thread::sleep(Duration::from_secs(1));
                }
                result => return result,
            }
        }
    }

    fn export(&self, root: &StorageVol, record: &Record, reporter: &Reporter) -> Result<()> {
        let xml = NewVolume {
            name: &record.data,
            format: Format::Qcow2,
            capacity: record.size,
            backing: None,
        }
        .xml();
        let copied = thread::scope(|scope| {
            let (end, ended) = mpsc::channel::<()>();
            scope.spawn(move || self.tell_progress(&record.data, reporter, &ended));
            let copied = StorageVol::create_xml_from(&self.pool, &xml, root, 0);
            drop(end);
            copied
        });
        copied.during(MAKE, &record.name)?;
        let (_, made) =
            self.described_volume(&record.data)?.ok_or_else(|| vanished(&record.name))?;
        if made.backing.is_some() && self.has_data() || made.capacity != record.size {
            return Err(Error::new(ErrorKind::Failed, MAKE)
                .with_resource(&record.name)
                .with_message(format_args!(
                    "libvirt made a volume of {} with {} under it, expected {} and nothing",
                    made.capacity,
                    made.backing.as_deref().unwrap_or("nothing"),
                    record.size
                )));
        }
        Ok(())
    }

    /// Tells how large the copy is, until the other end hangs up.
    fn tell_progress(&self, name: &str, reporter: &Reporter, ended: &mpsc::Receiver<()>) {
        while ended.recv_timeout(TELL) == Err(RecvTimeoutError::Timeout) {
            if let Ok(Some(volume)) = self.volume(name)
                && let Ok(info) = volume.get_info()
            {
                reporter.report(Report::Progress {
                    what: "export image".to_owned(),
                    done: Size::bytes(info.allocation),
                    // How much of the disk is zeros shows only when it is read.
                    total: None,
                });
            }
        }
    }

    pub(crate) fn image(&self, name: &str) -> Result<Option<Image>> {
        Ok(self.record(RecordKind::Image, name)?.as_ref().map(image))
    }

    pub(crate) fn delete_image(&self, name: &str) -> Result<()> {
        self.delete_recorded("delete image", RecordKind::Image, name)
    }

    /// The disk of a VM that begins with an image.
    pub(crate) fn root_disk_of_image(&self, name: &str, size: Option<Size>) -> Result<RootDisk> {
        let record = self.record(RecordKind::Image, name)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, CREATE)
                .with_resource(name)
                .with_message("there is no such image")
        })?;
        if !record.is_ready() {
            return Err(Error::new(ErrorKind::Failed, CREATE)
                .with_resource(name)
                .with_message("it is incomplete"));
        }
        let size = size.unwrap_or(record.size);
        if size < record.size {
            return Err(invalid(
                CREATE,
                format_args!("a disk of {size} is too small for an image of {}", record.size),
            )
            .with_resource(name));
        }
        Ok(RootDisk {
            under: record.data,
            format: Format::Qcow2,
            size,
            record: Some((RecordKind::Image, record.name)),
        })
    }
}

fn vanished(name: &str) -> Error {
    Error::new(ErrorKind::Gone, MAKE)
        .with_resource(name)
        .with_message("somebody deleted the image meanwhile")
}

/// Unique for each build, the same for each try of one build, and readable.
fn image_name(spec: &ImageSpec) -> Result<String> {
    if spec.name.is_empty() || !cloudd_core::provider::validate_value(&spec.name) {
        return Err(invalid(MAKE, format_args!("{:?} cannot be an image's name", spec.name)));
    }
    let build = spec.labels.get(keys::BUILD);
    Ok(match build {
        Some(build) => format!("{}-{build}", spec.name),
        None => format!("{}-{}", spec.name, BuildId::random()),
    })
}

/// The image that a record is about. Nothing here protects one.
pub(crate) fn image(record: &Record) -> Image {
    let status = match record.state {
        RecordState::Creating => ImageStatus::Creating,
        RecordState::Ready => ImageStatus::Available,
        RecordState::Deleting => ImageStatus::Broken,
    };
    let mut image = Image::new(ImageId::new(&record.name), status, record.size);
    image.created = record.created;
    image.labels = record.labels.clone();
    image
}
