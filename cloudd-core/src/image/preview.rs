//! What a build would do, without doing it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::acquire::{Verdict, Watch, claims};
use super::control::Sink;
use super::error::{BuildError, Cause};
use super::plan::Planned;
use super::run::Run;
use super::{ImageBuilder, Phase, ReusePolicy, reuse};
use crate::guest::ContainerDelivery;
use crate::provider::{
    Architecture, BuildId, Cost, Fingerprint, Image, Labels, Provider, ResourceId, ResourceKind,
    Size, keys,
};
use crate::retention;

/// What [`ImageBuilder::build`] would do, in order, and what it would take. It may turn out
/// otherwise: others use the same cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Preview {
    /// The image's name.
    pub name: String,
    /// Its architecture.
    pub architecture: Architecture,
    /// The provider, as it calls itself.
    pub provider: String,
    /// What the image is made from.
    pub fingerprint: Fingerprint,
    /// The builder base image.
    pub base: String,
    /// How many bytes of build context are sent; 0 where an image reference is pulled.
    pub context: Size,
    /// What would be done.
    pub steps: Vec<PreviewStep>,
    /// How long a build takes there whose install container takes no time; `None` where the provider
    /// does not know.
    pub time: Option<Duration>,
    /// What it costs, where the provider has prices. For the image it is the most that it can: as if
    /// the whole volume were written and nothing could be compressed.
    pub cost: Option<Cost>,
}

/// One thing that a build would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PreviewStep {
    /// Return this image; nothing else is done.
    Reuse {
        /// Which.
        image: String,
    },
    /// Wait for another process that makes the image, and return its image.
    Wait {
        /// Its build.
        build: String,
        /// How far it is.
        phase: String,
    },
    /// Go on with the build of a process that died.
    Adopt {
        /// Which.
        build: String,
        /// How far it was.
        phase: String,
    },
    /// Create something.
    Create {
        /// What.
        kind: ResourceKind,
        /// The size of its disk, if it has one.
        size: Option<Size>,
    },
    /// Start a VM from the image and wait for a sign of life.
    BootCheck,
    /// Delete what the build has created besides the image.
    TearDown,
    /// Delete an image that is there.
    Delete {
        /// Which.
        resource: ResourceId,
    },
}

impl ImageBuilder {
    /// Says what [`ImageBuilder::build`] would do. Reads only: nothing is created, changed, downloaded
    /// or deleted.
    ///
    /// # Errors
    /// As [`ImageBuilder::build`], for inputs that cannot work and a provider that does not answer.
    pub async fn preview(&self, provider: &dyn Provider) -> Result<Preview, BuildError> {
        let run = Run::new(self, provider, Sink::alone(BuildId::random(), &self.name));
        let preview = preview(&run).await;
        run.is_over();
        preview.map_err(|cause| BuildError::new(&self.name, run.build(), Phase::Plan, cause))
    }
}

async fn preview(run: &Run<'_>) -> Result<Preview, Cause> {
    let planned = Planned::of(run).await?;
    let image = reuse::image(run, &planned).await?;
    let makes_one = image.is_none();
    let mut steps = match image {
        Some(image) => vec![PreviewStep::Reuse { image: image.id.to_string() }],
        None => steps(run, &planned).await?,
    };
    if makes_one {
        steps.extend(deletions(run, &planned).await?);
    }
    let offer = &planned.offer;
    let cost = match offer.build_time.filter(|_| makes_one) {
        Some(time) => {
            let requirements = &planned.requirements;
            let cost =
                run.provider.estimate_cost(requirements, offer, time, requirements.volume_size);
            run.wait("prices", run.builder.deadlines.call, cost).await?
        }
        None => None,
    };
    Ok(Preview {
        name: run.builder.name.clone(),
        architecture: run.builder.architecture,
        provider: run.provider.to_string(),
        fingerprint: planned.fingerprint.clone(),
        base: offer.base_image.clone(),
        context: planned.context_size(),
        steps,
        time: offer.build_time.filter(|_| makes_one),
        cost,
    })
}

/// What leads to the image.
async fn steps(run: &Run<'_>, planned: &Planned) -> Result<Vec<PreviewStep>, Cause> {
    let claims = claims(run, planned).await?;
    let newest = claims.last().map(|lease| lease.labels.clone()).unwrap_or_default();
    let text = |labels: &Labels, key| labels.get(key).unwrap_or_default().to_owned();
    let (build, phase) = (text(&newest, keys::BUILD), text(&newest, keys::PHASE));
    let create = |kind, size| PreviewStep::Create { kind, size };
    let mut steps = match Watch::default().judge(&claims) {
        Verdict::Alive => return Ok(vec![PreviewStep::Wait { build, phase }]),
        Verdict::Dead => vec![PreviewStep::Adopt { build, phase }],
        Verdict::Nobody => vec![
            create(ResourceKind::Lease, None),
            create(ResourceKind::Volume, Some(planned.requirements.volume_size)),
            create(ResourceKind::Vm, Some(planned.offer.root_size)),
        ],
    };
    steps.push(create(ResourceKind::Image, Some(planned.offer.root_size)));
    if run.builder.boot_check.is_some() {
        steps.push(PreviewStep::BootCheck);
    }
    steps.push(PreviewStep::TearDown);
    Ok(steps)
}

/// The images that a new one stands in for.
async fn deletions(run: &Run<'_>, planned: &Planned) -> Result<Vec<PreviewStep>, Cause> {
    let mut old: Vec<Image> = Vec::new();
    if run.builder.existing == ReusePolicy::Replace {
        old.extend(reuse::same(run, planned).await?);
    }
    if let Some(keep) = run.builder.keep_newest {
        let (name, architecture) = (&run.builder.name, run.builder.architecture);
        let named = retention::images(run.provider, name, architecture);
        let named = run.wait("answer of the provider", run.builder.deadlines.call, named).await?;
        let unprotected = named.into_iter().filter(|image| !image.protected);
        old.extend(unprotected.skip(keep.get() - 1));
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

impl Planned {
    fn context_size(&self) -> Size {
        match &self.delivery {
            ContainerDelivery::UserData(archive)
            | ContainerDelivery::Media(archive, _)
            | ContainerDelivery::Upload(archive, _) => Size::bytes(archive.len()),
            ContainerDelivery::Reference(_) => Size::bytes(0),
        }
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, architecture, provider, base, .. } = self;
        write!(f, "image {name} for {architecture} on {provider}, built from {base}")?;
        for step in &self.steps {
            write!(f, "\n  {step}")?;
        }
        if let Some(time) = self.time {
            write!(f, "\ntime: {} s, and what the install container takes", time.as_secs())?;
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
            Self::Reuse { image } => write!(f, "= image {image}, which is there already"),
            Self::Wait { build, phase } => {
                write!(f, "= the image that build {build} is making, now in phase {phase}")
            }
            Self::Adopt { build, phase } => {
                write!(f, "~ build {build}, whose process died in phase {phase}, goes on")
            }
            Self::Create { kind, size: Some(size) } => write!(f, "+ {kind}, disk of {size}"),
            Self::Create { kind, size: None } => write!(f, "+ {kind}"),
            Self::BootCheck => f.write_str("? a VM started from the image shows a sign of life"),
            Self::TearDown => f.write_str("- all of these but the image, when it is done"),
            Self::Delete { resource } => write!(f, "- {resource}"),
        }
    }
}
