//! Labels: conversion, changes, and finding resources by them.

use std::time::Duration;

use cloudd_core::provider::{
    Error, ErrorKind, ImageId, Labels, LeaseId, Resource, ResourceId, ResourceKind, Result,
    Selector, VmId, VolumeId, keys,
};

use crate::builder::Hcloud;
use crate::client::{ImageFilter, ServerFilter, SshKeyFilter, VolumeFilter};
use crate::convert::parse_id;
use crate::schema::{self, ImageType, Label, ServerId, SshKeyId};

impl Hcloud {
    /// Merges `labels` into the labels of a resource. The API can only replace all labels at once, so
    /// the current ones are read first, except those of a lease of this process.
    pub(crate) async fn merge_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        let client = self.client();
        let merged = |mut all: schema::Labels| {
            all.extend(to_hetzner(labels));
            all
        };
        match resource {
            ResourceId::Vm(id) => {
                let id: ServerId = parse_id(id)?;
                let all = merged(client.server(id).await?.labels);
                client.set_server_labels(id, &all).await?;
            }
            ResourceId::Volume(id) => {
                let id: schema::VolumeId = parse_id(id)?;
                let all = merged(client.volume(id).await?.labels);
                client.set_volume_labels(id, &all).await?;
            }
            ResourceId::Image(id) => {
                let id: schema::ImageId = parse_id(id)?;
                let all = merged(client.image(id).await?.labels);
                client.set_image_labels(id, &all).await?;
            }
            ResourceId::Lease(id) => {
                let id: SshKeyId = parse_id(id)?;
                let hint = self.hints().leases.get(&id).cloned();
                let existing = match hint {
                    Some(labels) => labels,
                    None => client.ssh_key(id).await?.labels,
                };
                let key = client.set_ssh_key_labels(id, &merged(existing)).await?;
                self.hints().leases.insert(key.id, key.labels);
            }
            other => return Err(unknown_kind("set labels", other)),
        }
        Ok(())
    }

    /// All managed resources that the selector matches.
    pub(crate) async fn find_resources(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let (servers, volumes, images, leases) = tokio::try_join!(
            self.find_servers(selector),
            self.find_volumes(selector),
            self.find_images(selector),
            self.find_leases(selector),
        )?;
        let servers =
            servers.iter().map(|it| resource(VmId::new(it.id.to_string()), &it.name, &it.labels));
        let volumes = volumes
            .iter()
            .map(|it| resource(VolumeId::new(it.id.to_string()), &it.name, &it.labels));
        // A snapshot has a description and no name.
        let images =
            images.iter().map(|it| resource(ImageId::new(it.id.to_string()), "", &it.labels));
        let leases =
            leases.iter().map(|it| resource(LeaseId::new(it.id.to_string()), &it.name, &it.labels));
        let all = servers.chain(volumes).chain(images).chain(leases);
        Ok(all.filter(|it| selector.selects(it)).collect())
    }

    async fn find_servers(&self, selector: &Selector) -> Result<Vec<schema::Server>> {
        if !selector.takes(ResourceKind::Vm) {
            return Ok(Vec::new());
        }
        let filter = ServerFilter::new().selector(selector_to_hetzner(selector));
        Ok(self.client().servers(&filter).await?)
    }

    async fn find_volumes(&self, selector: &Selector) -> Result<Vec<schema::Volume>> {
        if !selector.takes(ResourceKind::Volume) {
            return Ok(Vec::new());
        }
        let filter = VolumeFilter::new().selector(selector_to_hetzner(selector));
        Ok(self.client().volumes(&filter).await?)
    }

    /// The snapshots that the selector matches. All managed snapshots are listed and filtered here,
    /// because builds that look for their images at the same time can then share one request.
    pub(crate) async fn find_images(&self, selector: &Selector) -> Result<Vec<schema::Image>> {
        if !selector.takes(ResourceKind::Image) {
            return Ok(Vec::new());
        }
        let filter = ImageFilter::new().kind(ImageType::Snapshot).selector(managed());
        let all = self.client().cached_images(&filter, Duration::ZERO).await?;
        let selected = |it: &&schema::Image| selector.matches(&from_hetzner(&it.labels));
        Ok(all.iter().filter(selected).cloned().collect())
    }

    /// All leases, for the same reason.
    async fn find_leases(&self, selector: &Selector) -> Result<Vec<schema::SshKey>> {
        if !selector.takes(ResourceKind::Lease) {
            return Ok(Vec::new());
        }
        let filter = SshKeyFilter::new().selector(managed());
        let all = self.client().cached_ssh_keys(&filter, Duration::ZERO).await?;
        Ok(all.to_vec())
    }
}

fn resource(id: impl Into<ResourceId>, name: &str, labels: &schema::Labels) -> Resource {
    Resource::new(id, name, from_hetzner(labels))
}

/// The label `key`, which must be among `labels`.
pub(crate) fn required(operation: &str, labels: &Labels, key: &str) -> Result<Label> {
    let Some(value) = labels.get(key) else {
        return Err(Error::new(ErrorKind::InvalidInput, operation)
            .with_message(format_args!("the label {key} is missing")));
    };
    Ok(Label::new(key, value)?)
}

pub(crate) fn unknown_kind(operation: &str, resource: &ResourceId) -> Error {
    Error::new(ErrorKind::Unsupported, operation)
        .with_resource(resource)
        .with_message("Hetzner Cloud has no resources of this kind")
}

pub(crate) fn to_hetzner(labels: &Labels) -> schema::Labels {
    labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

pub(crate) fn from_hetzner(labels: &schema::Labels) -> Labels {
    labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// Matches every managed resource.
fn managed() -> schema::Selector {
    schema::Selector::new().exists(keys::BUILD)
}

fn selector_to_hetzner(selector: &Selector) -> schema::Selector {
    selector.labels.iter().fold(managed(), |narrow, (key, value)| narrow.equals(key, value))
}
