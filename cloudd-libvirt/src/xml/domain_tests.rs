use cloudd_core::provider::{Labels, keys};

use super::*;
use crate::labels::{DomainMetadata, DomainState};
use crate::xml::Node;

fn metadata() -> DomainMetadata {
    let mut labels = Labels::new();
    labels.insert(keys::BUILD, "abcdefghij").unwrap();
    DomainMetadata { state: DomainState::Ready, pool: "default".into(), labels }
}

fn machine(kind: MachineKind) -> Machine {
    Machine {
        kind,
        memory: Size::gib(2),
        cpus: 2,
        cpu: match kind {
            MachineKind::Kvm(_) => Cpu::HostPassthrough,
            _ if kind.is_arm() => Cpu::Maximum,
            _ => Cpu::Model("Nehalem".into()),
        },
        cache: DiskCache::Writeback,
        network: Network::User,
    }
}

fn devices() -> Devices {
    let disk = |serial, path: &str, format| Disk { serial, path: path.into(), format };
    Devices {
        disks: vec![
            disk(Serial::Root, "/p/v.root.qcow2", Format::Qcow2),
            disk(Serial::Volume, "/p/volume.qcow2", Format::Qcow2),
            disk(Serial::Seed, "/p/v.seed.img", Format::Raw),
            disk(Serial::Context, "/p/v.context.img", Format::Raw),
        ],
        console_log: "/p/v.console.log".into(),
        events_log: "/p/v.events.log".into(),
    }
}

fn xml(kind: MachineKind) -> String {
    Domain {
        name: "cloudd-abcdefghij",
        uuid: Some("3f2b8a52-7d4e-4c1f-9a55-0c6f5d1e2b33"),
        description: None,
        metadata: metadata().element(),
        machine: &machine(kind),
        devices: Some(devices()),
    }
    .xml()
}

/// Compares with a file under `src/xml/golden`; `CLOUDD_BLESS=1` overwrites it.
fn assert_golden(name: &str, xml: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/xml/golden").join(name);
    if std::env::var_os("CLOUDD_BLESS").is_some() {
        std::fs::write(&path, xml).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(xml, golden, "differs from {}", path.display());
}

#[test]
fn an_emulated_x86_vm_is_written_as_agreed() {
    assert_golden("x86_64-tcg.xml", &xml(MachineKind::Tcg(Architecture::X86_64)));
}

#[test]
fn an_arm_vm_on_kvm_is_written_as_agreed() {
    assert_golden("aarch64-kvm.xml", &xml(MachineKind::Kvm(Architecture::Aarch64)));
}

#[test]
fn kvm_and_networks_change_what_they_should() {
    let mut kvm = machine(MachineKind::Kvm(Architecture::X86_64));
    let metadata = metadata();
    let render = |machine: &Machine| {
        let devices = Some(devices());
        Domain {
            name: "v",
            uuid: None,
            description: None,
            metadata: metadata.element(),
            machine,
            devices,
        }
        .xml()
    };
    assert!(render(&kvm).contains("<cpu mode=\"host-passthrough\"/>"));
    kvm.network = Network::Default;
    assert!(render(&kvm).contains("<source network=\"default\"/>"));
    kvm.network = Network::Named("lab".into());
    assert!(render(&kvm).contains("<source network=\"lab\"/>"));
    kvm.network = Network::Bridge("br0".into());
    assert!(render(&kvm).contains("<source bridge=\"br0\"/>"));
    kvm.cache = DiskCache::Unsafe;
    assert!(render(&kvm).contains("cache=\"unsafe\""));
}

#[test]
fn a_vm_without_devices_can_be_defined_before_its_disks_exist() {
    let metadata = DomainMetadata { state: DomainState::Creating, ..metadata() };
    let machine = machine(MachineKind::Tcg(Architecture::X86_64));
    let xml = Domain {
        name: "v",
        uuid: None,
        description: Some("a & b"),
        metadata: metadata.element(),
        machine: &machine,
        devices: None,
    }
    .xml();
    let node = Node::parse(&xml).unwrap();
    assert_eq!(DomainMetadata::read(node.at("metadata/vm").unwrap()), Some(metadata));
    assert!(node.at("devices").is_none() && node.at("uuid").is_none());
    assert_eq!(node.at("description").unwrap().text(), "a & b");
}

#[test]
fn the_disks_of_our_domains_are_found_as_references() {
    use crate::xml::references::References;

    let references = References::read(&xml_of_ours()).unwrap();
    assert!(references.mention("/p/volume.qcow2"));
    assert!(references.open_chains.iter().any(|layer| {
        *layer == crate::xml::references::Layer::Path("/p/volume.qcow2".to_owned())
    }));
}

fn xml_of_ours() -> String {
    xml(MachineKind::Tcg(Architecture::X86_64))
}

/// By libvirt's own schema. The test driver does the checking and then refuses what it cannot run:
/// only the schema's verdict counts.
#[test]
fn libvirts_schema_accepts_every_architecture() {
    use virt::connect::Connect;
    use virt::error::ErrorNumber;

    let connection = Connect::open(Some("test:///default")).unwrap();
    let breaks_the_schema = |xml: &str| match virt::domain::Domain::define_xml_flags(
        &connection,
        xml,
        virt_sys::VIR_DOMAIN_DEFINE_VALIDATE,
    ) {
        Ok(domain) => {
            domain.undefine().unwrap();
            None
        }
        Err(error) if error.code() == ErrorNumber::XmlInvalidSchema => {
            Some(error.message().to_owned())
        }
        Err(_) => None,
    };
    for kind in [
        MachineKind::Kvm(Architecture::X86_64),
        MachineKind::Tcg(Architecture::X86_64),
        MachineKind::Kvm(Architecture::Aarch64),
        MachineKind::Tcg(Architecture::Aarch64),
        MachineKind::Test,
    ] {
        assert_eq!(breaks_the_schema(&xml(kind)), None, "{kind:?}");
    }
    let wrong = xml_of_ours().replace("error_policy=\"stop\"", "error_policy=\"dance\"");
    assert!(breaks_the_schema(&wrong).is_some(), "the schema is not looked at");
}
