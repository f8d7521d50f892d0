//! Making a VM: the domain first, with its labels and nothing in it; then its volumes; then the
//! domain again, with everything.

use std::io::Read;

use cloudd_core::install::ContextArchive;
use cloudd_core::provider::{Architecture, Error, ErrorKind, Labels, Result, Size, Vm};
use virt::domain::Domain as LibvirtDomain;

use super::state::same_build;
use super::{ROTATED, VmFiles, rotated};
use crate::error::{During, failed, invalid};
use crate::record::{RecordKind, volume_file};
use crate::seed::Seed;
use crate::session::{Driver, Session};
use crate::settings::{Accel, Config, Cpu};
use crate::xml::domain::{Devices, Disk, Domain, Machine, MachineKind, Serial};
use crate::xml::metadata::{VmRecord, VmRecordState};
use crate::xml::volume::{Format, NewVolume};

const CREATE: &str = "create VM";

/// A VM to be made, off.
#[derive(Clone, Copy)]
pub(crate) struct NewVm<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a Labels,
    pub(crate) architecture: Architecture,
    pub(crate) root: &'a RootDisk,
    pub(crate) memory: Size,
    pub(crate) cpus: u32,
    /// The name of a volume of cloudd's.
    pub(crate) volume: Option<&'a str>,
    pub(crate) user_data: Option<&'a [u8]>,
    pub(crate) context: Option<&'a ContextArchive>,
}

/// The root disk: an overlay of a volume that others share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootDisk {
    /// The volume underneath, by its name in the pool.
    pub(crate) under: String,
    pub(crate) format: Format,
    pub(crate) size: Size,
    /// The record that must say ready for as long as the disk is used.
    pub(crate) record: Option<(RecordKind, String)>,
}

impl Session {
    /// The VM of this name, if this build has made it before and the answer was lost. One of
    /// another build is an error.
    pub(crate) fn made_before(&self, name: &str, labels: &Labels) -> Result<Option<Vm>> {
        match self.domain(name)? {
            Some((_, existing)) if !same_build(&existing.labels, labels) => {
                Err(Error::new(ErrorKind::AlreadyExists, CREATE)
                    .with_resource(name)
                    .with_message("the name is taken by a VM of another build"))
            }
            Some((_, existing)) if existing.state == VmRecordState::Ready => self.vm(name),
            _ => Ok(None),
        }
    }

    pub(crate) fn create_vm(&self, config: &Config, new: NewVm<'_>) -> Result<()> {
        let machine = self.machine(config, new.architecture, new.memory, new.cpus)?;
        let uuid = self.define_or_adopt(&machine, &new)?;
        let devices = Devices {
            disks: self.make_disks(config, &new, &uuid)?,
            console_log: self.make_log(&VmFiles(new.name).console_log())?,
            events_log: self.make_log(&VmFiles(new.name).events_log())?,
        };
        let record = self.new_vm_record(VmRecordState::Ready, new.labels);
        let xml = Domain {
            name: new.name,
            uuid: Some(&uuid),
            description: None,
            record: &record,
            machine: &machine,
            devices: Some(devices),
        }
        .xml();
        LibvirtDomain::define_xml(&self.connection, &xml).during(CREATE, new.name)?;
        // Our use of these is visible now: whoever wants to delete them sees it, or we see them.
        if let Err(error) = self.confirm_use(&new) {
            if let Err(undo) = self.delete_vm(new.name) {
                tracing::warn!(%undo, vm = new.name, "a VM that came too late is left behind");
            }
            return Err(error);
        }
        Ok(())
    }

    /// Defines the domain with nothing in it, or takes up one that a dead run of this build has
    /// begun. Gives its UUID.
    fn define_or_adopt(&self, machine: &Machine, new: &NewVm<'_>) -> Result<String> {
        let record = self.new_vm_record(VmRecordState::Creating, new.labels);
        let xml = Domain {
            name: new.name,
            uuid: None,
            description: None,
            record: &record,
            machine,
            devices: None,
        }
        .xml();
        let domain = match LibvirtDomain::define_xml(&self.connection, &xml) {
            Ok(domain) => domain,
            Err(error) => {
                let error = failed(CREATE, new.name, error);
                let Some((domain, existing)) = self.domain(new.name)? else { return Err(error) };
                if !same_build(&existing.labels, new.labels) {
                    return Err(error);
                }
                if existing.state != VmRecordState::Creating {
                    return Err(Error::new(ErrorKind::Busy, CREATE)
                        .with_resource(new.name)
                        .with_message("another process makes or deletes it at the same time"));
                }
                domain
            }
        };
        domain.get_uuid_string().during(CREATE, new.name)
    }

    pub(crate) fn new_vm_record(&self, state: VmRecordState, labels: &Labels) -> VmRecord {
        VmRecord { state, pool: self.pool_name.clone(), labels: labels.clone() }
    }

    fn make_disks(&self, config: &Config, new: &NewVm<'_>, uuid: &str) -> Result<Vec<Disk>> {
        let files = VmFiles(new.name);
        let mut disks = vec![self.make_root(&files.root(), new.root)?];
        if let Some(volume) = new.volume {
            let path = self.volume_path(&volume_file(volume))?;
            disks.push(Disk { serial: Serial::Volume, path, format: Format::Qcow2 });
        }
        if let Some(user_data) = new.user_data {
            let seed = Seed {
                instance_id: &format!("{}-{uuid}", new.name),
                hostname: new.name,
                user_data,
                network_config: config.network_config.as_deref(),
            }
            .build()?;
            let path = self.make_media(&files.seed(), seed.len() as u64, &mut seed.as_slice())?;
            disks.push(Disk { serial: Serial::Seed, path, format: Format::Raw });
        }
        if let Some(archive) = new.context {
            let path = self.make_media(&files.context(), archive.len(), &mut archive.open())?;
            disks.push(Disk { serial: Serial::Context, path, format: Format::Raw });
        }
        Ok(disks)
    }

    fn make_root(&self, name: &str, root: &RootDisk) -> Result<Disk> {
        let under = self.volume_path(&root.under)?;
        self.recreate_volume(&NewVolume {
            name,
            format: Format::Qcow2,
            capacity: root.size,
            backing: Some((&under, root.format)),
        })?;
        let path = self.volume_path(name)?;
        Ok(Disk { serial: Serial::Root, path, format: Format::Qcow2 })
    }

    /// A raw disk that begins with these bytes, whole sectors long.
    fn make_media(&self, name: &str, length: u64, bytes: &mut dyn Read) -> Result<String> {
        let volume = self.recreate_volume(&NewVolume {
            name,
            format: Format::Raw,
            capacity: Size::bytes(length.next_multiple_of(512)),
            backing: None,
        })?;
        let sent = self.upload(&volume, name, bytes, &mut |_| Ok(()))?;
        if self.has_data() && sent != length {
            return Err(Error::new(ErrorKind::Failed, "upload volume")
                .with_resource(name)
                .with_message(format_args!("{sent} of {length} bytes were there to be sent")));
        }
        self.volume_path(name)
    }

    /// An empty log, and the files into which it will be rotated.
    fn make_log(&self, name: &str) -> Result<String> {
        let rotated = (0..ROTATED).map(|number| rotated(name, number));
        for name in rotated.chain([name.to_owned()]) {
            self.recreate_volume(&NewVolume {
                name: &name,
                format: Format::Raw,
                capacity: Size::bytes(0),
                backing: None,
            })?;
        }
        self.volume_path(name)
    }

    /// Looks, after our use became visible, whether what we use is still there to be used.
    fn confirm_use(&self, new: &NewVm<'_>) -> Result<()> {
        let volume = new.volume.map(|volume| (RecordKind::Volume, volume.to_owned()));
        for (kind, name) in new.root.record.iter().chain(&volume) {
            if !self.record(*kind, name)?.is_some_and(|record| record.is_ready()) {
                return Err(Error::new(ErrorKind::Gone, CREATE)
                    .with_resource(new.name)
                    .with_message(format_args!("{name} is gone or being deleted")));
            }
        }
        let Some(volume) = new.volume else { return Ok(()) };
        let path = self.volume_path(&volume_file(volume))?;
        match self.domain_with_disk(&path, Some(new.name))? {
            Some(other) => Err(Error::new(ErrorKind::Busy, CREATE)
                .with_resource(new.name)
                .with_message(format_args!("volume {volume} is attached to VM {other}"))),
            None => Ok(()),
        }
    }

    pub(crate) fn machine(
        &self,
        config: &Config,
        architecture: Architecture,
        memory: Size,
        cpus: u32,
    ) -> Result<Machine> {
        let kind = self.machine_kind(config.accel, architecture)?;
        let default = || match kind {
            MachineKind::Kvm(_) => Cpu::HostPassthrough,
            MachineKind::Tcg(Architecture::X86_64) => Cpu::Model("Nehalem".to_owned()),
            MachineKind::Tcg(_) | MachineKind::Test => Cpu::Maximum,
        };
        Ok(Machine {
            kind,
            memory,
            cpus,
            cpu: config.cpu.clone().unwrap_or_else(default),
            cache: config.cache,
            network: config.network.clone(),
        })
    }

    pub(crate) fn machine_kind(&self, accel: Accel, guest: Architecture) -> Result<MachineKind> {
        if self.driver == Driver::Test {
            return Ok(MachineKind::Test);
        }
        if !self.host.runs(guest) {
            return Err(
                invalid("choose a machine", "this host has no QEMU for it").with_resource(guest)
            );
        }
        Ok(match accel {
            Accel::Auto if self.host.has_kvm(guest) => MachineKind::Kvm(guest),
            Accel::Kvm => MachineKind::Kvm(guest),
            Accel::Auto | Accel::Tcg => MachineKind::Tcg(guest),
        })
    }
}
