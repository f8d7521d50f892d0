//! What cloudd writes into a domain's `<metadata>`: the labels of a VM or lease, and how far a VM is.

use cloudd_core::provider::Labels;

use super::{Element, Node};

/// The namespace of cloudd's element, libvirt's key to it.
pub(crate) const NAMESPACE: &str = "https://github.com/cloudd-rs/cloudd/libvirt/vm/1";
/// The prefix that libvirt shows for it.
pub(crate) const PREFIX: &str = "cloudd";

/// A VM's record, kept by libvirt with the domain and written together with it: no domain of
/// cloudd's ever exists without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VmRecord {
    pub(crate) state: VmRecordState,
    /// The pool in which its volumes lie.
    pub(crate) pool: String,
    pub(crate) labels: Labels,
}

/// How far a VM is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VmRecordState {
    /// Its disks are being made; it must not be started.
    Creating,
    /// Complete.
    Ready,
    /// Its disks are being deleted; it must not be started any more.
    Deleting,
    /// It is no VM at all but a [lease](crate::lease), and must never be started.
    Lease,
}

impl VmRecordState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Deleting => "deleting",
            Self::Lease => "lease",
        }
    }
}

impl VmRecord {
    /// With its own prefix and namespace, for a whole domain document.
    pub(crate) fn element(&self) -> Element {
        Element::new("cloudd:vm")
            .with("xmlns:cloudd", NAMESPACE)
            .with("state", self.state.as_str())
            .with("pool", &self.pool)
            .children(self.labels.iter().map(|(key, value)| {
                Element::new("cloudd:label").with("key", key).with("value", value)
            }))
    }

    /// Without prefix, as libvirt's call for metadata alone wants it.
    pub(crate) fn bare_element(&self) -> Element {
        Element::new("vm").with("state", self.state.as_str()).with("pool", &self.pool).children(
            self.labels
                .iter()
                .map(|(key, value)| Element::new("label").with("key", key).with("value", value)),
        )
    }

    /// Reads either form.
    pub(crate) fn read(node: &Node) -> Option<Self> {
        let state = match node.attribute("state")? {
            "creating" => VmRecordState::Creating,
            "ready" => VmRecordState::Ready,
            "deleting" => VmRecordState::Deleting,
            "lease" => VmRecordState::Lease,
            _ => return None,
        };
        let labels = Labels::from_iter(node.all("label").filter_map(|label| {
            Some((label.attribute("key")?.to_owned(), label.attribute("value")?.to_owned()))
        }));
        Some(Self { state, pool: node.attribute("pool")?.to_owned(), labels })
    }
}

#[cfg(test)]
mod tests {
    use cloudd_core::provider::keys;

    use super::*;

    #[test]
    fn labels_come_back_as_they_were_written() {
        let mut labels = Labels::new();
        labels.insert(keys::BUILD, "abcdefghij").unwrap();
        labels.insert("team", "").unwrap();
        let labels = labels.merged(&Labels::from_iter([("x", "<&'\">")]));
        use VmRecordState as S;
        for state in [S::Creating, S::Ready, S::Deleting, S::Lease] {
            let record = VmRecord { state, pool: "p&q".into(), labels: labels.clone() };
            for element in [record.element(), record.bare_element()] {
                let node = Node::parse(&element.to_string()).unwrap();
                assert_eq!(VmRecord::read(&node), Some(record.clone()));
            }
        }
    }
}
