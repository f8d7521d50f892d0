//! Finished user data and its size.

use std::fmt;
use std::io::Write;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};

/// User data as cloud-init reads it, with the forms that clouds with a size limit need.
///
/// `Debug` shows sizes only, since the text holds every secret of the configuration.
#[derive(Clone)]
#[must_use]
pub struct UserData {
    text: String,
    gzip: OnceLock<Vec<u8>>,
}

/// How long user data is in each form, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// The plain text.
    pub plain: usize,
    /// The text gzipped.
    pub gzip: usize,
    /// The text gzipped, then in base64 on one line.
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

    /// The plain text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.text
    }

    /// The text gzipped, which cloud-init unpacks wherever a datasource can carry bytes.
    ///
    /// The same text gives the same bytes: the header holds neither a time nor a name.
    #[must_use]
    pub fn gzip(&self) -> &[u8] {
        self.gzip.get_or_init(|| gzip(self.text.as_bytes()))
    }

    /// The text gzipped and in base64 on one line without a newline at the end, for clouds whose
    /// user data is text and whose datasource decodes base64 (Hetzner: cloud-init 20.3 and later,
    /// and only if it is strict base64).
    #[must_use]
    pub fn gzip_base64(&self) -> String {
        STANDARD.encode(self.gzip())
    }

    /// The size of each form. Compresses once; later calls of [`gzip`](Self::gzip) reuse the result.
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

/// gzip with a header that depends on nothing but the data.
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
