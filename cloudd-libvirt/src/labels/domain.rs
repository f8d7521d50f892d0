//! The element in a domain's `<metadata>`: the labels and the state of a VM or lease.

use cloudd_core::provider::Labels;

use crate::xml::{Element, Node};

/// The namespace of the element, by which libvirt finds it.
pub(crate) const NAMESPACE: &str = "https://github.com/cloudd-rs/cloudd/libvirt/vm/1";
/// The prefix that libvirt writes for the namespace.
pub(crate) const PREFIX: &str = "cloudd";

/// The metadata of a VM or lease. libvirt stores them with the domain, from its first definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DomainMetadata {
    pub(crate) state: DomainState,
    /// The pool of its volumes.
    pub(crate) pool: String,
    pub(crate) labels: Labels,
}

/// The state of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DomainState {
    /// Its disks are being created; it must not be started.
    Creating,
    /// Complete.
    Ready,
    /// Its disks are being deleted; it must not be started.
    Deleting,
    /// It is a [lease](crate::lease), which is never started.
    Lease,
}

impl DomainState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Deleting => "deleting",
            Self::Lease => "lease",
        }
    }
}

impl DomainMetadata {
    /// With prefix and namespace, for a domain document.
    pub(crate) fn element(&self) -> Element {
        Element::new("cloudd:vm")
            .with("xmlns:cloudd", NAMESPACE)
            .with("state", self.state.as_str())
            .with("pool", &self.pool)
            .children(self.labels.iter().map(|(key, value)| {
                Element::new("cloudd:label").with("key", key).with("value", value)
            }))
    }

    /// Without prefix, as required by libvirt's call that sets only the metadata.
    pub(crate) fn bare_element(&self) -> Element {
        Element::new("vm").with("state", self.state.as_str()).with("pool", &self.pool).children(
            self.labels
                .iter()
                .map(|(key, value)| Element::new("label").with("key", key).with("value", value)),
        )
    }

    /// Parses both forms.
    pub(crate) fn read(node: &Node) -> Option<Self> {
        let state = match node.attribute("state")? {
            "creating" => DomainState::Creating,
            "ready" => DomainState::Ready,
            "deleting" => DomainState::Deleting,
            "lease" => DomainState::Lease,
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
        use DomainState as S;
        for state in [S::Creating, S::Ready, S::Deleting, S::Lease] {
            let metadata = DomainMetadata { state, pool: "p&q".into(), labels: labels.clone() };
            for element in [metadata.element(), metadata.bare_element()] {
                let node = Node::parse(&element.to_string()).unwrap();
                assert_eq!(DomainMetadata::read(&node), Some(metadata.clone()));
            }
        }
    }
}
