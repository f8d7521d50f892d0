//! Records in the pool: created, read, written over, deleted. All calls block.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use cloudd_core::provider::{Error, ErrorKind, Result, Size};

use crate::error::During;
use crate::record::{Record, RecordKind};
use crate::session::Session;
use crate::xml::volume::{Format, NewVolume};

/// No record is larger.
const LARGEST: Size = Size::mib(1);
/// Reading meets a record that is just being written; its writer needs milliseconds.
const PATIENCE: (u32, Duration) = (5, Duration::from_millis(20));

/// The records of libvirt's test driver, which cannot store bytes. Like all it keeps, they are
/// the process's own.
static OF_TEST_DRIVER: LazyLock<Mutex<BTreeMap<String, Record>>> = LazyLock::new(Mutex::default);

impl Session {
    /// Fails with [`ErrorKind::AlreadyExists`] when there is one of this kind and name; of several
    /// processes that try, one succeeds.
    pub(crate) fn create_record(&self, record: &Record) -> Result<()> {
        let file = record.file();
        let bytes = encode(record, 0)?;
        let volume = self.create_volume(&NewVolume {
            name: &file,
            format: Format::Raw,
            capacity: Size::bytes(bytes.len() as u64),
            backing: None,
        })?;
        if !self.has_data() {
            remembered().insert(file, record.clone());
            return Ok(());
        }
        self.upload(&volume, &file, &mut bytes.as_slice(), &mut |_| Ok(())).map(drop)
    }

    /// Writes over a record that exists.
    pub(crate) fn write_record(&self, record: &Record) -> Result<()> {
        const WRITE: &str = "write record";
        let file = record.file();
        let volume = self.volume(&file)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, WRITE)
                .with_resource(&file)
                .with_message("somebody deleted it")
        })?;
        if !self.has_data() {
            remembered().insert(file, record.clone());
            return Ok(());
        }
        let length = volume.get_info().during(WRITE, &file)?.capacity;
        let bytes = encode(record, usize::try_from(length).unwrap_or(0))?;
        self.upload(&volume, &file, &mut bytes.as_slice(), &mut |_| Ok(())).map(drop)
    }

    pub(crate) fn record(&self, kind: RecordKind, name: &str) -> Result<Option<Record>> {
        let file = kind.file(name);
        if !self.has_data() {
            return Ok(self.volume(&file)?.and_then(|_| remembered().get(&file).cloned()));
        }
        let mut tries = 0;
        loop {
            let Some((volume, description)) = self.described_volume(&file)? else {
                return Ok(None);
            };
            let bytes = match self.download(&volume, &file, 0, LARGEST) {
                // Deleted between the two calls.
                Err(_) if self.volume(&file)?.is_none() => return Ok(None),
                bytes => bytes?,
            };
            if let Some(record) = Record::decode(&bytes) {
                return Ok(Some(record));
            }
            tries += 1;
            if tries == PATIENCE.0 {
                let modified = description.modified.as_deref().and_then(seconds);
                return Ok(Some(Record::torn(kind, name, modified)));
            }
            thread::sleep(PATIENCE.1);
        }
    }

    /// All records of one kind in the pool, torn ones too.
    pub(crate) fn records(&self, kind: RecordKind) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for file in self.volume_names()? {
            if let Some(name) = kind.name_in(&file) {
                records.extend(self.record(kind, name)?);
            }
        }
        Ok(records)
    }

    pub(crate) fn delete_record(&self, kind: RecordKind, name: &str) -> Result<()> {
        let file = kind.file(name);
        self.delete_volume(&file)?;
        remembered().remove(&file);
        Ok(())
    }
}

fn remembered() -> std::sync::MutexGuard<'static, BTreeMap<String, Record>> {
    OF_TEST_DRIVER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(record: &Record, at_least: usize) -> Result<Vec<u8>> {
    record.encode(at_least).map_err(|error| {
        Error::new(ErrorKind::Internal, "write record")
            .with_resource(&record.name)
            .with_source(error)
    })
}

/// The whole seconds of libvirt's `seconds.nanoseconds`.
fn seconds(time: &str) -> Option<u64> {
    time.split('.').next()?.parse().ok()
}
