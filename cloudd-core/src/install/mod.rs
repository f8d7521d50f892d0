//! Install containers: what is to be installed.

/// A packed build context.
#[derive(Debug)]
pub struct ContextArchive(());
