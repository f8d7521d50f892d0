//! The command line of a VM that takes itself for a server of Hetzner.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::super::Boot;
use super::files::QemuFiles;

/// What executes a guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accel {
    Kvm,
    Tcg,
}

impl Accel {
    /// KVM when the processor says that it virtualizes, and we may use it. That there is a
    /// `/dev/kvm` proves nothing: there are hosts that have it and on which a Linux guest hangs.
    pub(super) fn of_this_machine() -> Self {
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let can = processor.split_whitespace().any(|word| word == "vmx" || word == "svm");
        let may = || fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
        if can && may() { Self::Kvm } else { Self::Tcg }
    }
}

/// What all VMs have in common.
#[derive(Debug)]
pub(super) struct Hardware {
    pub(super) accel: Accel,
    /// MiB at most.
    pub(super) memory: u64,
    pub(super) ssh_port: u16,
}

/// The arguments of QEMU for a server whose metadata service listens at a port of loopback. Its
/// monitor is at stdin and stdout.
pub(super) fn arguments(
    boot: &Boot,
    hardware: &Hardware,
    files: &QemuFiles,
    metadata: u16,
) -> Vec<OsString> {
    let server = boot.server;
    let (accel, cpu) = match hardware.accel {
        Accel::Kvm => ("kvm", "host"),
        // Under emulation the quickest of those tried.
        Accel::Tcg => ("tcg", "Nehalem"),
    };
    let memory = ((boot.memory * 1024.0) as u64).min(hardware.memory);
    let mut line = Line::default();
    line.option("-name", format!("server-{server}"));
    line.option("-machine", format!("pc,accel={accel}"));
    line.option("-cpu", cpu);
    line.option("-smp", "2");
    line.option("-m", format!("{memory}M"));
    line.flag("-no-user-config");
    line.flag("-nodefaults");
    line.option("-display", "none");
    // cloud-init takes the serial number for the instance's id.
    let dmi = format!("type=1,manufacturer=Hetzner,product=vServer,serial={server}");
    line.option("-smbios", dmi);
    line.option("-chardev", file("file,id=console,append=on,path=", &files.console(server)));
    line.option("-serial", "chardev:console");
    line.option("-chardev", "stdio,id=monitor,signal=off");
    line.option("-mon", "chardev=monitor,mode=control");
    line.option("-device", "virtio-rng-pci");

    // What udev makes by-id names of: vendor, product and serial number.
    line.option("-device", "virtio-scsi-pci,id=scsi");
    line.disk("root", &files.root(server));
    let serial = root_serial(server);
    line.option(
        "-device",
        format!("scsi-hd,bus=scsi.0,drive=root,vendor=QEMU,product=QEMU HARDDISK,serial={serial},bootindex=1"),
    );
    for volume in &boot.volumes {
        line.disk(&format!("volume-{volume}"), &files.volume(*volume));
        line.option(
            "-device",
            format!(
                "scsi-hd,bus=scsi.0,drive=volume-{volume},vendor=HC,product=Volume,serial={volume}"
            ),
        );
    }

    let mut net = format!(
        "user,id=net,net=169.254.0.0/16,dhcpstart=169.254.0.15,\
         guestfwd=tcp:169.254.169.254:80-cmd:/bin/busybox nc 127.0.0.1 {metadata}"
    );
    if let Some(address) = boot.ipv4 {
        net += &format!(",hostfwd=tcp:{address}:{}-:22", hardware.ssh_port);
    }
    line.option("-netdev", net);
    line.option("-device", format!("virtio-net-pci,netdev=net,mac={}", mac_address(server)));
    line.0
}

/// The number in the name of a root disk, which the API does not tell.
fn root_serial(server: u64) -> u64 {
    10_000_000 + server % 10_000_000
}

/// The address of a server's network card.
pub(super) fn mac_address(server: u64) -> String {
    let [.., a, b, c] = server.to_be_bytes();
    format!("96:00:00:{a:02x}:{b:02x}:{c:02x}")
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.into());
    }

    fn option(&mut self, option: &str, value: impl Into<OsString>) {
        self.flag(option);
        self.0.push(value.into());
    }

    /// A disk's file. That a host's crash loses data does not matter: it ends the simulation.
    fn disk(&mut self, id: &str, path: &Path) {
        let how = "if=none,format=qcow2,cache=unsafe,discard=unmap,detect-zeroes=unmap";
        self.option("-drive", file(&format!("{how},id={id},file="), path));
    }
}

/// An option's value that ends with a path, in which QEMU wants commas doubled.
fn file(start: &str, path: &Path) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    format!("{start}{path}").into()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_server_has_the_hardware_of_hetzner() {
        let boot = Boot {
            server: 90_000_001,
            name: "web".to_owned(),
            user_data: None,
            ssh_keys: vec![],
            volumes: vec![80_005],
            rescue: false,
            ipv4: Some(Ipv4Addr::new(127, 64, 0, 1)),
            architecture: "x86".to_owned(),
            memory: 4.0,
        };
        let hardware = Hardware { accel: Accel::Tcg, memory: 2048, ssh_port: 22 };
        let words = arguments(&boot, &hardware, &QemuFiles::new("/a,b"), 4000);
        let line = words.join(" ".as_ref()).into_string().unwrap();
        for expected in [
            "-machine pc,accel=tcg -cpu Nehalem -smp 2 -m 2048M ",
            "-smbios type=1,manufacturer=Hetzner,product=vServer,serial=90000001 ",
            "path=/a,,b/console-90000001.log ",
            "id=root,file=/a,,b/server-90000001/root.qcow2 ",
            "drive=root,vendor=QEMU,product=QEMU HARDDISK,serial=10000001,bootindex=1 ",
            "id=volume-80005,file=/a,,b/volume-80005.qcow2 ",
            "drive=volume-80005,vendor=HC,product=Volume,serial=80005 ",
            "guestfwd=tcp:169.254.169.254:80-cmd:/bin/busybox nc 127.0.0.1 4000,",
            "hostfwd=tcp:127.64.0.1:22-:22 ",
        ] {
            assert!(line.contains(expected), "{expected} is not in {line}");
        }
    }
}
