//! `packages` and the flags around them.

use serde::Serialize;

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Packages {
    packages: Vec<Package>,
    update: bool,
    upgrade: bool,
    reboot_if_required: bool,
}

/// A name, or a name with a version.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
enum Package {
    Any(String),
    Version([String; 2]),
}

impl CloudConfig {
    /// Installs a package in whatever version the distribution has. Package lists are refreshed
    /// before, as cloud-init always does.
    #[doc(alias = "packages")]
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.packages.packages.push(Package::Any(name.into()));
        self
    }

    /// Installs a package in this version.
    pub fn package_version(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.packages.packages.push(Package::Version([name.into(), version.into()]));
        self
    }

    /// Refreshes the package lists even if nothing is installed.
    pub fn package_update(mut self) -> Self {
        self.packages.update = true;
        self
    }

    /// Upgrades the packages of the image, before any is installed.
    pub fn package_upgrade(mut self) -> Self {
        self.packages.upgrade = true;
        self
    }

    /// Reboots after an upgrade or an installation that asks for it.
    pub fn package_reboot_if_required(mut self) -> Self {
        self.packages.reboot_if_required = true;
        self
    }
}

impl Section for Packages {
    fn check(&self) -> Result<()> {
        let name = |package: &Package| match package {
            Package::Any(name) | Package::Version([name, _]) => name.clone(),
        };
        let names: Vec<String> = self.packages.iter().map(name).collect();
        for name in &names {
            check::token("packages", name)?;
            if name.starts_with('-') {
                check::invalid("packages", name, "would be taken for an option")?;
            }
        }
        check::no_duplicates("packages", names.iter().map(String::as_str))?;
        self.packages.iter().try_for_each(|package| match package {
            Package::Any(_) => Ok(()),
            Package::Version([_, version]) => check::token("packages", version),
        })
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("package_update", &self.update.then_some(true));
        document.entry_if("package_upgrade", &self.upgrade.then_some(true));
        document.entry_if("package_reboot_if_required", &self.reboot_if_required.then_some(true));
        document.list("packages", &self.packages);
        Ok(())
    }
}
