//! The provider that the command line names.

use std::sync::Arc;

use cloudd_core::provider::Provider;
use cloudd_examples::hetzner_builder;
use cloudd_hcloud::BaseImage;

use crate::cli::{Build, Cloud, Place};
use crate::exit::{NO_TOKEN, Trouble};

/// The provider; with what a build needs, where there is to be one.
pub(crate) async fn provider(
    place: &Place,
    build: Option<&Build>,
) -> Result<Arc<dyn Provider>, Trouble> {
    match place.on {
        Cloud::Hcloud => hcloud(build),
        Cloud::Libvirt => libvirt(place, build).await,
    }
}

fn hcloud(build: Option<&Build>) -> Result<Arc<dyn Provider>, Trouble> {
    let mut builder =
        hetzner_builder().map_err(|error| match std::env::var_os("HCLOUD_TOKEN") {
            None => Trouble::input(format!("{error}\n{NO_TOKEN}")),
            Some(_) => Trouble::input(error.to_string()),
        })?;
    builder = builder.application(concat!("cloudd-cli/", env!("CARGO_PKG_VERSION")));
    if let Some(build) = build {
        for location in &build.location {
            builder = builder.location(location);
        }
        for server_type in &build.server_type {
            builder = builder.server_type(server_type);
        }
        if let Some(base) = &build.base {
            builder = builder.base_image(BaseImage::Name(base.clone()));
        }
    }
    Ok(Arc::new(builder.build()?))
}

#[cfg(feature = "libvirt")]
async fn libvirt(place: &Place, build: Option<&Build>) -> Result<Arc<dyn Provider>, Trouble> {
    use cloudd_libvirt::{BaseImage, Libvirt};
    let mut builder = Libvirt::builder(&place.uri).pool(&place.pool);
    if let Some(build) = build {
        let base = build.base.as_deref().ok_or_else(|| {
            Trouble::input("--on libvirt needs --base: a disk image with cloud-init and podman")
        })?;
        builder = builder.base_image(BaseImage::path(base));
        if let [architecture] = build.arch[..] {
            builder = builder.architecture(architecture);
        }
    }
    Ok(Arc::new(builder.connect().await?))
}

#[cfg(not(feature = "libvirt"))]
async fn libvirt(_: &Place, _: Option<&Build>) -> Result<Arc<dyn Provider>, Trouble> {
    Err(Trouble::input("this cloudd was built without libvirt; build it with --features libvirt"))
}
