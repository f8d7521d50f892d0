//! The [`Provider`] trait that a cloud implements so that images can be built on it, its contract, and
//! the types of its arguments and results.
//!
//! Differences between clouds are data ([`Capabilities`]), never a test for a provider's name.
//! The contract suite (feature `testing`, [`crate::testing`]) checks an implementation;
//! [`crate::memory::Memory`] is the reference implementation.

mod capabilities;
mod contract;
mod cost;
mod error;
mod forward;
mod ids;
mod labels;
mod reporter;
mod resources;
mod secret;
mod size;
mod specs;

pub use capabilities::{Capabilities, ContextDelivery, UserDataLimits};
pub use contract::Provider;
pub use cost::Cost;
pub use error::{Error, ErrorKind, Result};
pub use ids::{
    BuildId, Fingerprint, ImageId, InvalidName, LeaseId, ResourceId, ResourceKind, VmId, VolumeId,
};
pub use labels::{InvalidLabel, Labels, Selector, keys, validate_value};
pub use reporter::{Report, Reporter};
pub use resources::{
    Architecture, BuilderVm, Image, ImageStatus, PowerState, Resource, Vm, Volume,
};
pub use secret::BuildSecret;
pub use size::Size;
pub use specs::{
    BootSpec, BuildRequirements, BuilderSpec, ImageSpec, LeaseSpec, Media, ResolvedBuilder,
    UserDataTemplate,
};
