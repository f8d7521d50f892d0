//! Creation of VMs: first the domain with its metadata and no devices, then its volumes, then the
//! domain again with its devices.

use std::io::Read;

use cloudd_core::install::ContextArchive;
use cloudd_core::provider::{
    Architecture, BuilderSpec, Error, ErrorKind, Labels, Result, Size, Vm,
};
use virt::domain::Domain as LibvirtDomain;

use super::files::{ROTATED, RootDisk, VmFiles, existing, rotated};
use crate::connection::{Driver, Session};
use crate::error::{ResultExt, failed, invalid};
use crate::labels::{DomainMetadata, DomainState, MetadataKind, same_build, volume_file};
use crate::seed::Seed;
use crate::settings::{Accel, Config, Cpu};
use crate::xml::domain::{Devices, Disk, Domain, Machine, MachineKind, Serial};
use crate::xml::volume::{Format, NewVolume};

const CREATE: &str = "create VM";

/// A VM to be created, off.
#[derive(Clone, Copy)]
pub(crate) struct NewVm<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a Labels,
    pub(crate) architecture: Architecture,
    pub(crate) root: &'a RootDisk,
    pub(crate) memory: Size,
    /// The name of the install volume.
    pub(crate) volume: Option<&'a str>,
    pub(crate) user_data: Option<&'a [u8]>,
    pub(crate) context: Option<&'a ContextArchive>,
}

impl Session {
    /// Creates the builder VM, off.
    pub(crate) fn create_builder_vm(
        &self,
        config: &Config,
        spec: &BuilderSpec,
        root: &RootDisk,
        user_data: &[u8],
    ) -> Result<Vm> {
        self.create_vm(
            config,
            NewVm {
                name: &spec.name,
                labels: &spec.labels,
                architecture: spec.requirements.architecture,
                root,
                memory: config.memory,
                volume: Some(&spec.name),
                user_data: Some(user_data),
                context: spec.media.as_ref().map(|media| &media.archive),
            },
        )?;
        existing(self.vm(&spec.name)?, CREATE, &spec.name)
    }

    /// The complete VM of this name, if the same build has created it. A VM of another build is an
    /// error.
    pub(crate) fn find_existing(&self, name: &str, labels: &Labels) -> Result<Option<Vm>> {
        match self.domain(name)? {
            Some((_, existing)) if !same_build(&existing.labels, labels) => {
                Err(Error::new(ErrorKind::AlreadyExists, CREATE)
                    .with_resource(name)
                    .with_message("the name is taken by a VM of another build"))
            }
            Some((_, existing)) if existing.state == DomainState::Ready => self.vm(name),
            _ => Ok(None),
        }
    }

    pub(crate) fn create_vm(&self, config: &Config, new: NewVm<'_>) -> Result<()> {
        let machine = self.machine(config, new.architecture, new.memory, config.cpus)?;
        let uuid = self.define_or_adopt_vm(&machine, &new)?;
        let devices = Devices {
            disks: self.create_disks(config, &new, &uuid)?,
            console_log: self.create_log(&VmFiles(new.name).console_log())?,
            events_log: self.create_log(&VmFiles(new.name).events_log())?,
        };
        let metadata = self.new_domain_metadata(DomainState::Ready, new.labels);
        let xml = Domain {
            name: new.name,
            uuid: Some(&uuid),
            description: None,
            metadata: metadata.element(),
            machine: &machine,
            devices: Some(devices),
        }
        .xml();
        LibvirtDomain::define_xml(&self.connection, &xml).context(CREATE, new.name)?;
        // The use of the disks is visible from here on; see `pool::disk_refs`.
        if let Err(error) = self.verify_disks_still_ready(&new) {
            if let Err(left) = self.delete_vm(new.name) {
                tracing::warn!(%left, vm = new.name, "VM whose disks were deleted is left behind");
            }
            return Err(error);
        }
        Ok(())
    }

    /// Defines the domain without devices, or adopts the one that an interrupted run of this build
    /// has defined. Returns its UUID.
    fn define_or_adopt_vm(&self, machine: &Machine, new: &NewVm<'_>) -> Result<String> {
        let metadata = self.new_domain_metadata(DomainState::Creating, new.labels);
        let xml = Domain {
            name: new.name,
            uuid: None,
            description: None,
            metadata: metadata.element(),
            machine,
            devices: None,
        }
        .xml();
        let domain = match LibvirtDomain::define_xml(&self.connection, &xml) {
            Ok(domain) => domain,
            Err(error) => {
                let error = failed(CREATE, new.name, &error);
                let Some((domain, existing)) = self.domain(new.name)? else { return Err(error) };
                if !same_build(&existing.labels, new.labels) {
                    return Err(error);
                }
                if existing.state != DomainState::Creating {
                    return Err(Error::new(ErrorKind::Busy, CREATE)
                        .with_resource(new.name)
                        .with_message("another process is creating or deleting the VM"));
                }
                domain
            }
        };
        domain.get_uuid_string().context(CREATE, new.name)
    }

    pub(crate) fn new_domain_metadata(
        &self,
        state: DomainState,
        labels: &Labels,
    ) -> DomainMetadata {
        DomainMetadata { state, pool: self.pool_name.clone(), labels: labels.clone() }
    }

    fn create_disks(&self, config: &Config, new: &NewVm<'_>, uuid: &str) -> Result<Vec<Disk>> {
        let files = VmFiles(new.name);
        let mut disks = vec![self.create_root(&files.root(), new.root)?];
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
            let path = self.create_media(&files.seed(), seed.len() as u64, &mut seed.as_slice())?;
            disks.push(Disk { serial: Serial::Seed, path, format: Format::Raw });
        }
        if let Some(archive) = new.context {
            let path = self.create_media(&files.context(), archive.len(), &mut archive.open())?;
            disks.push(Disk { serial: Serial::Context, path, format: Format::Raw });
        }
        Ok(disks)
    }

    fn create_root(&self, name: &str, root: &RootDisk) -> Result<Disk> {
        let backing = self.volume_path(&root.backing)?;
        self.recreate_volume(&NewVolume {
            name,
            format: Format::Qcow2,
            capacity: root.size,
            backing: Some((&backing, root.format)),
        })?;
        let path = self.volume_path(name)?;
        Ok(Disk { serial: Serial::Root, path, format: Format::Qcow2 })
    }

    /// A raw disk that begins with these bytes, rounded up to whole sectors.
    fn create_media(&self, name: &str, length: u64, bytes: &mut dyn Read) -> Result<String> {
        let size = length
            .checked_next_multiple_of(512)
            .map(Size::bytes)
            .ok_or_else(|| invalid("create volume", "the size is too large").with_resource(name))?;
        let volume = self.recreate_volume(&NewVolume::new(name, Format::Raw, size))?;
        let sent = self.upload(&volume, name, bytes, &mut |_| Ok(()))?;
        if self.has_data() && sent != length {
            return Err(Error::new(ErrorKind::Failed, "upload volume")
                .with_resource(name)
                .with_message(format_args!("the source ended after {sent} of {length} bytes")));
        }
        self.volume_path(name)
    }

    /// An empty log and the files into which it is rotated.
    fn create_log(&self, name: &str) -> Result<String> {
        let rotated = (0..ROTATED).map(|number| rotated(name, number));
        for name in rotated.chain([name.to_owned()]) {
            self.recreate_volume(&NewVolume::new(&name, Format::Raw, Size::bytes(0)))?;
        }
        self.volume_path(name)
    }

    /// Checks, after the use became visible, that all used disks are still ready.
    fn verify_disks_still_ready(&self, new: &NewVm<'_>) -> Result<()> {
        let volume = new.volume.map(|volume| (MetadataKind::Volume, volume.to_owned()));
        for (kind, name) in new.root.metadata.iter().chain(&volume) {
            if !self.metadata(*kind, name)?.is_some_and(|metadata| metadata.is_ready()) {
                return Err(Error::new(ErrorKind::Gone, CREATE)
                    .with_resource(new.name)
                    .with_message(format_args!("{name} was deleted or is being deleted")));
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
            return Err(invalid(
                "choose machine type",
                "the host has no QEMU for this architecture",
            )
            .with_resource(guest));
        }
        Ok(match accel {
            Accel::Auto if self.host.has_kvm(guest) => MachineKind::Kvm(guest),
            Accel::Kvm => MachineKind::Kvm(guest),
            Accel::Auto | Accel::Tcg => MachineKind::Tcg(guest),
        })
    }
}
