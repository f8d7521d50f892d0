//! Labels: writing them, and finding by them.

use cloudd_core::provider::{
    Error, ErrorKind, ImageId, Labels, Resource, ResourceId, Result, Selector, VmId, VolumeId, keys,
};

use super::{Hcloud, image_id, server_id, volume};
use crate::client::{ImageFilter, ServerFilter, SshKeyFilter, VolumeFilter};
use crate::schema::{self, ImageType, Label, UpdateImage, UpdateServer, UpdateVolume};

/// The kind of an SSH key among [`ResourceId::Other`].
pub(super) const SSH_KEY: &str = "SSH key";

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
            ResourceId::Other(..) | _ => {
                return Err(Error::new(ErrorKind::Unsupported, "label").on(resource));
            }
        }
        Ok(())
    }

    /// Everything of cloudd's that is selected.
    pub(super) async fn find_labelled(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let wanted = selector_of(selector);
        let client = self.client();
        let of_servers = ServerFilter::new().selector(wanted.clone());
        let of_volumes = VolumeFilter::new().selector(wanted.clone());
        let of_images = ImageFilter::new().kind(ImageType::Snapshot).selector(wanted.clone());
        let of_keys = SshKeyFilter::new().selector(wanted);
        let (servers, volumes, images, ssh_keys) = tokio::try_join!(
            client.servers(&of_servers),
            client.volumes(&of_volumes),
            client.images(&of_images),
            client.ssh_keys(&of_keys),
        )?;
        let servers = servers
            .iter()
            .map(|it| Resource::new(VmId::new(it.id.to_string()), of_hetzner(&it.labels)));
        let volumes = volumes
            .iter()
            .map(|it| Resource::new(VolumeId::new(it.id.to_string()), of_hetzner(&it.labels)));
        let images = images
            .iter()
            .map(|it| Resource::new(ImageId::new(it.id.to_string()), of_hetzner(&it.labels)));
        let ssh_keys = ssh_keys.iter().map(|it| {
            let id = ResourceId::Other(SSH_KEY.to_owned(), it.id.to_string());
            Resource::new(id, of_hetzner(&it.labels))
        });
        let all = servers.chain(volumes).chain(images).chain(ssh_keys);
        Ok(all.filter(|resource| selector.matches(&resource.labels)).collect())
    }
}

/// The label by which a build's own things are told from others.
pub(super) fn build_label(operation: &str, labels: &Labels) -> Result<Label> {
    let Some(build) = labels.value(keys::BUILD) else {
        return Err(Error::new(ErrorKind::InvalidInput, operation)
            .message(format_args!("the label {} is missing", keys::BUILD)));
    };
    Ok(Label::new(keys::BUILD, build)?)
}

/// What selects all of a build.
pub(super) fn of_build(build: &str) -> schema::Selector {
    schema::Selector::new().equals(keys::BUILD, build)
}

fn selector_of(selector: &Selector) -> schema::Selector {
    let all = schema::Selector::new().exists(keys::BUILD);
    selector.labels.iter().fold(all, |narrow, (key, value)| narrow.equals(key, value))
}

pub(super) fn to_hetzner(labels: &Labels) -> schema::Labels {
    labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(super) fn of_hetzner(labels: &schema::Labels) -> Labels {
    Labels::from_provider(labels.clone())
}
