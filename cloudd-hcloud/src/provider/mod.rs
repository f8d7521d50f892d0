//! Hetzner Cloud as a cloud to build images on.

mod architecture;
mod base;
mod builder;
mod catalog;
mod choice;
mod cost;
mod image;
mod known;
mod labels;
mod lease;
mod place;
mod start;
mod vm;
mod volume;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudd_core::guest::GuestChannel;
use cloudd_core::provider::{
    BootSpec, BuildId, BuildRequirements, BuildSecret, Capabilities, Cost, Error, ErrorKind, Image,
    ImageId, ImageSpec, Labels, LeaseId, LeaseSpec, Provider, Reporter, ResolvedBuilder, Resource,
    ResourceId, Result, Selector, Size, Vm, VmId, VmSpec, Volume, VolumeSpec,
};

pub use self::base::BaseImage;
pub use self::builder::HcloudBuilder;
pub use self::start::ServerSpec;

use self::builder::Config;
use self::catalog::Catalog;
use self::known::Known;
use crate::Client;

/// A project of Hetzner Cloud. Clones share connection, quota and questions: use one for all
/// builds.
#[derive(Clone)]
pub struct Hcloud(Arc<Inner>);

struct Inner {
    client: Client,
    config: Config,
    capabilities: Capabilities,
    catalog: Catalog,
    known: Known,
}

/// How long an action of Hetzner's may take before something is wrong, at Hetzner.
const ACTION: Duration = Duration::from_secs(15 * 60);

/// Where the caller has the deadline.
const NO_DEADLINE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Hcloud {
    /// The client underneath, for what this provider does not do.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    fn config(&self) -> &Config {
        &self.0.config
    }

    fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    fn known(&self) -> &Known {
        &self.0.known
    }
}

impl fmt::Display for Hcloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hetzner Cloud")
    }
}

impl fmt::Debug for Hcloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hcloud").field("config", self.config()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Provider for Hcloud {
    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    async fn check(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        self.offer(requirements).await
    }

    async fn cost(
        &self,
        requirements: &BuildRequirements,
        offer: &ResolvedBuilder,
        run_time: Duration,
        image: Size,
    ) -> Result<Option<Cost>> {
        self.cost_of(requirements, offer, run_time, image).await
    }

    fn secret(&self, build: &BuildId) -> Option<BuildSecret> {
        Some(self.build_secret(build))
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        self.new_lease(spec).await
    }

    async fn create_volume(&self, spec: &VolumeSpec, _: &Reporter) -> Result<Volume> {
        self.new_volume(spec).await
    }

    async fn create_vm(&self, spec: &VmSpec, _: &Reporter) -> Result<Vm> {
        self.new_server(spec).await
    }

    async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()> {
        self.power_on(server_id(vm)?, reporter).await
    }

    async fn stop_vm(&self, vm: &VmId) -> Result<()> {
        self.power_off(server_id(vm)?).await
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        Ok(self.find_server(server_id(vm)?).await?.map(|server| vm::of(&server)))
    }

    async fn was_started(&self, vm: &VmId) -> Result<Option<bool>> {
        self.server_was_started(server_id(vm)?).await
    }

    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        self.server_off(server_id(vm)?).await
    }

    async fn open_channel(&self, _: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
        // None of our own: the builder speaks SSH, as `Capabilities::ssh` says.
        Ok(None)
    }

    async fn create_image(&self, vm: &VmId, spec: &ImageSpec, _: &Reporter) -> Result<Image> {
        self.snapshot(server_id(vm)?, spec).await
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        Ok(self.client().find_image(image_id(image)?).await?.map(|image| image::of(&image)))
    }

    async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        Ok(self.found_images(selector).await?.iter().map(image::of).collect())
    }

    async fn create_vm_from_image(&self, spec: &BootSpec, _: &Reporter) -> Result<Vm> {
        self.new_server_from_image(spec).await
    }

    async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
        self.available_image(image_id(image)?, reporter).await
    }

    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        self.merge_labels(resource, labels).await
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        self.find_labelled(selector).await
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        match resource {
            ResourceId::Vm(id) => self.delete_server(server_id(id)?).await,
            ResourceId::Volume(id) => self.delete_volume(volume::id(id)?).await,
            ResourceId::Image(id) => self.delete_image(image_id(id)?).await,
            ResourceId::Lease(id) => self.delete_lease(lease::id(id)?).await,
            other => Err(Error::new(ErrorKind::InvalidInput, "delete")
                .with_resource(other)
                .with_message("this provider creates no such thing")),
        }
    }
}

fn server_id(id: &VmId) -> Result<crate::schema::ServerId> {
    parse("find server", id.as_str())
}

fn image_id(id: &ImageId) -> Result<crate::schema::ImageId> {
    parse("find image", id.as_str())
}

/// An id of Hetzner's. The core has them as text.
fn parse<I: std::str::FromStr>(operation: &str, id: &str) -> Result<I> {
    id.parse().map_err(|_| {
        Error::new(ErrorKind::InvalidInput, operation)
            .with_resource(id)
            .with_message("ids of Hetzner Cloud are numbers")
    })
}
