//! Builds that end as if their process had been killed, without a process of their own.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::provider::Provider;
use cloudd_core::{BuildError, BuiltImage, ImageBuilder};
use tokio::time::sleep;

/// Runs a build, and kills it after this time. The result, if it ended before.
pub async fn killed_after<P: Provider + Clone>(
    time: Duration,
    builder: &ImageBuilder,
    provider: &P,
) -> Option<Result<BuiltImage, BuildError>> {
    let build = builder.start(Arc::new(provider.clone()));
    sleep(time).await;
    if build.is_finished() {
        return Some(build.await);
    }
    build.kill().await;
    None
}
