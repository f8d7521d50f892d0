//! `timezone` and `locale`.

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Locale {
    timezone: Option<String>,
    locale: Option<String>,
    configfile: Option<String>,
}

impl CloudConfig {
    /// The time zone, a name below `/usr/share/zoneinfo`: `UTC`, `Europe/Berlin`.
    pub fn timezone(mut self, name: impl Into<String>) -> Self {
        self.locale.timezone = Some(name.into());
        self
    }

    /// The system's locale: `C.UTF-8`, `de_DE.UTF-8`. Generated if the image lacks it.
    pub fn locale(mut self, name: impl Into<String>) -> Self {
        self.locale.locale = Some(name.into());
        self
    }

    /// Where the locale is written, if not at the distribution's place.
    pub fn locale_configfile(mut self, path: impl Into<String>) -> Self {
        self.locale.configfile = Some(path.into());
        self
    }
}

impl Section for Locale {
    fn check(&self) -> Result<()> {
        if let Some(name) = &self.timezone {
            // cloud-init joins it to the directory of zones: `/etc/passwd` would be found.
            let part = |part: &str| {
                !part.is_empty()
                    && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
            };
            if !name.split('/').all(part) {
                check::invalid("timezone", name, "is not a name of a time zone")?;
            }
        }
        if let Some(name) = &self.locale {
            let known = |c: char| c.is_ascii_alphanumeric() || "_.@-".contains(c);
            if name.is_empty() || !name.chars().all(known) {
                check::invalid("locale", name, "is not a name of a locale")?;
            }
        }
        self.configfile.iter().try_for_each(|path| check::file_path("locale_configfile", path))
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("timezone", &self.timezone);
        document.entry_if("locale", &self.locale);
        document.entry_if("locale_configfile", &self.configfile);
        Ok(())
    }
}
