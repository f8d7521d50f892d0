use std::time::{SystemTime, UNIX_EPOCH};

use cloudd_core::provider::{Provider, Resource, ResourceId, Result, Selector, keys};

/// Clocks of different machines differ; an expiry is believed when it has passed by an hour.
const CLOCK_SKEW: i64 = 3600;

/// What builds have left that cannot live any more, in the order in which it can be deleted: VMs,
/// volumes and keys whose expiry passed an hour ago. An image is never among them.
///
/// # Errors
/// Those of [`Provider::find`].
pub async fn leftovers(provider: &dyn Provider) -> Result<Vec<Resource>> {
    let mut found = provider.find(&Selector::all()).await?;
    found.retain(|resource| !matches!(resource.id, ResourceId::Image(_)));
    found.retain(|resource| seconds_to_live(resource).is_some_and(|left| left < -CLOCK_SKEW));
    found.sort_by_key(|resource| resource.id.deletion_rank());
    Ok(found)
}

/// The seconds until a resource expires, negative when it has; `None` for one that does not, such
/// as a VM that was started from an image.
#[must_use]
pub fn seconds_to_live(resource: &Resource) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expires: i64 = resource.labels.value(keys::EXPIRES)?.parse().ok()?;
    Some(expires.saturating_sub_unsigned(now))
}
