use std::fmt;
use std::sync::Arc;

use super::Size;

/// Something a provider has to say while it works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Report {
    /// How far something is, such as a download.
    Progress {
        /// What is progressing, such as `download base image`.
        what: String,
        /// Done so far.
        done: Size,
        /// The whole, when it is known.
        total: Option<Size>,
    },
    /// How far an action of the cloud is, which counts in hundredths.
    Percent {
        /// What is progressing, such as `create_image`.
        what: String,
        /// 0 to 100.
        percent: u8,
    },
    /// Anything the reader should know: a fallback and why, a retry.
    Note(String),
}

/// Where a provider reports to; passed into the calls that take long.
#[derive(Clone)]
pub struct Reporter(Arc<dyn Fn(Report) + Send + Sync>);

impl Reporter {
    /// Reports to a function, which must not block.
    #[must_use]
    pub fn new(report: impl Fn(Report) + Send + Sync + 'static) -> Self {
        Self(Arc::new(report))
    }

    /// Reports to nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Reports.
    pub fn report(&self, report: Report) {
        (self.0)(report);
    }

    /// Reports a sentence.
    pub fn note(&self, message: impl Into<String>) {
        self.report(Report::Note(message.into()));
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}
