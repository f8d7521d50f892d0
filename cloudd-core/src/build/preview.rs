//! What a build would do, without doing it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::builder::ImageBuilder;
use super::context::BuildContext;
use super::error::{BuildError, BuildErrorKind};
use super::events::{EventSink, Phase};
use super::plan::BuildPlan;
use super::policy::ReusePolicy;
use super::reuse;
use crate::expiry;
use crate::guest::ContainerDelivery;
use crate::lease::{self, LeaseObserver, LeaseState};
use crate::provider::{
    Architecture, Cost, Fingerprint, Image, ImageId, ImageStatus, Provider, ResourceId,
    ResourceKind, Size, keys,
};
use crate::retention;
use crate::text::{human_duration, sanitize_untrusted};

/// The longest text of the provider in a preview, in bytes.
const MAX_TEXT: usize = 4096;

/// What [`ImageBuilder::build`] would do, in order, and what it would cost. Other programs that use
/// the same cloud can change this until the build runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Preview {
    /// The image's name.
    pub name: String,
    /// Its architecture.
    pub architecture: Architecture,
    /// The name of the provider.
    pub provider: String,
    /// The hash of what the image is made from.
    pub fingerprint: Fingerprint,
    /// The builder base image.
    pub base: String,
    /// The size of the build context that is sent, packed; 0 if an image reference is pulled.
    pub context: Size,
    /// The notes that a build would send, too: what is probably wrong in the install container although
    /// podman accepts it ([`LoadedContainer::warnings`](crate::install::LoadedContainer::warnings)), and
    /// that the disk of the image that is reused is larger than that of a new one.
    pub notes: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<PreviewStep>,
    /// The duration of a build whose install container takes no time; `None` if the provider does
    /// not know it.
    pub time: Option<Duration>,
    /// The cost, if the provider has prices. That of the image is the maximum: as if the whole volume
    /// were written and nothing could be compressed.
    pub cost: Option<Cost>,
}

/// A step that a build would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PreviewStep {
    /// Return this image; nothing else is done.
    Reuse {
        /// Its id.
        image: String,
    },
    /// Wait for another process that makes the image, and return its image.
    Wait {
        /// The build of that process.
        build: String,
        /// Its phase.
        phase: String,
    },
    /// Resume the build of a process that died.
    Resume {
        /// The build.
        build: String,
        /// The phase in which the process died.
        phase: String,
    },
    /// Create a resource.
    Create {
        /// Its kind.
        kind: ResourceKind,
        /// The size of its disk, if it has one.
        size: Option<Size>,
    },
    /// Start a VM from the image and run the readiness probe.
    BootCheck,
    /// Delete what the build has created except the image.
    TearDown,
    /// Delete an image that the new one replaces.
    Delete {
        /// The image.
        resource: ResourceId,
    },
}

impl ImageBuilder {
    /// Says what [`build`](Self::build) would do. Only reads: nothing is created, changed, downloaded
    /// or deleted.
    ///
    /// # Errors
    /// As [`build`](Self::build), for inputs that cannot work and errors of the provider.
    pub async fn preview<P: Provider + Clone>(&self, provider: &P) -> Result<Preview, BuildError> {
        let events = EventSink::new(&self.name, 0, None);
        let provider = Arc::new(provider.clone());
        let cx = BuildContext::new(self.clone(), provider, events, CancellationToken::new());
        let failed = |kind| BuildError::new(&self.name, cx.events.build(), Phase::Plan, kind);
        preview(&cx).await.map_err(failed)
    }
}

async fn preview(cx: &BuildContext) -> Result<Preview, BuildErrorKind> {
    let plan = BuildPlan::new(cx).await?;
    let resolved = &plan.resolved;
    let image = reuse::find_image(cx, &plan).await?;
    let time = resolved.build_time.filter(|_| image.is_none());
    let (mut steps, mut notes, mut cost) = (Vec::new(), plan.warnings().to_vec(), None);
    match image {
        Some(image) => {
            notes.extend(reuse::larger_disk(&plan, &image));
            steps.push(PreviewStep::Reuse { image: image.id.to_string() });
        }
        None => {
            steps.extend(build_steps(cx, &plan).await?);
            steps.extend(deletions(cx, &plan).await?);
            if let Some(time) = time {
                let (requirements, size) = (&plan.requirements, plan.requirements.volume_size);
                let estimate = cx.provider.estimate_cost(requirements, resolved, time, size);
                cost = cx.wait("prices", cx.config.deadlines.call, estimate).await?;
            }
        }
    }
    Ok(Preview {
        name: cx.config.name.clone(),
        architecture: cx.config.architecture,
        provider: cx.provider.to_string(),
        fingerprint: plan.fingerprint.clone(),
        base: sanitize_untrusted(&resolved.base_image, MAX_TEXT),
        context: context_size(&plan.delivery),
        notes,
        steps,
        time,
        cost,
    })
}

/// The steps that lead to the image.
async fn build_steps(
    cx: &BuildContext,
    plan: &BuildPlan,
) -> Result<Vec<PreviewStep>, BuildErrorKind> {
    let terms = cx.lease_terms(&plan.fingerprint);
    let leases = cx.read(lease::list(cx.provider.as_ref(), &terms.selector)).await?;
    let label = |key| {
        let value = leases.last().map(|lease| lease.label(key)).unwrap_or_default();
        sanitize_untrusted(value, MAX_TEXT)
    };
    let (build, phase) = (label(keys::BUILD), label(keys::PHASE));
    let create = |kind, size| PreviewStep::Create { kind, size };
    let mut steps = match LeaseObserver::default().observe(&leases) {
        LeaseState::Held => return Ok(vec![PreviewStep::Wait { build, phase }]),
        LeaseState::Expired => vec![PreviewStep::Resume { build, phase }],
        LeaseState::Unheld => vec![
            create(ResourceKind::Lease, None),
            create(ResourceKind::Volume, Some(plan.requirements.volume_size)),
            create(ResourceKind::Vm, Some(plan.resolved.root_size)),
        ],
    };
    steps.push(create(ResourceKind::Image, Some(plan.resolved.root_size)));
    if cx.config.boot_check.is_some() {
        steps.push(PreviewStep::BootCheck);
    }
    steps.push(PreviewStep::TearDown);
    Ok(steps)
}

/// The images that a new one replaces.
async fn deletions(
    cx: &BuildContext,
    plan: &BuildPlan,
) -> Result<Vec<PreviewStep>, BuildErrorKind> {
    let mut old: Vec<Image> = Vec::new();
    if cx.config.reuse == ReusePolicy::Replace {
        old.extend(reuse::same_inputs(cx, plan).await?);
    }
    if let Some(keep) = cx.config.keep_newest {
        let (name, architecture) = (&cx.config.name, cx.config.architecture);
        let named = cx.read(retention::images(cx.provider.as_ref(), name, architecture)).await?;
        // The new image, created now.
        let (id, size) = (ImageId::new("new"), plan.resolved.root_size);
        let mut new = Image::new(id, ImageStatus::Available, size);
        new.created = expiry::now().as_secs();
        old.extend(retention::superseded(named, keep, Some(&new)));
    }
    old.retain(|image| !image.protected);
    let mut steps: Vec<PreviewStep> = Vec::new();
    for image in old {
        let step = PreviewStep::Delete { resource: image.id.into() };
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    Ok(steps)
}

fn context_size(delivery: &ContainerDelivery) -> Size {
    match delivery {
        ContainerDelivery::UserData(archive)
        | ContainerDelivery::Media(archive, _)
        | ContainerDelivery::Upload(archive, _) => Size::bytes(archive.len()),
        ContainerDelivery::Reference(_) => Size::bytes(0),
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, architecture, provider, base, .. } = self;
        write!(f, "image {name} for {architecture} on {provider}, built from {base}")?;
        for note in &self.notes {
            write!(f, "\n  ! {note}")?;
        }
        for step in &self.steps {
            write!(f, "\n  {step}")?;
        }
        if let Some(time) = self.time {
            let time = human_duration(time);
            write!(f, "\ntime: {time} plus that of the install container")?;
        }
        if let Some(cost) = &self.cost {
            write!(f, "\ncost: at most {cost}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PreviewStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reuse { image } => write!(f, "= image {image}, which exists already"),
            Self::Wait { build, phase } => {
                write!(f, "= the image that build {build} is making, now in phase {phase}")
            }
            Self::Resume { build, phase } => {
                write!(f, "~ build {build}, whose process died in phase {phase}, is resumed")
            }
            Self::Create { kind, size: Some(size) } => write!(f, "+ {kind}, disk of {size}"),
            Self::Create { kind, size: None } => write!(f, "+ {kind}"),
            Self::BootCheck => {
                f.write_str("? a VM started from the image passes the readiness probe")
            }
            Self::TearDown => f.write_str("- all of these except the image, when it is available"),
            Self::Delete { resource } => write!(f, "- {resource}"),
        }
    }
}
