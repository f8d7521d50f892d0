use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::error::{Cause, InvalidInput};
use super::run::Run;
use super::{ImageBuilder, Phase};
use crate::cloud_init;
use crate::guest::{Access, ContainerDelivery, GuestSetup, Parameters};
use crate::install::{ContainerSource, LoadedContainer};
use crate::provider::{
    BuildId, BuildRequirements, Capabilities, ContextDelivery, Error, ErrorKind, Fingerprint,
    ImageSpec, Labels, ResolvedBuilder, Size, UserDataTemplate, keys, validate_value,
};

/// A build whose inputs are known to work: what would be created, and from what.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) requirements: BuildRequirements,
    pub(super) offer: ResolvedBuilder,
    /// What the image is made from.
    pub(super) fingerprint: Fingerprint,
    /// The user's labels of the image.
    image_labels: Labels,
    pub(super) delivery: ContainerDelivery,
    /// Whether stage 2 can be heard: it speaks only on a port of its own.
    pub(super) hears_stage2: bool,
    /// How the builder VM that this build creates is reached over SSH.
    pub(super) access: Option<Access>,
    container: LoadedContainer,
}

impl Planned {
    /// Checks every input and asks the provider what it would use. Changes nothing.
    pub(super) async fn of(run: &Run<'_>) -> Result<Self, Cause> {
        run.enter(Phase::Plan);
        let builder = run.builder;
        let capabilities = run.provider.capabilities();
        let image_labels = builder.image_labels().map_err(Cause::Input)?;
        builder.check_sizes(capabilities).map_err(Cause::Input)?;
        builder.check_boot_check(capabilities).map_err(Cause::Input)?;
        let container = load(builder).await?;

        let mut requirements = BuildRequirements::new(builder.architecture, builder.volume_size);
        requirements.root_size = builder.root_size;
        let check = run.provider.resolve(&requirements);
        let offer = run.wait("answer of the provider", builder.deadlines.call, check).await?;
        builder.check_root(offer.root_size).map_err(Cause::Input)?;

        let access = Access::new(capabilities, None).map_err(Cause::Provider)?;
        let delivery =
            builder.choose_delivery(run, &container, access.as_ref()).map_err(Cause::Input)?;
        Ok(Self {
            requirements,
            fingerprint: builder.fingerprint(&container, &offer),
            offer,
            image_labels,
            delivery,
            hears_stage2: capabilities.channel && capabilities.event_port.is_some(),
            access,
            container,
        })
    }

    /// The plan for the build that has the lease now: it may be one that another process began, with
    /// keys that this one can make again.
    pub(super) fn settle(mut self, run: &Run<'_>) -> Result<Self, Cause> {
        let secret = run.provider.build_secret(&run.build());
        let access = Access::new(run.provider.capabilities(), secret.as_ref());
        self.access = access.map_err(Cause::Provider)?;
        Ok(self)
    }

    /// Brings in place what builds share.
    pub(super) async fn prepare(&self, run: &Run<'_>) -> Result<(), Cause> {
        let reporter = run.sink.reporter();
        let prepare = run.provider.ensure_base_image(&self.requirements, &self.offer, &reporter);
        run.wait("builder base image", run.builder.deadlines.prepare, prepare).await
    }

    /// Whether its guest is spoken with by keys.
    pub(super) fn speaks_ssh(&self) -> bool {
        self.access.is_some()
    }

    /// Whether its guest waits for its build context.
    pub(super) fn uploads(&self) -> bool {
        matches!(self.delivery, ContainerDelivery::Upload(..))
    }

    /// The labels of everything that a build creates. All values fit: the name is checked, the
    /// others are made here.
    pub(super) fn labels(&self, run: &Run<'_>, build: &BuildId) -> Labels {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires = (now + run.builder.deadlines.longest_build()).as_secs().to_string();
        let labels = [
            (keys::NAME, run.builder.name.as_str()),
            (keys::FINGERPRINT, self.fingerprint.as_str()),
            (keys::BUILD, build.as_str()),
            (keys::ARCHITECTURE, run.builder.architecture.as_str()),
            (keys::EXPIRES, &expires),
        ];
        Labels::from_iter(labels.map(|(key, value)| (key.to_owned(), value.to_owned())))
    }

    /// What the image is to be.
    pub(super) fn image_spec(&self, run: &Run<'_>) -> ImageSpec {
        let (builder, build) = (run.builder, run.build());
        let description = builder
            .description
            .clone()
            .unwrap_or_else(|| format!("{}, built by cloudd (build {build})", builder.name));
        let labels = self.image_labels.clone().merged(&self.labels(run, &build));
        ImageSpec::new(&builder.name, description, labels, builder.architecture)
    }

    /// The user data of the builder VM, in the encoding that the provider takes.
    pub(super) fn user_data_template(&self, run: &Run<'_>) -> UserDataTemplate {
        let (builder, container) = (run.builder.clone(), self.container.clone());
        let (delivery, access) = (self.delivery.clone(), self.access.clone());
        let (build, capabilities) = (run.build(), run.provider.capabilities().clone());
        UserDataTemplate::new(move |volume| {
            let data = builder
                .user_data(
                    build.clone(),
                    &capabilities,
                    &container,
                    delivery.clone(),
                    access.as_ref(),
                    volume,
                )
                .map_err(|error| {
                    Error::new(ErrorKind::InvalidInput, "make user data").with_source(error)
                })?;
            let limits = capabilities.user_data;
            Ok(if data.as_str().len() <= limits.max_bytes || !limits.base64_gzip {
                data.into_string().into_bytes()
            } else {
                data.gzip_base64().into_bytes()
            })
        })
    }
}

async fn load(builder: &ImageBuilder) -> Result<LoadedContainer, Cause> {
    let container = builder.container.clone();
    let loaded = tokio::task::spawn_blocking(move || container.load()).await;
    let loaded = loaded.map_err(|error| {
        Cause::Provider(
            Error::new(ErrorKind::Internal, "read install container").with_source(error),
        )
    })?;
    loaded.map_err(|error| Cause::Input(error.into()))
}

impl ImageBuilder {
    /// The user's labels, and the name as one, checked.
    fn image_labels(&self) -> Result<Labels, InvalidInput> {
        if self.name.is_empty() || !validate_value(&self.name) {
            return Err(InvalidInput::Name(self.name.clone()));
        }
        let mut labels = Labels::new();
        for (key, value) in &self.labels {
            if key.starts_with(keys::PREFIX) {
                return Err(crate::provider::InvalidLabel::Reserved(key.clone()).into());
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

    /// What the image is made from, stable across machines and runs.
    fn fingerprint(&self, container: &LoadedContainer, offer: &ResolvedBuilder) -> Fingerprint {
        let fields = [
            // Changes when the pipeline makes other images of the same inputs.
            "cloudd pipeline 1".to_owned(),
            // Whoever asks for an image of a name wants one that is found by it.
            self.name.clone(),
            container.fingerprint().to_string(),
            offer.base_image.clone(),
            self.architecture.to_string(),
            self.volume_size.as_bytes().to_string(),
            offer.root_size.as_bytes().to_string(),
        ];
        let mut hasher = Sha256::new();
        for field in fields {
            // With its length, so that no two lists of fields look the same.
            hasher.update((field.len() as u64).to_be_bytes());
            hasher.update(field);
        }
        Fingerprint::from_digest(hasher.finalize().into())
    }

    /// Chooses the way of the install container into the guest: user data while it is small, since
    /// that needs nothing else.
    fn choose_delivery(
        &self,
        run: &Run<'_>,
        container: &LoadedContainer,
        access: Option<&Access>,
    ) -> Result<ContainerDelivery, InvalidInput> {
        let capabilities = run.provider.capabilities();
        let limits = capabilities.user_data;
        let size = |delivery| -> Result<usize, InvalidInput> {
            // Devices are known only when they exist; by-id paths are shorter than this.
            let device = PathBuf::from(format!("/dev/disk/by-id/{}", "x".repeat(100)));
            let sizes = self
                .user_data(run.build(), capabilities, container, delivery, access, &device)?
                .sizes();
            let encoded = if limits.base64_gzip { sizes.gzip_base64 } else { sizes.plain };
            Ok(encoded.min(sizes.plain))
        };
        let archive = match container.source() {
            ContainerSource::Reference(reference) => {
                let delivery = ContainerDelivery::Reference(reference.to_string());
                return self.fitting(run, size(delivery.clone())?).map(|()| delivery);
            }
            ContainerSource::Context(context) => context.archive(),
        };
        // A larger one would not fit the smallest limit known to us even if it compressed tenfold,
        // and cloud-init takes minutes to read megabytes.
        const INLINE: u64 = 64 * 1024;
        let mut needed = None;
        if archive.len() <= INLINE {
            let delivery = ContainerDelivery::UserData(archive.clone());
            let user_data = size(delivery.clone())?;
            if user_data <= limits.max_bytes {
                return Ok(delivery);
            }
            needed = Some(user_data);
        }
        let delivery = match capabilities.context.first() {
            Some(ContextDelivery::Media { device }) => {
                ContainerDelivery::Media(archive.clone(), device.clone())
            }
            Some(ContextDelivery::Upload) => {
                ContainerDelivery::Upload(archive.clone(), self.deadlines.upload)
            }
            None => {
                let context = usize::try_from(archive.len()).unwrap_or(usize::MAX);
                return Err(InvalidInput::Undeliverable {
                    context: Size::bytes(archive.len()),
                    // Base64 inside, where the archive was too large to be tried.
                    user_data: needed.unwrap_or(context.saturating_mul(4) / 3),
                    limit: limits.max_bytes,
                    provider: run.provider.to_string(),
                });
            }
        };
        self.fitting(run, size(delivery.clone())?).map(|()| delivery)
    }

    fn fitting(&self, run: &Run<'_>, user_data: usize) -> Result<(), InvalidInput> {
        let limit = run.provider.capabilities().user_data.max_bytes;
        if user_data > limit {
            let provider = run.provider.to_string();
            return Err(InvalidInput::UserDataTooLarge { user_data, limit, provider });
        }
        Ok(())
    }

    fn user_data(
        &self,
        build: BuildId,
        capabilities: &Capabilities,
        container: &LoadedContainer,
        delivery: ContainerDelivery,
        access: Option<&Access>,
        volume: &Path,
    ) -> Result<cloud_init::UserData, cloud_init::Error> {
        let parameters =
            Parameters::new(build, volume.to_owned(), capabilities.event_port.clone(), self.entry);
        let debug_user = self.debug_user.as_ref();
        GuestSetup { parameters, container, delivery, debug_user, access }.user_data()
    }
}
