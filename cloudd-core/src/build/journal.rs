use crate::provider::ResourceId;

/// What a build has created, or may have created: written before each creation and after it, so that
/// a cleanup knows what to delete, and whether it has to search.
#[derive(Debug, Default)]
pub(super) struct Journal {
    created: Vec<ResourceId>,
    /// Names of creations whose outcome is not known.
    intended: Vec<String>,
    /// An earlier process worked on this build, and may have created more than is known here.
    inherited: bool,
}

impl Journal {
    /// The journal of a build that another process has begun.
    pub(super) fn inherited() -> Self {
        Self { inherited: true, ..Self::default() }
    }

    /// A creation under this name is about to be requested.
    pub(super) fn intend(&mut self, name: &str) {
        self.intended.push(name.to_owned());
    }

    /// The creation under this name has succeeded.
    pub(super) fn confirm(&mut self, name: &str, created: impl IntoIterator<Item = ResourceId>) {
        self.intended.retain(|intended| intended != name);
        self.created.extend(created);
    }

    /// A resource that exists is to be deleted at the end.
    pub(super) fn include(&mut self, resource: ResourceId) {
        self.created.push(resource);
    }

    /// A resource was deleted.
    pub(super) fn deleted(&mut self, resource: &ResourceId) {
        self.created.retain(|created| created != resource);
    }

    /// The build has ended, and its outcome names what remains.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    /// The resources that are known to exist.
    pub(super) fn created(&self) -> &[ResourceId] {
        &self.created
    }

    /// Whether there may be resources that are not known here, so that they have to be searched by
    /// the build's label.
    pub(super) fn is_incomplete(&self) -> bool {
        self.inherited || !self.intended.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::VmId;

    #[test]
    fn a_creation_without_a_known_outcome_makes_the_journal_incomplete() {
        let mut journal = Journal::default();
        assert!(!journal.is_incomplete());
        journal.intend("vm");
        assert!(journal.is_incomplete());
        journal.confirm("vm", [VmId::new("1").into()]);
        assert!(!journal.is_incomplete());
        assert_eq!(journal.created(), [VmId::new("1").into()]);
        journal.deleted(&VmId::new("1").into());
        assert_eq!(journal.created(), []);
        assert!(Journal::inherited().is_incomplete());
    }
}
