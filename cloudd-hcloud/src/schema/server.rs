//! Servers.

use serde::{Deserialize, Serialize};

use super::label::check_labels;
use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;
use super::rules::check_server_name;
use super::{
    Image, Labels, Location, Protection, PublicNet, ServerId, ServerType, Timestamp, VolumeId,
};
use crate::Error;

/// A server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Server {
    /// The id.
    pub id: ServerId,
    /// The name, unique in the project.
    pub name: String,
    /// The power state and what is being done to it.
    pub status: ServerStatus,
    /// When it was created.
    #[serde(default, deserialize_with = "or_none")]
    pub created: Option<Timestamp>,
    /// Public addresses.
    #[serde(default, deserialize_with = "or_default")]
    pub public_net: PublicNet,
    /// Its type.
    #[serde(default, deserialize_with = "or_none")]
    pub server_type: Option<ServerType>,
    /// Where it stands.
    #[serde(default, deserialize_with = "or_none")]
    pub location: Option<Location>,
    /// What its disk was made of; absent when that image is gone.
    #[serde(default, deserialize_with = "or_none")]
    pub image: Option<Image>,
    /// An action works on it, and others are refused.
    #[serde(default, deserialize_with = "or_default")]
    pub locked: bool,
    /// Deletion protection.
    #[serde(default, deserialize_with = "or_default")]
    pub protection: Protection,
    /// The labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    /// Attached volumes.
    #[serde(default, deserialize_with = "or_default")]
    pub volumes: Vec<VolumeId>,
    /// Root disk, in GB.
    #[serde(default, deserialize_with = "or_default")]
    pub primary_disk_size: f64,
}

open_enum! {
    /// The state of a server.
    pub enum ServerStatus {
        Running = "running",
        Initializing = "initializing",
        Starting = "starting",
        Stopping = "stopping",
        Off = "off",
        Deleting = "deleting",
        Migrating = "migrating",
        Rebuilding = "rebuilding",
        /// The API's own word, not one of this crate.
        Unknown = "unknown",
    }
}

/// `PUT /servers/{id}`: what is not set stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpdateServer {
    /// The name, unique in the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Replaces the whole set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
}

impl UpdateServer {
    /// Replaces all labels.
    #[must_use]
    pub fn labels(labels: Labels) -> Self {
        Self { name: None, labels: Some(labels) }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.name.as_deref().map_or(Ok(()), check_server_name)?;
        self.labels.as_ref().map_or(Ok(()), check_labels)
    }
}
