//! Leases: what keeps two processes from making one image.

use futures_util::future::join_all;

use super::{Bench, expect_kind, internal};
use crate::provider::{ErrorKind, Labels, ResourceId, ResourceKind, Result, Selector, keys};

pub(super) async fn one_succeeds(bench: Bench<'_>) -> Result<()> {
    let owners: Vec<_> = (1..=5).map(|number| format!("owner-{number}")).collect();
    let attempts = join_all(owners.iter().map(|owner| bench.lease(owner))).await;
    let won: Vec<_> = attempts.iter().filter_map(|attempt| attempt.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{attempts:?}");
    for attempt in attempts.iter().filter(|attempt| attempt.is_err()) {
        expect_kind("a taken lease", attempt.as_ref().map_err(copy), ErrorKind::AlreadyExists);
    }

    let found = bench.provider.find(&leases(&bench)).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    let owner = found[0].labels.get(keys::HOLDER).unwrap_or_default();
    assert_eq!(bench.lease(owner).await?, *won[0], "its own owner does not get it again");

    let id = ResourceId::from(won[0].clone());
    bench.provider.delete(&id).await?;
    assert_eq!(bench.provider.find(&leases(&bench)).await?, []);
    bench.provider.delete(&id).await?;
    bench.lease("the-next").await.map(drop)
}

pub(super) async fn labels(bench: Bench<'_>) -> Result<()> {
    let id = ResourceId::from(bench.lease("holder").await?);
    let mut change = Labels::new();
    change.insert(keys::PHASE, "start").map_err(internal)?;
    bench.provider.set_labels(&id, &change).await?;
    let found = bench.provider.find(&leases(&bench)).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].labels.get(keys::PHASE), Some("start"));
    assert_eq!(found[0].labels.get(keys::HOLDER), Some("holder"), "another label is gone");

    bench.provider.delete(&id).await?;
    // Whoever was silent for too long must notice that somebody else goes on with its build.
    let gone = bench.provider.set_labels(&id, &change).await;
    expect_kind("labelling a lease that is gone", gone, ErrorKind::NotFound);
    bench.lease("somebody-else").await?;
    let gone = bench.provider.set_labels(&id, &change).await;
    expect_kind("labelling the lease of somebody else", gone, ErrorKind::NotFound);
    bench.provider.delete(&id).await?;
    let found = bench.provider.find(&leases(&bench)).await?;
    assert_eq!(found.len(), 1, "the lease of somebody else was deleted: {found:?}");
    Ok(())
}

fn leases(bench: &Bench<'_>) -> Selector {
    Selector::build(&bench.build).of_kind(ResourceKind::Lease)
}

fn copy(error: &crate::provider::Error) -> crate::provider::Error {
    crate::provider::Error::new(error.kind(), error.to_string())
}
