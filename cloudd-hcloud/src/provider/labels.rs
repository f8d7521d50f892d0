//! Labels: writing them, and finding by them.

use std::time::Duration;

use cloudd_core::provider::{
    Error, ErrorKind, ImageId, Labels, LeaseId, Resource, ResourceId, ResourceKind, Result,
    Selector, VmId, VolumeId, keys,
};

use super::{Hcloud, image_id, lease, server_id, volume};
use crate::client::{ImageFilter, ServerFilter, SshKeyFilter, VolumeFilter};
use crate::schema::{
    self, ImageType, Label, UpdateImage, UpdateServer, UpdateSshKey, UpdateVolume,
};

impl Hcloud {
    /// Lays labels over those that a resource has. The API only replaces all of them.
    pub(super) async fn merge_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        let client = self.client();
        let over = |existing: schema::Labels| {
            let mut all = existing;
            all.extend(to_hetzner(labels));
            all
        };
        match resource {
            ResourceId::Vm(id) => {
                let id = server_id(id)?;
                let existing = match self.known().server_labels(id) {
                    Some(labels) => labels,
                    None => client.server(id).await?.labels,
                };
                let server =
                    client.update_server(id, &UpdateServer::labels(over(existing))).await?;
                self.known().saw_server(&server);
            }
            ResourceId::Volume(id) => {
                let id = volume::id(id)?;
                let existing = client.volume(id).await?.labels;
                client.update_volume(id, &UpdateVolume::labels(over(existing))).await?;
            }
            ResourceId::Image(id) => {
                let id = image_id(id)?;
                let existing = client.image(id).await?.labels;
                client.update_image(id, &UpdateImage::new().labels(over(existing))).await?;
            }
            ResourceId::Lease(id) => {
                let id = lease::id(id)?;
                let existing = match self.known().lease_labels(id) {
                    Some(labels) => labels,
                    None => client.ssh_key(id).await?.labels,
                };
                let key = client.update_ssh_key(id, &UpdateSshKey::labels(over(existing))).await?;
                self.known().note_lease(&key);
            }
            ResourceId::Other(..) | _ => {
                return Err(Error::new(ErrorKind::Unsupported, "label").with_resource(resource));
            }
        }
        Ok(())
    }

    /// Everything of cloudd's that is selected.
    pub(super) async fn find_labelled(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let (servers, volumes, images, leases) = tokio::try_join!(
            self.found_servers(selector),
            self.found_volumes(selector),
            self.found_images(selector),
            self.found_leases(selector),
        )?;
        let images = images
            .iter()
            .map(|it| Resource::new(ImageId::new(it.id.to_string()), of_hetzner(&it.labels)));
        let mut all = servers;
        all.extend(volumes);
        all.extend(images);
        all.extend(leases);
        all.retain(|resource| selector.selects(resource));
        Ok(all)
    }

    async fn found_servers(&self, selector: &Selector) -> Result<Vec<Resource>> {
        if !selector.takes(ResourceKind::Vm) {
            return Ok(Vec::new());
        }
        let filter = ServerFilter::new().selector(selector_of(selector));
        let servers = self.client().servers(&filter).await?;
        let resource = |it: &schema::Server| {
            Resource::new(VmId::new(it.id.to_string()), of_hetzner(&it.labels))
        };
        Ok(servers.iter().map(resource).collect())
    }

    async fn found_volumes(&self, selector: &Selector) -> Result<Vec<Resource>> {
        if !selector.takes(ResourceKind::Volume) {
            return Ok(Vec::new());
        }
        let filter = VolumeFilter::new().selector(selector_of(selector));
        let volumes = self.client().volumes(&filter).await?;
        let resource = |it: &schema::Volume| {
            Resource::new(VolumeId::new(it.id.to_string()), of_hetzner(&it.labels))
        };
        Ok(volumes.iter().map(resource).collect())
    }

    /// Snapshots, all of cloudd's: builds that look for their images at the same time share one
    /// answer, as they would not if each asked for its own.
    pub(super) async fn found_images(&self, selector: &Selector) -> Result<Vec<schema::Image>> {
        if !selector.takes(ResourceKind::Image) {
            return Ok(Vec::new());
        }
        let filter = ImageFilter::new().kind(ImageType::Snapshot).selector(ours());
        let all = self.client().shared_images(&filter, Duration::ZERO).await?;
        let selected = |it: &&schema::Image| selector.matches(&of_hetzner(&it.labels));
        Ok(all.iter().filter(selected).cloned().collect())
    }

    /// SSH keys, all of cloudd's, for the same reason.
    async fn found_leases(&self, selector: &Selector) -> Result<Vec<Resource>> {
        if !selector.takes(ResourceKind::Lease) {
            return Ok(Vec::new());
        }
        let filter = SshKeyFilter::new().selector(ours());
        let all = self.client().shared_ssh_keys(&filter, Duration::ZERO).await?;
        let resource = |it: &schema::SshKey| {
            Resource::new(LeaseId::new(it.id.to_string()), of_hetzner(&it.labels))
        };
        Ok(all.iter().map(resource).filter(|it| selector.selects(it)).collect())
    }
}

/// The label by which a build's own things are told from others.
pub(super) fn build_label(operation: &str, labels: &Labels) -> Result<Label> {
    let Some(build) = labels.get(keys::BUILD) else {
        return Err(Error::new(ErrorKind::InvalidInput, operation)
            .with_message(format_args!("the label {} is missing", keys::BUILD)));
    };
    Ok(Label::new(keys::BUILD, build)?)
}

/// What selects all that is cloudd's.
fn ours() -> schema::Selector {
    schema::Selector::new().exists(keys::BUILD)
}

fn selector_of(selector: &Selector) -> schema::Selector {
    selector.labels.iter().fold(ours(), |narrow, (key, value)| narrow.equals(key, value))
}

pub(super) fn to_hetzner(labels: &Labels) -> schema::Labels {
    labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(super) fn of_hetzner(labels: &schema::Labels) -> Labels {
    Labels::from_provider(labels.clone())
}
