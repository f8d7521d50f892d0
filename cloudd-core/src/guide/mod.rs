//! Guides: how to write an install container or a provider, and what a build trusts.
//!
//! Their text is in files beside this one, for those who read the repository.

// Where a file names a link that is defined here too, the first definition counts: here the item,
// and the source file for those who read the file itself.

/// How to write an install container: the contract, and what is checked.
///
/// [security]: crate::guide::security
/// [`install::containers`]: crate::install::containers
/// [`InstallContainer::env`]: crate::install::InstallContainer::env
/// [`InstallContainer::MAX_CONTEXT_SIZE`]: crate::install::InstallContainer::MAX_CONTEXT_SIZE
/// [`InstallContainer::build_arg`]: crate::install::InstallContainer::build_arg
/// [`InstallContainer::run_label_inherited`]: crate::install::InstallContainer::run_label_inherited
/// [`InstallContainer::reference`]: crate::install::InstallContainer::reference
/// [`InstallContainer::registry_auth`]: crate::install::InstallContainer::registry_auth
/// [`Preview`]: crate::build::Preview
/// [`ImageBuilder::volume_size`]: crate::ImageBuilder::volume_size
/// [`BuildError`]: crate::BuildError
#[doc = include_str!("install_containers.md")]
pub mod install_containers {}

/// How to add a cloud.
///
/// [`Provider`]: crate::provider::Provider
/// [`Capabilities`]: crate::provider::Capabilities
/// [`Capabilities::new`]: crate::provider::Capabilities::new
/// [`Capabilities::event_port`]: crate::provider::Capabilities::event_port
/// [`ContextDelivery::Media`]: crate::provider::ContextDelivery::Media
/// [`UserDataLimits::unlimited`]: crate::provider::UserDataLimits::unlimited
/// [`Stage2Entry`]: crate::guest::Stage2Entry
/// [`ResolvedBuilder`]: crate::provider::ResolvedBuilder
/// [`Vm::started`]: crate::provider::Vm::started
/// [Boot is silent: where to look]: crate::guide::boot_is_silent
/// [page on the guest side]: https://github.com/cloudd-rs/cloudd/blob/main/cloudd-core/assets/README.md
/// [`Memory`]: crate::memory::Memory
/// [`Error`]: crate::provider::Error
/// [`ErrorKind`]: crate::provider::ErrorKind
#[cfg_attr(
    feature = "testing",
    doc = "[`Faulty`]: crate::testing::Faulty
[`Fixture`]: crate::testing::Fixture
[`Fixture::power_off`]: crate::testing::Fixture::power_off
[`Fixture::protect_image`]: crate::testing::Fixture::protect_image
"
)]
#[cfg_attr(
    not(feature = "testing"),
    doc = "[`Faulty`]: crate::guide::provider#faults
[`Fixture`]: crate::guide::provider#the-contract-suite
[`Fixture::power_off`]: crate::guide::provider#the-contract-suite
[`Fixture::protect_image`]: crate::guide::provider#the-contract-suite
"
)]
///
#[doc = include_str!("provider.md")]
pub mod provider {}

/// Why a build receives no event of its guest, in the order of the boot.
///
/// [`OnFailure::Keep`]: crate::OnFailure::Keep
/// [`Capabilities::event_port`]: crate::provider::Capabilities::event_port
/// [`Capabilities::ssh`]: crate::provider::Capabilities::ssh
#[doc = include_str!("boot_is_silent.md")]
pub mod boot_is_silent {}

/// Every call that deletes something, and what protects the rest.
///
/// [`ErrorKind::Protected`]: crate::provider::ErrorKind::Protected
/// [`OnBootCheckFailure::Keep`]: crate::build::OnBootCheckFailure::Keep
/// [`ReusePolicy::Replace`]: crate::build::ReusePolicy::Replace
/// [`ImageBuilder::keep_newest`]: crate::ImageBuilder::keep_newest
/// [`retention::keep_newest`]: crate::retention::keep_newest
/// [`Sweep::run`]: crate::sweep::Sweep::run
#[doc = include_str!("deletion.md")]
pub mod deletion {}

/// What a build trusts, what it discloses, and what an image can contain.
///
/// [deletion]: crate::guide::deletion
/// [`ImageBuilder::trust_power_off`]: crate::ImageBuilder::trust_power_off
/// [`BootCheck`]: crate::BootCheck
/// [`ErrorKind::Untrusted`]: crate::provider::ErrorKind::Untrusted
/// [`ImageBuilder::debug_user`]: crate::ImageBuilder::debug_user
/// [`OnFailure::Keep`]: crate::OnFailure::Keep
#[doc = include_str!("security.md")]
pub mod security {}
