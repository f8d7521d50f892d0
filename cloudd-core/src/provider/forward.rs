//! Implements [`Provider`] for pointers to a provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    BootSpec, BuildId, BuildRequirements, BuildSecret, BuilderSpec, BuilderVm, Capabilities, Cost,
    Image, ImageId, ImageSpec, Labels, LeaseId, LeaseSpec, Provider, Reporter, ResolvedBuilder,
    Resource, ResourceId, Result, Selector, Size, Vm, VmId,
};
use crate::guest::GuestChannel;

/// Forwards every method, including those with a default: otherwise a pointer would use the default
/// instead of the provider's own implementation.
macro_rules! forward {
    ($($wrapper:ty),*) => {$(
        #[async_trait]
        impl<P: Provider + ?Sized> Provider for $wrapper {
            fn capabilities(&self) -> &Capabilities {
                (**self).capabilities()
            }
            async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
                (**self).resolve(requirements).await
            }
            async fn ensure_base_image(
                &self,
                requirements: &BuildRequirements,
                resolved: &ResolvedBuilder,
                reporter: &Reporter,
            ) -> Result<()> {
                (**self).ensure_base_image(requirements, resolved, reporter).await
            }
            async fn estimate_cost(
                &self,
                requirements: &BuildRequirements,
                resolved: &ResolvedBuilder,
                run_time: Duration,
                image: Size,
            ) -> Result<Option<Cost>> {
                (**self).estimate_cost(requirements, resolved, run_time, image).await
            }
            fn build_secret(&self, build: &BuildId) -> Option<BuildSecret> {
                (**self).build_secret(build)
            }
            async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
                (**self).create_lease(spec).await
            }
            async fn create_builder(
                &self,
                spec: &BuilderSpec,
                reporter: &Reporter,
            ) -> Result<BuilderVm> {
                (**self).create_builder(spec, reporter).await
            }
            async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()> {
                (**self).start_vm(vm, reporter).await
            }
            async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
                (**self).vm(vm).await
            }
            async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
                (**self).wait_vm_off(vm).await
            }
            async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
                (**self).open_channel(vm).await
            }
            async fn create_image(
                &self,
                vm: &VmId,
                spec: &ImageSpec,
                reporter: &Reporter,
            ) -> Result<Image> {
                (**self).create_image(vm, spec, reporter).await
            }
            async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
                (**self).image(image).await
            }
            async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
                (**self).images(selector).await
            }
            async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
                (**self).wait_image(image, reporter).await
            }
            async fn create_vm_from_image(
                &self,
                spec: &BootSpec,
                reporter: &Reporter,
            ) -> Result<Vm> {
                (**self).create_vm_from_image(spec, reporter).await
            }
            async fn console(&self, vm: &VmId) -> Result<Vec<u8>> {
                (**self).console(vm).await
            }
            async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
                (**self).set_labels(resource, labels).await
            }
            async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
                (**self).find(selector).await
            }
            async fn delete(&self, resource: &ResourceId) -> Result<()> {
                (**self).delete(resource).await
            }
        }
    )*};
}

forward!(Arc<P>, Box<P>);
