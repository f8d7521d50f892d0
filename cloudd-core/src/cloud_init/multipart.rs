//! Multi-part user data: MIME `multipart/mixed`.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::check;
use super::error::Result;
use super::part::Part;
use super::user_data::UserData;

/// User data of several parts, for adding a script or a second cloud-config to an existing one.
///
/// cloud-init processes the parts in order. A later cloud-config *replaces* equal keys of earlier
/// ones unless it has another [`Merge`](super::Merge) strategy.
///
/// ```
/// use cloudd_core::cloud_init::{CloudConfig, Merge, MultiPart, Part};
///
/// let data = MultiPart::new()
///     .part(Part::cloud_config("base.cfg", CloudConfig::new().runcmd("echo base")))
///     .part(
///         Part::cloud_config("more.cfg", CloudConfig::new().runcmd("echo more"))
///             .merge(Merge::Append),
///     )
///     .part(Part::shell_script("last.sh", "#!/bin/sh\necho last\n"))
///     .render()?;
/// assert!(data.as_str().starts_with("Content-Type: multipart/mixed;"));
/// # Ok::<(), cloudd_core::cloud_init::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use]
pub struct MultiPart {
    parts: Vec<Part>,
}

impl MultiPart {
    /// Creates user data without parts. Rendering requires at least one part.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a part.
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Validates all parts and renders the message. Equal parts give equal text, including the
    /// boundary.
    ///
    /// # Errors
    /// The first invalid part, no part at all, or two parts with the same name.
    pub fn render(&self) -> Result<UserData> {
        if self.parts.is_empty() {
            check::invalid("parts", "", "is empty")?;
        }
        check::no_duplicates("parts", self.parts.iter().map(Part::name))?;
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            parts.push(mime_part(part, &part.render()?));
        }
        let boundary = boundary(&parts);
        let mut text = format!(
            "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n\n"
        );
        for part in &parts {
            let _ = write!(text, "--{boundary}\n{part}\n");
        }
        let _ = writeln!(text, "--{boundary}--");
        Ok(UserData::new(text))
    }
}

/// The headers of a part and its encoded text, without the newline that belongs to the boundary.
fn mime_part(part: &Part, text: &str) -> String {
    let (encoding, body) = match is_seven_bit(text) {
        true => ("7bit", text.to_owned()),
        false => ("base64", base64_lines(text)),
    };
    let merge = match part.merge_header() {
        Some(how) => format!("X-Merge-Type: {how}\n"),
        None => String::new(),
    };
    format!(
        "Content-Type: {}; charset=\"utf-8\"\n\
         MIME-Version: 1.0\n\
         Content-Transfer-Encoding: {encoding}\n\
         Content-Disposition: attachment; filename=\"{}\"\n\
         {merge}\n{body}",
        part.kind().content_type(),
        part.name(),
    )
}

/// Whether Python's email parser returns the text unchanged. It escapes what is not ASCII and treats
/// a carriage return as the end of a line.
fn is_seven_bit(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'))
}

/// Base64 in lines of at most 76 characters (RFC 2045).
fn base64_lines(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let lines: Vec<&str> = (0..encoded.len())
        .step_by(76)
        .map(|start| &encoded[start..encoded.len().min(start + 76)])
        .collect();
    lines.join("\n")
}

/// A boundary derived from the parts that occurs in none of them.
fn boundary(parts: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    loop {
        let boundary = format!("cloudd-{:x}", hash.clone().finalize());
        if !parts.iter().any(|part| part.contains(&boundary)) {
            return boundary;
        }
        hash.update(b"again");
    }
}
