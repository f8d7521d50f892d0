//! Leases: the lock that keeps two processes from making the same image.

use futures_util::future::join_all;

use super::harness::{Harness, expect_kind};
use super::internal;
use crate::provider::{ErrorKind, Labels, ResourceId, ResourceKind, Result, Selector, keys};

pub(super) async fn one_succeeds(harness: Harness<'_>) -> Result<()> {
    let holders: Vec<_> = (1..=5).map(|number| format!("holder-{number}")).collect();
    let attempts = join_all(holders.iter().map(|holder| harness.lease(holder))).await;
    let won: Vec<_> = attempts.iter().filter_map(|attempt| attempt.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{attempts:?}");
    for attempt in attempts.iter().filter(|attempt| attempt.is_err()) {
        expect_kind("a taken lease", attempt.as_ref().map_err(copy), ErrorKind::AlreadyExists);
    }

    let found = harness.provider.find(&leases(&harness)).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    let holder = found[0].labels.get(keys::HOLDER).unwrap_or_default();
    assert_eq!(harness.lease(holder).await?, *won[0], "its own holder is refused");

    let id = ResourceId::from(won[0].clone());
    harness.provider.delete(&id).await?;
    assert_eq!(harness.provider.find(&leases(&harness)).await?, []);
    harness.provider.delete(&id).await?;
    harness.lease("the-next").await.map(drop)
}

pub(super) async fn labels(harness: Harness<'_>) -> Result<()> {
    let id = ResourceId::from(harness.lease("holder").await?);
    let mut change = Labels::new();
    change.insert(keys::PHASE, "start").map_err(internal)?;
    harness.provider.set_labels(&id, &change).await?;
    let found = harness.provider.find(&leases(&harness)).await?;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].labels.get(keys::PHASE), Some("start"));
    assert_eq!(found[0].labels.get(keys::HOLDER), Some("holder"), "another label is gone");

    harness.provider.delete(&id).await?;
    // A holder whose lease was taken over must notice it.
    let gone = harness.provider.set_labels(&id, &change).await;
    expect_kind("labelling a lease that is gone", gone, ErrorKind::NotFound);
    harness.lease("another-holder").await?;
    let gone = harness.provider.set_labels(&id, &change).await;
    expect_kind("labelling a lease with the id of a deleted one", gone, ErrorKind::NotFound);
    harness.provider.delete(&id).await?;
    let found = harness.provider.find(&leases(&harness)).await?;
    assert_eq!(found.len(), 1, "the lease of another holder was deleted: {found:?}");
    Ok(())
}

pub(super) async fn new_id(harness: Harness<'_>) -> Result<()> {
    let first = harness.lease("holder").await?;
    harness.provider.delete(&first.clone().into()).await?;
    let second = harness.lease("holder").await?;
    assert_ne!(first, second, "the id of a lease that was deleted and created again");
    Ok(())
}

fn leases(harness: &Harness<'_>) -> Selector {
    Selector::build(&harness.build).of_kind(ResourceKind::Lease)
}

fn copy(error: &crate::provider::Error) -> crate::provider::Error {
    crate::provider::Error::new(error.kind(), error.to_string())
}
