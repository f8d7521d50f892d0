//! The provider of a command.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::Provider;
use cloudd_examples::hetzner_builder;
use cloudd_hcloud::BaseImage;
use cloudd_hcloud::schema::Addresses;

use crate::cli::{BuildOptions, Cloud, CloudOptions};
use crate::exit::{SET_TOKEN, ToolError};

/// The deadline of each call of a command that only lists or deletes.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);

#[cfg(not(feature = "libvirt"))]
pub(crate) const WITHOUT_LIBVIRT: &str =
    "this cloudd was built without libvirt; build it with --features libvirt";

/// The provider, with the settings of a build if the command is one.
pub(crate) async fn provider(
    cloud: &CloudOptions,
    build: Option<&BuildOptions>,
) -> Result<Arc<dyn Provider>, ToolError> {
    match cloud.on {
        Cloud::Hcloud => hcloud(build),
        #[cfg(feature = "libvirt")]
        Cloud::Libvirt => Ok(Arc::new(libvirt(cloud, build).await?)),
        #[cfg(not(feature = "libvirt"))]
        Cloud::Libvirt => Err(ToolError::input(WITHOUT_LIBVIRT)),
    }
}

fn hcloud(build: Option<&BuildOptions>) -> Result<Arc<dyn Provider>, ToolError> {
    let mut builder =
        hetzner_builder().map_err(|error| match std::env::var_os("HCLOUD_TOKEN") {
            None => ToolError::input(format!("{error}\n{SET_TOKEN}")),
            Some(_) => ToolError::input(error.to_string()),
        })?;
    builder = builder.application(concat!("cloudd-cli/", env!("CARGO_PKG_VERSION")));
    if let Some(build) = build {
        for location in &build.location {
            builder = builder.location(location);
        }
        for server_type in &build.server_type {
            builder = builder.server_type(server_type);
        }
        if build.ipv6_only {
            builder = builder.addresses(Addresses::Ipv6);
        }
        if let Some(base) = &build.base {
            builder = builder.base_image(BaseImage::Name(base.clone()));
        }
    }
    Ok(Arc::new(builder.build()?))
}

/// The libvirt of a command, with the settings of a build if the command is one.
#[cfg(feature = "libvirt")]
pub(crate) async fn libvirt(
    cloud: &CloudOptions,
    build: Option<&BuildOptions>,
) -> Result<cloudd_libvirt::Libvirt, ToolError> {
    use cloudd_libvirt::{BaseImage, Libvirt};
    let mut builder = Libvirt::builder(&cloud.uri).pool(&cloud.pool);
    if let Some(build) = build {
        let base = build.base.as_deref().ok_or_else(|| {
            ToolError::input("--on libvirt needs --base: a disk image with cloud-init and podman")
        })?;
        builder = builder.base_image(BaseImage::path(base));
        if let [architecture] = build.arch[..] {
            builder = builder.architecture(architecture);
        }
    }
    Ok(builder.connect().await?)
}
