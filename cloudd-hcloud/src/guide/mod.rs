//! Guides: the cost of a build, and migrating from the Terraform modules.
//!
//! The text is in Markdown files next to this one, for readers of the repository. Guides to install
//! containers, providers and security are in [`cloudd_core::guide`].

// A Markdown file and this module both define some links; the first definition counts. Here a link
// leads to the item, in the file to its source file.

/// What a build costs on Hetzner Cloud, and how to reduce it.
#[doc = include_str!("cost.md")]
pub mod cost {}

/// Migrating from the Terraform modules: every variable and its replacement.
///
/// [`Hcloud::from_env`]: crate::Hcloud::from_env
/// [`Hcloud::builder`]: crate::Hcloud::builder
/// [`HcloudBuilder::base_image`]: crate::HcloudBuilder::base_image
/// [`HcloudBuilder::server_type`]: crate::HcloudBuilder::server_type
/// [`HcloudBuilder::location`]: crate::HcloudBuilder::location
/// [`Token`]: crate::Token
/// [`ImageBuilder::new`]: cloudd_core::ImageBuilder::new
/// [`ImageBuilder::debug_user`]: cloudd_core::ImageBuilder::debug_user
/// [`ReusePolicy::SameName`]: cloudd_core::ReusePolicy::SameName
/// [`ImageBuilder::volume_size`]: cloudd_core::ImageBuilder::volume_size
/// [`ImageBuilder::root_size`]: cloudd_core::ImageBuilder::root_size
/// [`InstallContainer::directory`]: cloudd_core::install::InstallContainer::directory
/// [`FedoraCoreos`]: cloudd_core::install::containers::FedoraCoreos
/// [`K3os`]: cloudd_core::install::containers::K3os
/// [`OpenSuseLeap`]: cloudd_core::install::containers::OpenSuseLeap
/// [`Image::id`]: cloudd_core::provider::Image#structfield.id
/// [`User`]: cloudd_core::cloud_init::User
/// [`User::hashed_password`]: cloudd_core::cloud_init::User::hashed_password
/// [`User::plain_text_password`]: cloudd_core::cloud_init::User::plain_text_password
/// [`User::authorized_key`]: cloudd_core::cloud_init::User::authorized_key
/// [`cloudd_core::cloud_init`]: cloudd_core::cloud_init
#[doc = include_str!("terraform.md")]
pub mod terraform {}
