use std::fmt;
use std::sync::Arc;

use super::{ResourceId, Size};

/// A message from a provider about a call that is in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// Progress in bytes, such as that of a download.
    Progress {
        /// The operation, such as `download base image`.
        what: String,
        /// Bytes done.
        done: Size,
        /// Bytes in total, if known.
        total: Option<Size>,
    },
    /// Progress of an action of the cloud in percent.
    Percent {
        /// The operation, such as `create_image`.
        what: String,
        /// 0 to 100.
        percent: u8,
    },
    /// A message for the reader, such as a fallback and its reason, or a retry.
    Note(String),
    /// A resource was created, or found to exist.
    Created(ResourceId),
    /// The provider deleted a resource that it had reported as created.
    Deleted(ResourceId),
}

/// Receives the reports of a provider. Passed to the calls that can take long.
#[derive(Clone)]
pub struct Reporter(Arc<dyn Fn(Report) + Send + Sync>);

impl Reporter {
    /// Calls a function for each report. The function must not block.
    #[must_use]
    pub fn new(report: impl Fn(Report) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// Discards all reports.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Sends a report.
    pub fn report(&self, report: Report) {
        (self.0)(report);
    }

    /// Sends a message for the reader.
    pub fn note(&self, message: impl Into<String>) {
        self.report(Report::Note(message.into()));
    }

    /// Reports that a resource exists, as soon as its id is known.
    pub fn created(&self, resource: impl Into<ResourceId>) {
        self.report(Report::Created(resource.into()));
    }

    /// Reports that a resource which was reported as created is deleted.
    pub fn deleted(&self, resource: impl Into<ResourceId>) {
        self.report(Report::Deleted(resource.into()));
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}
