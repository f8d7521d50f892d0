use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builder::ImageBuilder;
use super::context::BuildContext;
use super::error::{BuildErrorKind, InvalidInput};
use super::events::{BuildEventKind, Phase};
use super::policy::PENDING;
use super::ssh_access::ssh_access;
use crate::cloud_init;
use crate::digest::FieldHasher;
use crate::expiry::expires_in;
use crate::guest::{Access, ContainerDelivery, GuestSetup};
use crate::install::{ContainerSource, LoadedContainer};
use crate::ownership::builder_name;
use crate::provider::{
    BuildId, BuildRequirements, BuilderSpec, Capabilities, ContextDelivery, Error, ErrorKind,
    Fingerprint, ImageSpec, InvalidLabel, Labels, LeaseId, Media, ResolvedBuilder, Size,
    UserDataTemplate, keys, validate_value,
};

/// The checked inputs of a build: what would be created, and from what.
pub(super) struct BuildPlan {
    pub(super) requirements: BuildRequirements,
    pub(super) resolved: ResolvedBuilder,
    pub(super) fingerprint: Fingerprint,
    pub(super) delivery: ContainerDelivery,
    /// The user's labels of the image.
    image_labels: Labels,
    container: LoadedContainer,
}

impl BuildPlan {
    /// Checks every input, and asks the provider what it would use. Changes nothing.
    pub(super) async fn new(cx: &BuildContext) -> Result<Self, BuildErrorKind> {
        cx.events.send(BuildEventKind::Phase { phase: Phase::Plan });
        let config = &cx.config;
        let capabilities = cx.provider.capabilities();
        let image_labels = config.image_labels()?;
        config.check_sizes(capabilities)?;
        if let Some(check) = &config.boot_check {
            check.validate(capabilities)?;
        }
        let container = load(config).await?;
        container.warnings().iter().for_each(|warning| cx.events.note(warning));

        let mut requirements = BuildRequirements::new(config.architecture, config.volume_size);
        requirements.root_size = config.root_size;
        let resolved = cx.read(cx.provider.resolve(&requirements)).await?;
        config.check_root(resolved.root_size)?;

        let access = ssh_access(capabilities, None)?;
        if !capabilities.channel && access.is_none() && !config.trusts_power_off {
            return Err(InvalidInput::NoChannel(cx.provider.to_string()).into());
        }
        let delivery = choose_delivery(config, capabilities, cx, &container, access.as_ref())?;
        let fingerprint = fingerprint(config, &container);
        Ok(Self { requirements, resolved, fingerprint, delivery, image_labels, container })
    }

    /// The keys with which the guest of this build is reached over SSH, if it is reached that way.
    pub(super) fn access(
        &self,
        cx: &BuildContext,
        build: &BuildId,
    ) -> Result<Option<Arc<dyn Access>>, BuildErrorKind> {
        let secret = cx.provider.build_secret(build);
        Ok(ssh_access(cx.provider.capabilities(), secret.as_ref())?)
    }

    /// What is probably wrong in the install container.
    pub(super) fn warnings(&self) -> &[String] {
        self.container.warnings()
    }

    /// Whether the guest waits for the upload of its build context.
    pub(super) fn uploads(&self) -> bool {
        matches!(self.delivery, ContainerDelivery::Upload(..))
    }

    /// The labels of a lease: those of the build, and its first phase.
    pub(super) fn lease_labels(&self, cx: &BuildContext, build: &BuildId) -> Labels {
        let phase = Labels::from_iter([(keys::PHASE, Phase::Provision.label())]);
        self.temporary_labels(cx, build).merged(&phase)
    }

    /// The labels of what a build deletes at its end: the time after which a sweep may delete it is
    /// among them.
    pub(super) fn temporary_labels(&self, cx: &BuildContext, build: &BuildId) -> Labels {
        let expires = expires_in(cx.config.deadlines.longest_build());
        self.labels(cx, build).merged(&Labels::from_iter([(keys::EXPIRES, expires)]))
    }

    /// The labels of everything that a build creates. All values are valid: the name was checked, and
    /// the others are made here.
    pub(super) fn labels(&self, cx: &BuildContext, build: &BuildId) -> Labels {
        Labels::from_iter([
            (keys::NAME, cx.config.name.as_str()),
            (keys::FINGERPRINT, self.fingerprint.as_str()),
            (keys::BUILD, build.as_str()),
            (keys::ARCHITECTURE, cx.config.architecture.as_str()),
        ])
    }

    /// The volume and the builder VM.
    pub(super) fn builder_spec(
        &self,
        cx: &BuildContext,
        build: &BuildId,
        access: Option<&Arc<dyn Access>>,
        lease: LeaseId,
    ) -> BuilderSpec {
        let inputs = GuestInputs {
            config: cx.config.clone(),
            capabilities: cx.provider.capabilities().clone(),
            container: self.container.clone(),
            access: access.cloned(),
            build: build.clone(),
        };
        let (delivery, limits) = (self.delivery.clone(), inputs.capabilities.user_data);
        let user_data = UserDataTemplate::new(move |device| {
            let data = inputs.user_data(delivery.clone(), device).map_err(|error| {
                Error::new(ErrorKind::InvalidInput, "make user data").with_source(error)
            })?;
            Ok(if data.as_str().len() <= limits.max_bytes || !limits.base64_gzip {
                data.into_string().into_bytes()
            } else {
                data.gzip_base64().into_bytes()
            })
        });
        let (labels, requirements) = (self.temporary_labels(cx, build), self.requirements.clone());
        let name = builder_name(build);
        let mut spec =
            BuilderSpec::new(name, labels, requirements, self.resolved.clone(), user_data);
        if let ContainerDelivery::Media(archive, _) = &self.delivery {
            spec.media = Some(Media::new(archive.clone()));
        }
        spec.lease = Some(lease);
        spec
    }

    /// The image.
    pub(super) fn image_spec(&self, cx: &BuildContext, build: &BuildId) -> ImageSpec {
        let config = &cx.config;
        let description = config
            .description
            .clone()
            .unwrap_or_else(|| format!("{}, built by cloudd (build {build})", config.name));
        let mut labels = self.image_labels.clone().merged(&self.labels(cx, build));
        if config.boot_check.is_some() {
            labels = labels.merged(&Labels::from_iter([(keys::BOOT_CHECK, PENDING)]));
        }
        ImageSpec::new(&config.name, description, labels, config.architecture)
    }
}

async fn load(config: &ImageBuilder) -> Result<LoadedContainer, BuildErrorKind> {
    let container = config.container.clone();
    let loaded = tokio::task::spawn_blocking(move || container.load()).await;
    let loaded = loaded.map_err(|error| {
        Error::new(ErrorKind::Internal, "read install container").with_source(error)
    })?;
    Ok(loaded.map_err(InvalidInput::from)?)
}

impl ImageBuilder {
    /// The user's labels, checked together with the name, which becomes a label, too.
    fn image_labels(&self) -> Result<Labels, InvalidInput> {
        if self.name.is_empty() || !validate_value(&self.name) {
            return Err(InvalidInput::Name(self.name.clone()));
        }
        let mut labels = Labels::new();
        for (key, value) in &self.labels {
            if key.starts_with(keys::PREFIX) {
                return Err(InvalidLabel::Reserved(key.clone()).into());
            }
            labels.insert(key, value)?;
        }
        Ok(labels)
    }

    fn check_sizes(&self, capabilities: &Capabilities) -> Result<(), InvalidInput> {
        let (size, min, max) = (self.volume_size, capabilities.min_volume, capabilities.max_volume);
        if size < min || size > max {
            return Err(InvalidInput::VolumeSize { size, min, max });
        }
        self.root_size.map_or(Ok(()), |root| self.check_root(root))
    }

    fn check_root(&self, root: Size) -> Result<(), InvalidInput> {
        let volume = self.volume_size;
        if volume > root {
            return Err(InvalidInput::VolumeLargerThanRoot { volume, root });
        }
        Ok(())
    }
}

/// The hash of what the bytes of the image depend on, the same on every machine and in every run.
///
/// The builder's base image, server type and root disk are not among them: the base system is
/// overwritten, and what follows the volume on the root disk is zeros. A new base image or a server
/// type that is sold out therefore makes no new image.
fn fingerprint(config: &ImageBuilder, container: &LoadedContainer) -> Fingerprint {
    let fields = [
        // Changes when the pipeline makes another image of the same inputs, or hashes other inputs.
        "cloudd pipeline 2".to_owned(),
        // An image has to be found under its name.
        config.name.clone(),
        container.fingerprint().to_string(),
        config.architecture.to_string(),
        config.volume_size.as_bytes().to_string(),
    ];
    let hasher = fields.iter().fold(FieldHasher::new(), FieldHasher::field);
    Fingerprint::from_digest(*hasher.finish().as_bytes())
}

/// What the user data of a builder VM are made from, except how the container is delivered.
#[derive(Clone)]
struct GuestInputs {
    config: ImageBuilder,
    capabilities: Capabilities,
    container: LoadedContainer,
    access: Option<Arc<dyn Access>>,
    build: BuildId,
}

impl GuestInputs {
    fn user_data(
        &self,
        delivery: ContainerDelivery,
        volume: &Path,
    ) -> Result<cloud_init::UserData, cloud_init::Error> {
        GuestSetup {
            build: self.build.clone(),
            volume,
            event_port: self.capabilities.event_port.as_deref(),
            entry: self.config.entry,
            container: &self.container,
            delivery,
            debug_user: self.config.debug_user.as_ref(),
            access: self.access.as_deref(),
        }
        .user_data()
    }

    /// The size of the user data as the provider would be given them, in bytes.
    fn user_data_size(&self, delivery: ContainerDelivery) -> Result<usize, InvalidInput> {
        // The device is known only when the volume exists; by-id paths are shorter than this one.
        let device = PathBuf::from(format!("/dev/disk/by-id/{}", "x".repeat(100)));
        let user_data = self.user_data(delivery, &device)?;
        let (plain, limits) = (user_data.as_str().len(), self.capabilities.user_data);
        // Compressed only if it has to be: that takes longer than everything else in a plan.
        if plain <= limits.max_bytes || !limits.base64_gzip {
            return Ok(plain);
        }
        Ok(user_data.sizes().gzip_base64.min(plain))
    }
}

/// Chooses how the install container reaches the guest: in the user data while it is small, since
/// that needs nothing else; then by the first way that the provider names.
fn choose_delivery(
    config: &ImageBuilder,
    capabilities: &Capabilities,
    cx: &BuildContext,
    container: &LoadedContainer,
    access: Option<&Arc<dyn Access>>,
) -> Result<ContainerDelivery, InvalidInput> {
    let inputs = GuestInputs {
        config: config.clone(),
        capabilities: capabilities.clone(),
        container: container.clone(),
        access: access.cloned(),
        build: cx.events.build(),
    };
    let limit = capabilities.user_data.max_bytes;
    let fits = |delivery: ContainerDelivery| {
        let user_data = inputs.user_data_size(delivery.clone())?;
        if user_data > limit {
            let provider = cx.provider.to_string();
            return Err(InvalidInput::UserDataTooLarge { user_data, limit, provider });
        }
        Ok(delivery)
    };
    let archive = match container.source() {
        ContainerSource::Reference(reference) => {
            return fits(ContainerDelivery::Reference(reference.to_string()));
        }
        ContainerSource::Context(context) => context.archive(),
    };
    // A larger archive would not fit the smallest known limit even if it could be compressed to a
    // tenth, and cloud-init takes minutes to read megabytes.
    const INLINE: u64 = 64 * 1024;
    let mut needed = None;
    if archive.len() <= INLINE {
        let delivery = ContainerDelivery::UserData(archive.clone());
        let user_data = inputs.user_data_size(delivery.clone())?;
        if user_data <= limit {
            return Ok(delivery);
        }
        needed = Some(user_data);
    }
    match capabilities.context.first() {
        Some(ContextDelivery::Media { device }) => {
            fits(ContainerDelivery::Media(archive.clone(), device.clone()))
        }
        Some(ContextDelivery::Upload) => {
            fits(ContainerDelivery::Upload(archive.clone(), config.deadlines.upload))
        }
        None => {
            let context = usize::try_from(archive.len()).unwrap_or(usize::MAX);
            Err(InvalidInput::Undeliverable {
                context: Size::bytes(archive.len()),
                // Estimated for an archive that was too large to be encoded: base64.
                user_data: needed.unwrap_or(context.saturating_mul(4) / 3),
                limit,
                provider: cx.provider.to_string(),
            })
        }
    }
}
