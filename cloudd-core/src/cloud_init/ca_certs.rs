//! `ca_certs`.

use serde::Serialize;

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;

impl CloudConfig {
    /// Changes which certificate authorities the machine trusts.
    pub fn ca_certs(mut self, certs: CaCerts) -> Self {
        self.ca_certs = Some(certs);
        self
    }
}

/// Certificate authorities that the machine trusts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[must_use]
pub struct CaCerts {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    remove_defaults: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trusted: Vec<String>,
}

impl CaCerts {
    /// No change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts this authority, a certificate in PEM.
    pub fn trusted(mut self, pem: impl Into<String>) -> Self {
        self.trusted.push(pem.into());
        self
    }

    /// Trusts none of the distribution's authorities any more.
    pub fn remove_defaults(mut self) -> Self {
        self.remove_defaults = true;
        self
    }
}

impl Section for Option<CaCerts> {
    fn check(&self) -> Result<()> {
        let Some(certs) = self else {
            return Ok(());
        };
        if *certs == CaCerts::default() {
            check::invalid("ca_certs", "", "is empty")?;
        }
        for pem in &certs.trusted {
            // A key pasted in place of a certificate must not be shown by the error.
            if !check::is_pem(pem, "CERTIFICATE") || pem.contains("PRIVATE KEY") {
                let begin: String = pem.trim().chars().take(24).collect();
                check::invalid("ca_certs.trusted", &begin, "is not a certificate in PEM")?;
            }
        }
        Ok(())
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("ca_certs", self);
        Ok(())
    }
}
