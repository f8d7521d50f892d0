//! Rendered user data, its compressed forms and their sizes.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};

/// Rendered user data, as text and in the compressed forms that clouds with a size limit require.
///
/// `Debug` shows the sizes only, because the text contains every secret of the configuration.
#[derive(Clone)]
#[must_use]
pub struct UserData {
    text: String,
    gzip: OnceLock<Vec<u8>>,
}

/// The size of user data in each form, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// The plain text.
    pub plain: usize,
    /// The gzipped text.
    pub gzip: usize,
    /// The gzipped text in base64 on one line.
    pub gzip_base64: usize,
}

impl UserData {
    pub(super) fn new(text: String) -> Self {
        Self { text, gzip: OnceLock::new() }
    }

    /// The plain text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Converts into the plain text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.text
    }

    /// The gzipped text, which cloud-init decompresses wherever a datasource can carry bytes.
    ///
    /// Equal text gives equal bytes: the header has neither a time stamp nor a file name.
    #[must_use]
    pub fn gzip(&self) -> &[u8] {
        self.gzip.get_or_init(|| gzip(self.text.as_bytes()))
    }

    /// The gzipped text in base64 on one line without a final newline, for clouds whose user data is
    /// text and whose datasource decodes base64 (Hetzner Cloud: cloud-init 20.3 and later, strict
    /// base64 only).
    #[must_use]
    pub fn gzip_base64(&self) -> String {
        STANDARD.encode(self.gzip())
    }

    /// The size of each form. The text is compressed once; [`gzip`](Self::gzip) reuses the result.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        let gzip = self.gzip().len();
        Sizes { plain: self.text.len(), gzip, gzip_base64: gzip.div_ceil(3) * 4 }
    }
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserData").field("sizes", &self.sizes()).finish_non_exhaustive()
    }
}

impl PartialEq for UserData {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for UserData {}

/// Compresses with a header that depends on the data only.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder
        .write_all(data)
        .and_then(|()| encoder.finish())
        .expect("writing into a Vec does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_the_lengths_of_the_forms() {
        for text in ["", "#cloud-config\n{}\n", &"abc\n".repeat(5000)] {
            let data = UserData::new(text.to_owned());
            let sizes = data.sizes();
            assert_eq!(sizes.plain, data.as_str().len());
            assert_eq!(sizes.gzip, data.gzip().len());
            assert_eq!(sizes.gzip_base64, data.gzip_base64().len());
        }
    }

    #[test]
    fn gzip_carries_no_time_and_no_name() {
        let bytes = gzip(b"x");
        assert_eq!(bytes[..4], [0x1f, 0x8b, 8, 0], "deflate, no flags");
        assert_eq!(bytes[4..8], [0; 4], "mtime");
        assert_eq!(bytes, gzip(b"x"));
    }

    #[test]
    fn base64_is_one_line() {
        let data = UserData::new(
            (0..20_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect(),
        );
        let text = data.gzip_base64();
        assert!(text.len() > 10_000);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)));
    }
}
