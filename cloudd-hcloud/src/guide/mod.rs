//! Guides: coming from the Terraform modules, and what a build costs.
//!
//! Their text is in files beside this one, for those who read the repository. How to write an
//! install container or a provider, and what a build trusts: [`cloudd_core::guide`].

// Where a file names a link that is defined here too, the first definition counts: here the item,
// and the source file for those who read the file itself.

/// What a build costs on Hetzner Cloud, and what makes it cost less.
#[doc = include_str!("cost.md")]
pub mod cost {}

/// Coming from the Terraform modules: every variable, and what became of it.
///
/// [`Hcloud::from_env`]: crate::Hcloud::from_env
/// [`Hcloud::builder`]: crate::Hcloud::builder
/// [`HcloudBuilder::base_image`]: crate::HcloudBuilder::base_image
/// [`HcloudBuilder::server_type`]: crate::HcloudBuilder::server_type
/// [`HcloudBuilder::location`]: crate::HcloudBuilder::location
/// [`Token`]: crate::Token
/// [`ImageBuilder::new`]: cloudd_core::build::ImageBuilder::new
/// [`ImageBuilder::debug_user`]: cloudd_core::build::ImageBuilder::debug_user
/// [`ReusePolicy::SameName`]: cloudd_core::build::ReusePolicy::SameName
/// [`ImageBuilder::volume_size`]: cloudd_core::build::ImageBuilder::volume_size
/// [`ImageBuilder::root_size`]: cloudd_core::build::ImageBuilder::root_size
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
