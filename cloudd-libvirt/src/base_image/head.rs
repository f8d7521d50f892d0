//! The format and size of a disk image, from its first bytes.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use cloudd_core::provider::Size;

use crate::xml::volume::Format;

/// The operation that errors about a base image name.
pub(crate) const CHECK: &str = "check base image";

/// The number of bytes that are read.
pub(crate) const HEAD: usize = 512;

/// The largest disk.
pub(crate) const MAX_SIZE: Size = Size::gib(64 << 10);

/// The header of a supported disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) format: Format,
    /// The virtual size of the disk.
    pub(crate) size: Size,
}

/// The reason why a disk image is not supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("it is empty")]
    Empty,
    #[error("its length is unknown, which a raw image needs")]
    LengthUnknown,
    #[error("it is {0}; decompress it first")]
    Compressed(&'static str),
    #[error("it is a {0} image; convert it with qemu-img convert -O qcow2")]
    OtherFormat(&'static str),
    #[error("its qcow2 header is truncated or of an unknown version")]
    BadHeader,
    // A downloaded image could name any file of the host as its backing file.
    #[error("it has a backing file or an external data file; it must be self-contained")]
    NotStandalone,
    #[error("it is encrypted")]
    Encrypted,
    #[error("its size is more than {MAX_SIZE}")]
    TooLarge,
}

const QCOW2: &[u8] = b"QFI\xfb";
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"BZh", "compressed with bzip2"),
];
const OTHERS: [(&[u8], &str); 3] =
    [(b"KDMV", "VMDK"), (b"vhdxfile", "VHDX"), (b"<<< Oracle VM VirtualBox", "VDI")];

impl Head {
    /// Parses the first [`HEAD`] bytes (fewer if the file is shorter) of a file of this length.
    pub(crate) fn read(bytes: &[u8], length: Option<u64>) -> Result<Self, Unusable> {
        if bytes.is_empty() {
            return Err(Unusable::Empty);
        }
        if bytes.starts_with(QCOW2) {
            return Ok(Self { format: Format::Qcow2, size: qcow2_size(bytes)? });
        }
        if let Some((_, how)) = COMPRESSED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Err(Unusable::Compressed(how));
        }
        if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Err(Unusable::OtherFormat(name));
        }
        let length = length.ok_or(Unusable::LengthUnknown)?;
        let size = length.checked_next_multiple_of(512).ok_or(Unusable::TooLarge)?;
        Ok(Self { format: Format::Raw, size: limited(size)? })
    }
}

/// Reads the header as described in QEMU's `docs/interop/qcow2.txt`; numbers are big-endian.
fn qcow2_size(bytes: &[u8]) -> Result<Size, Unusable> {
    const EXTERNAL_DATA: u64 = 1 << 2;
    let version = u32::from_be_bytes(field(bytes, 4)?);
    let backing_file = u64::from_be_bytes(field(bytes, 8)?);
    let size = u64::from_be_bytes(field(bytes, 24)?);
    let encryption = u32::from_be_bytes(field(bytes, 32)?);
    let incompatible = match version {
        2 => 0,
        3 => u64::from_be_bytes(field(bytes, 72)?),
        _ => return Err(Unusable::BadHeader),
    };
    if backing_file != 0 || incompatible & EXTERNAL_DATA != 0 {
        return Err(Unusable::NotStandalone);
    }
    if encryption != 0 {
        return Err(Unusable::Encrypted);
    }
    limited(size)
}

fn limited(size: u64) -> Result<Size, Unusable> {
    let size = Size::bytes(size);
    if size > MAX_SIZE { Err(Unusable::TooLarge) } else { Ok(size) }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Unusable> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(Unusable::BadHeader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qcow2(change: impl Fn(&mut [u8])) -> Result<Head, Unusable> {
        let mut bytes = vec![0; HEAD];
        bytes[..4].copy_from_slice(QCOW2);
        bytes[4..8].copy_from_slice(&3u32.to_be_bytes());
        bytes[24..32].copy_from_slice(&(10u64 << 30).to_be_bytes());
        change(&mut bytes);
        Head::read(&bytes, Some(200_000))
    }

    #[test]
    fn a_qcow2_image_has_the_size_in_its_header() {
        assert_eq!(qcow2(|_| {}), Ok(Head { format: Format::Qcow2, size: Size::gib(10) }));
        assert_eq!(qcow2(|bytes| bytes[7] = 4), Err(Unusable::BadHeader));
    }

    #[test]
    fn an_image_that_refers_to_another_file_is_refused() {
        assert_eq!(qcow2(|bytes| bytes[15] = 104), Err(Unusable::NotStandalone));
        assert_eq!(qcow2(|bytes| bytes[79] = 4), Err(Unusable::NotStandalone));
        assert_eq!(qcow2(|bytes| bytes[35] = 1), Err(Unusable::Encrypted));
    }

    #[test]
    fn a_size_that_is_too_large_is_an_error() {
        let raw = |length| Head::read(b"\xeb", Some(length));
        assert_eq!(raw(u64::MAX), Err(Unusable::TooLarge));
        assert_eq!(raw(1 << 60), Err(Unusable::TooLarge));
        assert_eq!(qcow2(|bytes| bytes[24] = 255), Err(Unusable::TooLarge));
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics(
            magic: bool, bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..HEAD),
            length: Option<u64>,
        ) {
            let bytes = if magic { [QCOW2, &bytes].concat() } else { bytes };
            let _ = Head::read(&bytes, length);
        }
    }

    #[test]
    fn other_formats_are_recognized() {
        let read = |bytes: &[u8]| Head::read(bytes, Some(1000));
        assert_eq!(read(b""), Err(Unusable::Empty));
        assert_eq!(read(b"QFI\xfb\0"), Err(Unusable::BadHeader));
        assert_eq!(read(b"\xfd7zXZ\0..."), Err(Unusable::Compressed("compressed with xz")));
        assert_eq!(read(b"KDMV"), Err(Unusable::OtherFormat("VMDK")));
        let raw = Head { format: Format::Raw, size: Size::bytes(1024) };
        assert_eq!(read(b"\xeb\x63\x90"), Ok(raw));
        assert_eq!(Head::read(b"\xeb", None), Err(Unusable::LengthUnknown));
    }
}
