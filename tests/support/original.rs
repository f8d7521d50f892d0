//! The pipeline of the original, to measure against: `tests/fixtures/original`.

use cloudd_core::provider::Media;

use crate::containers::Context;
use crate::installer::shell_container;

const CLOUD_CONFIG: &str = include_str!("../fixtures/original/cloud-config.yaml");

/// The container to measure with, and how many bytes it writes: so many MiB and a little at the end
/// of the volume.
///
/// Of the kind that the original was made for. Its context went into user data, 32 KiB of them, so
/// an operating system was not in the context but came while the container ran, as that of Fedora
/// CoreOS, k3OS and openSUSE Leap did from the network. Here it comes from the kernel's random
/// numbers, which neither compress nor look like zeroes.
///
/// # Panics
/// As [`shell_container`].
#[must_use]
pub fn container(mebibytes: u64) -> (Context, u64) {
    let script = format!(
        "set -eu\n\
         volume=$1\n\
         sectors=$(blockdev --getsz \"$volume\")\n\
         dd if=/dev/urandom of=\"$volume\" bs=1M count={mebibytes} conv=notrunc\n\
         dd if=/dev/urandom of=\"$volume\" bs=512 count=1 seek=$((sectors - 1)) conv=notrunc\n\
         sync\n"
    );
    (shell_container(&script), (mebibytes << 20) + 512)
}

/// User data that run the pipeline of the original on a VM of the libvirt provider, and the media
/// with the build context.
///
/// # Panics
/// When the context cannot be packed.
#[must_use]
pub fn pipeline(context: &Context) -> (Vec<u8>, Media) {
    let by_id = "/dev/disk/by-id/virtio-cloudd-";
    let user_data =
        ["root", "volume", "context"].iter().fold(CLOUD_CONFIG.to_owned(), |text, disk| {
            text.replace(&format!("@{}@", disk.to_uppercase()), &format!("{by_id}{disk}"))
        });
    let loaded = context.container().load().expect("a context that can be packed");
    let archive = loaded.context().expect("a build context").archive().clone();
    (user_data.into_bytes(), Media::new(archive))
}
