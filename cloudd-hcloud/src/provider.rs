//! The implementation of [`Provider`]. Every method is implemented in the module of its resource.

use std::time::Duration;

use async_trait::async_trait;
use cloudd_core::provider::{
    BootSpec, BuildId, BuildRequirements, BuildSecret, BuilderSpec, BuilderVm, Capabilities, Cost,
    Image, ImageId, ImageSpec, Labels, LeaseId, LeaseSpec, Provider, Reporter, ResolvedBuilder,
    Resource, ResourceId, Result, Selector, Size, Vm, VmId,
};

use crate::builder::Hcloud;
use crate::convert::parse_id;
use crate::{image, labels};

#[async_trait]
impl Provider for Hcloud {
    fn capabilities(&self) -> &Capabilities {
        self.limits()
    }

    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        self.resolve_builder(requirements).await
    }

    async fn estimate_cost(
        &self,
        requirements: &BuildRequirements,
        resolved: &ResolvedBuilder,
        run_time: Duration,
        image: Size,
    ) -> Result<Option<Cost>> {
        self.build_cost(requirements, resolved, run_time, image).await
    }

    fn build_secret(&self, build: &BuildId) -> Option<BuildSecret> {
        Some(self.derive_build_secret(build))
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        self.create_ssh_key_lease(spec).await
    }

    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        self.create_volume_and_server(spec, reporter).await
    }

    async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()> {
        self.power_on(parse_id(vm)?, reporter).await
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        self.find_vm(parse_id(vm)?).await
    }

    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        self.wait_server_off(parse_id(vm)?).await
    }

    async fn create_image(&self, vm: &VmId, spec: &ImageSpec, _: &Reporter) -> Result<Image> {
        self.create_snapshot(parse_id(vm)?, spec).await
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        let image = self.client().find_image(parse_id(image)?).await?;
        Ok(image.as_ref().map(image::from_hetzner))
    }

    async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        Ok(self.find_images(selector).await?.iter().map(image::from_hetzner).collect())
    }

    async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
        self.wait_snapshot(parse_id(image)?, reporter).await
    }

    async fn create_vm_from_image(&self, spec: &BootSpec, _: &Reporter) -> Result<Vm> {
        self.create_boot_check_server(spec).await
    }

    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        self.merge_labels(resource, labels).await
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        self.find_resources(selector).await
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        match resource {
            ResourceId::Vm(id) => self.delete_server(parse_id(id)?).await,
            ResourceId::Volume(id) => self.delete_volume(parse_id(id)?).await,
            ResourceId::Image(id) => self.delete_image(parse_id(id)?).await,
            ResourceId::Lease(id) => self.delete_lease(parse_id(id)?).await,
            other => Err(labels::unknown_kind("delete", other)),
        }
    }
}
