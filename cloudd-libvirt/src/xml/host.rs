//! The capabilities of the host.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use cloudd_core::provider::Architecture;

use super::Node;

/// The guests that a host can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// The host's architecture, if it is supported.
    pub(crate) architecture: Option<Architecture>,
    /// Architectures of guests, each with the domain types (`kvm`, `qemu`) that libvirt offers.
    guests: Vec<(Architecture, Vec<String>)>,
    /// The features of the host's processor.
    features: Vec<String>,
}

impl Host {
    /// Parses libvirt's capabilities. `cpu` is the host's CPU with the features of its model listed,
    /// the result of libvirt's baseline call: a model such as `EPYC` implies `svm`.
    pub(crate) fn read(capabilities: &str, cpu: Option<&str>) -> Option<Self> {
        let node = Node::parse(capabilities).ok()?;
        let guests = node
            .all("guest")
            .filter(|guest| guest.at("os_type").is_some_and(|os| os.text() == "hvm"))
            .filter_map(|guest| {
                let arch = guest.at("arch")?;
                let types = arch.all("domain").filter_map(|domain| domain.attribute("type"));
                Some((architecture(arch.attribute("name")?)?, types.map(str::to_owned).collect()))
            })
            .collect();
        let expanded = cpu.and_then(|cpu| Node::parse(cpu).ok());
        let features = expanded
            .iter()
            .chain(node.at("host/cpu"))
            .flat_map(|cpu| cpu.all("feature"))
            .filter_map(|feature| feature.attribute("name"))
            .map(str::to_owned)
            .collect();
        let own = node.at("host/cpu/arch").and_then(|arch| architecture(arch.text()));
        Some(Self { architecture: own, guests, features })
    }

    /// Whether guests of this architecture can run.
    pub(crate) fn runs(&self, architecture: Architecture) -> bool {
        self.guests.iter().any(|(guest, _)| *guest == architecture)
    }

    /// Whether guests of this architecture can run with KVM.
    ///
    /// An offer of `kvm` by libvirt is not sufficient: libvirt offers it wherever `/dev/kvm` exists,
    /// also on hosts that are guests of another hypervisor, where such a VM hangs. On x86 the features
    /// of the processor decide; on other architectures the offer is all that is known.
    pub(crate) fn has_kvm(&self, guest: Architecture) -> bool {
        let offered = self
            .guests
            .iter()
            .any(|(known, types)| *known == guest && types.iter().any(|name| name == "kvm"));
        let capable = match guest {
            Architecture::X86_64 => self.features.iter().any(|name| name == "vmx" || name == "svm"),
            _ => true,
        };
        offered && capable && self.architecture == Some(guest)
    }
}

/// The text of the `<cpu>` element of the capabilities.
pub(crate) fn cpu(capabilities: &str) -> Option<&str> {
    let (_, rest) = capabilities.split_at_checked(capabilities.find("<cpu>")?)?;
    let end = rest.find("</cpu>")?.checked_add("</cpu>".len())?;
    rest.get(..end)
}

fn architecture(name: &str) -> Option<Architecture> {
    match name {
        "x86_64" => Some(Architecture::X86_64),
        "aarch64" => Some(Architecture::Aarch64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(arch: &str, features: &str) -> String {
        format!(
            "<capabilities><host><cpu><arch>{arch}</arch><model>EPYC</model>{features}</cpu></host>\
             <guest><os_type>hvm</os_type><arch name='i686'><domain type='kvm'/></arch></guest>\
             <guest><os_type>hvm</os_type><arch name='x86_64'><domain type='qemu'/>\
             <domain type='kvm'/></arch></guest>\
             <guest><os_type>hvm</os_type><arch name='aarch64'><domain type='qemu'/>{}</arch></guest>\
             </capabilities>",
            if arch == "aarch64" { "<domain type='kvm'/>" } else { "" }
        )
    }

    #[test]
    fn kvm_needs_a_processor_with_virtualization() {
        let x86 = Architecture::X86_64;
        let guest_of_another_kind = capabilities("x86_64", "<feature name='hypervisor'/>");
        assert!(!Host::read(&guest_of_another_kind, None).unwrap().has_kvm(x86));
        let intel = capabilities("x86_64", "<feature name='vmx'/>");
        assert!(Host::read(&intel, None).unwrap().has_kvm(x86));
        let hidden_in_model = "<cpu><model>EPYC</model><feature name='svm'/></cpu>";
        let amd = capabilities("x86_64", "");
        assert!(Host::read(&amd, Some(hidden_in_model)).unwrap().has_kvm(x86));
    }

    #[test]
    fn a_foreign_architecture_is_always_emulated() {
        let host = Host::read(&capabilities("x86_64", "<feature name='vmx'/>"), None).unwrap();
        assert!(host.runs(Architecture::Aarch64));
        assert!(!host.has_kvm(Architecture::Aarch64));
        let arm = Host::read(&capabilities("aarch64", ""), None).unwrap();
        assert!(arm.has_kvm(Architecture::Aarch64));
        assert!(!arm.has_kvm(Architecture::X86_64));
    }

    #[test]
    fn the_cpu_element_is_cut_out_whole() {
        let xml = capabilities("x86_64", "<feature name='vmx'/>");
        let cpu = cpu(&xml).unwrap();
        assert!(Node::parse(cpu).unwrap().at("arch").is_some());
    }
}
