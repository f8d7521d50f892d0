use std::sync::Arc;

use super::guard::{Created, Lease, Moment};
use super::holder::HolderId;
use super::observer::{LeaseObserver, LeaseState};
use super::record::{LeaseRecord, lease_label, list};
use super::terms::LeaseTerms;
use crate::provider::{
    Error, ErrorKind, Labels, LeaseSpec, Provider, ResourceId, ResourceKind, Result, Selector, keys,
};
use crate::retry::{Attempts, with_timeout};

/// A lease could not be acquired for a reason other than that it is held.
#[derive(Debug)]
pub(crate) struct AcquireError {
    pub(crate) error: Error,
    /// Why a lease that may have been created could not be deleted again.
    pub(crate) cleanup: Option<Error>,
}

impl From<Error> for AcquireError {
    fn from(error: Error) -> Self {
        Self { error, cleanup: None }
    }
}

/// Creates the lease with token 1. `None` if it exists, or if another lease is valid. Expired leases
/// with other tokens become its predecessors.
pub(crate) async fn acquire_first(
    provider: &Arc<dyn Provider>,
    terms: &LeaseTerms,
    labels: &Labels,
    observer: &mut LeaseObserver,
) -> Result<Option<Lease>, AcquireError> {
    let Some(created) = create(provider, terms, labels, 1).await? else { return Ok(None) };
    let others = list_others(provider, terms, &created).await?;
    if terms.verifies_after_create() && observer.observe(&others) == LeaseState::Held {
        withdraw(provider, terms, &created).await?;
        return Ok(None);
    }
    Ok(Some(Lease::hold(provider, terms, created, &others)))
}

/// Creates the lease with the token after those of `expired`. `None` if another process was faster,
/// or if the leases have changed since they were observed.
pub(crate) async fn take_over(
    provider: &Arc<dyn Provider>,
    terms: &LeaseTerms,
    labels: &Labels,
    expired: &[LeaseRecord],
) -> Result<Option<Lease>, AcquireError> {
    let highest = expired.iter().map(LeaseRecord::token).max().unwrap_or(1);
    // Also above their number, so that unreadable tokens do not lead to an existing name.
    let token = highest.max(expired.len() as u64).saturating_add(1);
    let Some(created) = create(provider, terms, labels, token).await? else { return Ok(None) };
    let others = list_others(provider, terms, &created).await?;
    if terms.verifies_after_create() && others != expired {
        withdraw(provider, terms, &created).await?;
        return Ok(None);
    }
    Ok(Some(Lease::hold(provider, terms, created, &others)))
}

/// Creates a lease with this token; `None` if there is one.
async fn create(
    provider: &Arc<dyn Provider>,
    terms: &LeaseTerms,
    labels: &Labels,
    token: u64,
) -> Result<Option<Created>, AcquireError> {
    let (holder, created_at) = (HolderId::new(), Moment::now());
    let own = Labels::from_iter([
        (keys::HOLDER, holder.label()),
        (keys::LEASE, &lease_label(terms.duration, 0)),
        (keys::FENCING_TOKEN, &token.to_string()),
    ]);
    let name = format!("{}-{token}", terms.name);
    let spec = LeaseSpec::new(&name, labels.clone().merged(&own));
    let create = provider.create_lease(&spec);
    match with_timeout("create lease", &name, terms.call_timeout, create).await {
        Ok(id) => Ok(Some(Created { id, token, holder, created_at })),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        // The answer may be lost, and the lease may exist.
        Err(error) => {
            let cleanup = delete_of_holder(provider.as_ref(), terms, &holder).await.err();
            Err(AcquireError { error, cleanup })
        }
    }
}

async fn list_others(
    provider: &Arc<dyn Provider>,
    terms: &LeaseTerms,
    created: &Created,
) -> Result<Vec<LeaseRecord>, AcquireError> {
    let listing = list(provider.as_ref(), &terms.selector);
    match with_timeout("list leases of", &terms.name, terms.call_timeout, listing).await {
        Ok(mut others) => {
            others.retain(|other| other.id != created.id);
            Ok(others)
        }
        Err(error) => {
            let cleanup =
                withdraw(provider, terms, created).await.err().map(|withdrawal| withdrawal.error);
            Err(AcquireError { error, cleanup })
        }
    }
}

/// Deletes a lease that was just created.
async fn withdraw(
    provider: &Arc<dyn Provider>,
    terms: &LeaseTerms,
    created: &Created,
) -> Result<(), AcquireError> {
    let id = ResourceId::from(created.id.clone());
    let mut attempts = Attempts::within(terms.cleanup_timeout);
    while let Err(error) = attempts.attempt("delete lease", provider.delete(&id)).await {
        attempts.pause_after(error).await?;
    }
    Ok(())
}

/// Deletes the lease of this holder, if it exists.
async fn delete_of_holder(
    provider: &dyn Provider,
    terms: &LeaseTerms,
    holder: &HolderId,
) -> Result<()> {
    let selector = Selector::all().with(keys::HOLDER, holder.label()).of_kind(ResourceKind::Lease);
    let mut attempts = Attempts::within(terms.cleanup_timeout);
    loop {
        let deletion = async {
            for lease in provider.find(&selector).await? {
                provider.delete(&lease.id).await?;
            }
            Ok(())
        };
        match attempts.attempt("delete lease", deletion).await {
            Ok(()) => return Ok(()),
            Err(error) => attempts.pause_after(error).await?,
        }
    }
}
