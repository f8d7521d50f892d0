use std::fmt;

/// What the contract suite has checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuiteReport {
    /// The names of the checks that passed, in order.
    pub passed: Vec<&'static str>,
    /// The checks that were left out.
    pub skipped: Vec<Skipped>,
}

/// A check that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The name of the check.
    pub check: &'static str,
    /// Why it was left out, such as a capability that the provider does not have.
    pub reason: String,
}

impl fmt::Display for SuiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.passed {
            writeln!(f, "passed: {check}")?;
        }
        for Skipped { check, reason } in &self.skipped {
            writeln!(f, "left out: {check} ({reason})")?;
        }
        write!(f, "{} checks passed, {} left out", self.passed.len(), self.skipped.len())
    }
}
