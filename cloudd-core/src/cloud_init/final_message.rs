//! `final_message`.

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FinalMessage(Option<String>);

impl CloudConfig {
    /// What cloud-init writes to the console and its log when it has finished.
    ///
    /// `$uptime`, `$timestamp`, `$version` and `$datasource` are replaced. A text whose first line
    /// is `## template: jinja` is a Jinja template with the same names.
    pub fn final_message(mut self, text: impl Into<String>) -> Self {
        self.final_message = FinalMessage(Some(text.into()));
        self
    }
}

const NAMES: [&str; 4] = ["uptime", "timestamp", "version", "datasource"];

impl Section for FinalMessage {
    fn check(&self) -> Result<()> {
        let Some(text) = &self.0 else {
            return Ok(());
        };
        if text.trim().is_empty() {
            check::invalid("final_message", text, "is empty")?;
        }
        if !text.trim_start().starts_with("## template:")
            && let Some(name) = check::placeholders(text).find(|name| !is_known(name))
        {
            // cloud-init would log an error in place of the message.
            check::invalid("final_message", name, "is not known after a '$'")?;
        }
        Ok(())
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("final_message", &self.0);
        Ok(())
    }
}

fn is_known(name: &str) -> bool {
    NAMES.iter().any(|known| *known == name || known.to_uppercase() == name)
}
