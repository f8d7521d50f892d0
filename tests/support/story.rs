//! A build as it was told, and told again by a test as it happens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{
    BuildError, BuildEvent, BuildEventKind, BuiltImage, CancelHandle, ImageBuilder, Phase,
};
use cloudd_core::provider::{Provider, ResourceId, VmId};

use crate::boot_log::BootLog;

/// Builds, prints the story as it happens, and gives it with the outcome. `logs` are the files with
/// what a builder prints, kept when its build fails; `watch` sees each event as it comes.
pub async fn of_build<P: Provider + Clone>(
    provider: &P,
    builder: &ImageBuilder,
    logs: impl Fn(&VmId) -> Vec<PathBuf>,
    mut watch: impl FnMut(&BuildEvent, &CancelHandle),
) -> (Result<BuiltImage, BuildError>, Story) {
    let mut build = builder.start(Arc::new(provider.clone()));
    let (mut events, cancel) = (build.events(), build.cancel_handle());
    let (mut story, mut boot_log) = (Story::default(), None);
    let listen = async {
        while let Some(event) = events.next().await {
            println!("{:7.1} {:?}", event.at.as_secs_f64(), event.kind);
            if let BuildEventKind::Created { resource: ResourceId::Vm(vm) } = &event.kind {
                boot_log = Some(BootLog::follow(logs(vm)));
            }
            watch(&event, &cancel);
            story.0.push(event);
        }
    };
    let (result, ()) = tokio::join!(build.into_future(), listen);
    println!("{result:?}");
    if let Some(boot_log) = boot_log {
        boot_log.finish(result.is_err());
    }
    (result, story)
}

/// The events of a build.
#[derive(Debug, Default)]
pub struct Story(pub Vec<BuildEvent>);

impl Story {
    /// When the guest reported this step's beginning or end for the first time.
    #[must_use]
    pub fn when(&self, wanted: impl Fn(&BuildEventKind) -> bool) -> Option<Duration> {
        self.0.iter().find(|event| wanted(&event.kind)).map(|event| event.at)
    }

    /// How long each phase took, in order.
    #[must_use]
    pub fn phases(&self) -> Vec<(Phase, Duration)> {
        let begun: Vec<_> = self
            .0
            .iter()
            .filter_map(|event| match event.kind {
                BuildEventKind::Phase { phase } => Some((phase, event.at)),
                _ => None,
            })
            .collect();
        let end = self.0.last().map(|event| event.at).unwrap_or_default();
        let ends = begun.iter().skip(1).map(|(_, at)| *at).chain([end]);
        begun.iter().zip(ends).map(|((phase, at), end)| (*phase, end.saturating_sub(*at))).collect()
    }

    /// Whether some line of the log contains this text.
    #[must_use]
    pub fn logged(&self, text: &str) -> bool {
        self.0.iter().any(|event| match &event.kind {
            BuildEventKind::Log { line, .. } => line.contains(text),
            _ => false,
        })
    }
}
