//! Domain documents.

use cloudd_core::provider::{Architecture, Size};

use super::Element;
use super::volume::Format;
use crate::settings::{Cpu, DiskCache, Network};

/// The serial number of a disk, from which its link in `/dev/disk/by-id` is named. virtio-blk allows
/// at most 20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serial {
    Root,
    Volume,
    Seed,
    Context,
}

impl Serial {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Root => "cloudd-root",
            Self::Volume => "cloudd-volume",
            Self::Seed => "cloudd-seed",
            Self::Context => "cloudd-context",
        }
    }

    /// The path of the disk in the guest.
    pub(crate) fn device(self) -> &'static str {
        match self {
            Self::Root => "/dev/disk/by-id/virtio-cloudd-root",
            Self::Volume => "/dev/disk/by-id/virtio-cloudd-volume",
            Self::Seed => "/dev/disk/by-id/virtio-cloudd-seed",
            Self::Context => "/dev/disk/by-id/virtio-cloudd-context",
        }
    }

    /// The name of the disk in libvirt. The guest may see another one.
    fn target(self) -> &'static str {
        match self {
            Self::Root => "vda",
            Self::Volume => "vdb",
            Self::Seed => "vdc",
            Self::Context => "vdd",
        }
    }

    fn is_writable(self) -> bool {
        matches!(self, Self::Root | Self::Volume)
    }
}

/// A disk of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) serial: Serial,
    pub(crate) path: String,
    pub(crate) format: Format,
}

/// The hypervisor and the virtual hardware of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) kind: MachineKind,
    pub(crate) memory: Size,
    pub(crate) cpus: u32,
    pub(crate) cpu: Cpu,
    pub(crate) cache: DiskCache,
    pub(crate) network: Network,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineKind {
    Kvm(Architecture),
    Tcg(Architecture),
    /// libvirt's test driver, which has only 32-bit x86 and runs no guests.
    Test,
}

impl MachineKind {
    fn domain_type(self) -> &'static str {
        match self {
            Self::Kvm(_) => "kvm",
            Self::Tcg(_) => "qemu",
            Self::Test => "test",
        }
    }

    fn os(self) -> Element {
        let os = |arch| Element::text("type", "hvm").with("arch", arch);
        match self {
            Self::Test => Element::new("os").child(os("i686")),
            _ if self.is_arm() => Element::new("os")
                .with("firmware", "efi")
                .child(os("aarch64").with("machine", "virt")),
            _ => Element::new("os").child(os("x86_64").with("machine", "q35")),
        }
    }

    fn is_arm(self) -> bool {
        matches!(self, Self::Kvm(Architecture::Aarch64) | Self::Tcg(Architecture::Aarch64))
    }
}

/// A domain to be defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Domain<'a> {
    pub(crate) name: &'a str,
    /// Assigned by libvirt at the first definition; a redefinition must contain it.
    pub(crate) uuid: Option<&'a str>,
    /// A description for people who list domains.
    pub(crate) description: Option<&'a str>,
    /// The element in `<metadata>`.
    pub(crate) metadata: Element,
    pub(crate) machine: &'a Machine,
    pub(crate) devices: Option<Devices>,
}

/// The devices of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Devices {
    pub(crate) disks: Vec<Disk>,
    /// The log file of the console.
    pub(crate) console_log: String,
    /// The log file of the second serial port.
    pub(crate) events_log: String,
}

impl Domain<'_> {
    pub(crate) fn xml(&self) -> String {
        let machine = self.machine;
        let mut domain = Element::new("domain")
            .with("type", machine.kind.domain_type())
            .child(Element::text("name", self.name))
            .children(self.uuid.map(|uuid| Element::text("uuid", uuid)))
            .children(self.description.map(|text| Element::text("description", text)))
            .child(Element::new("metadata").child(self.metadata.clone()))
            .child(
                Element::text("memory", machine.memory.in_units_of(Size::bytes(1024)))
                    .with("unit", "KiB"),
            )
            .child(Element::text("vcpu", machine.cpus))
            .child(machine.kind.os());
        if machine.kind != MachineKind::Test {
            domain = domain
                // On q35 a guest needs ACPI to power off and to find its disks.
                .child(Element::new("features").child(Element::new("acpi")))
                .child(cpu(&machine.cpu));
        }
        domain = domain
            .child(Element::new("clock").with("offset", "utc"))
            .child(Element::text("on_poweroff", "destroy"))
            .child(Element::text("on_reboot", "restart"))
            .child(Element::text("on_crash", "destroy"));
        match &self.devices {
            Some(attached) => domain.child(devices(machine, attached)),
            None => domain,
        }
        .to_string()
    }
}

fn cpu(cpu: &Cpu) -> Element {
    match cpu {
        Cpu::HostPassthrough => Element::new("cpu").with("mode", "host-passthrough"),
        Cpu::Maximum => Element::new("cpu").with("mode", "maximum"),
        Cpu::Model(model) => Element::new("cpu")
            .with("mode", "custom")
            .with("match", "exact")
            // An emulator lacks some features of most models; they are left out.
            .with("check", "none")
            .child(Element::text("model", model).with("fallback", "forbid")),
    }
}

fn devices(machine: &Machine, attached: &Devices) -> Element {
    let arm = machine.kind.is_arm();
    let console = Element::new("target")
        .with("type", if arm { "system-serial" } else { "isa-serial" })
        .with("port", 0);
    // Arm's machine `virt` has one serial port; the second is a PCI card.
    let events = Element::new("target")
        .with("type", if arm { "pci-serial" } else { "isa-serial" })
        .with("port", 1);
    let mut devices = Element::new("devices")
        .children(attached.disks.iter().map(|each| disk(each, machine.cache)))
        .child(Element::new("controller").with("type", "usb").with("model", "none"))
        .child(network(&machine.network))
        // Output goes to a file, because a guest must not block when there is no reader. The console
        // is a terminal in addition, for `virsh console`.
        .child(
            Element::new("serial")
                .with("type", "pty")
                .child(log("log", "file", &attached.console_log))
                .child(console),
        )
        .child(
            Element::new("serial")
                .with("type", "file")
                .child(log("source", "path", &attached.events_log))
                .child(events),
        );
    if machine.kind != MachineKind::Test {
        devices = devices.child(
            Element::new("rng")
                .with("model", "virtio")
                .child(Element::text("backend", "/dev/urandom").with("model", "random")),
        );
    }
    devices.child(Element::new("memballoon").with("model", "none"))
}

/// A log in append mode: a second start of the VM must not truncate it.
fn log(element: &'static str, attribute: &'static str, path: &str) -> Element {
    Element::new(element).with(attribute, path).with("append", "on")
}

fn disk(disk: &Disk, cache: DiskCache) -> Element {
    let serial = disk.serial;
    let mut driver = Element::new("driver")
        .with("name", "qemu")
        .with("type", disk.format.as_str())
        .with("cache", cache)
        // An error of the host's storage, such as a full pool, pauses the VM, so that its reason can
        // be reported; the guest would see only an I/O error.
        .with("error_policy", "stop")
        .with("rerror_policy", "stop");
    if serial.is_writable() {
        // Blocks of zeros that the guest writes or discards take no space in the pool.
        driver = driver.with("discard", "unmap").with("detect_zeroes", "unmap");
    }
    let mut element = Element::new("disk")
        .with("type", "file")
        .with("device", "disk")
        .child(driver)
        .child(Element::new("source").with("file", &disk.path))
        .child(Element::new("target").with("dev", serial.target()).with("bus", "virtio"));
    if !serial.is_writable() {
        element = element.child(Element::new("readonly"));
    }
    element = element.child(Element::text("serial", serial.as_str()));
    if serial == Serial::Root {
        element = element.child(Element::new("boot").with("order", 1));
    }
    element
}

fn network(network: &Network) -> Element {
    let interface = match network {
        Network::User => Element::new("interface").with("type", "user"),
        Network::Default => named_network("default"),
        Network::Named(name) => named_network(name),
        Network::Bridge(bridge) => Element::new("interface")
            .with("type", "bridge")
            .child(Element::new("source").with("bridge", bridge)),
    };
    interface.child(Element::new("model").with("type", "virtio"))
}

fn named_network(name: &str) -> Element {
    Element::new("interface")
        .with("type", "network")
        .child(Element::new("source").with("network", name))
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
