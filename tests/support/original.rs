//! The pipeline of the original, to measure against: `tests/fixtures/original`.

use cloudd_core::provider::Media;

use crate::containers::Context;

const CLOUD_CONFIG: &str = include_str!("../fixtures/original/cloud-config.yaml");

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
