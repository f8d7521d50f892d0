//! `cloudd delete`.

use cloudd_core::provider::{ClaimId, ImageId, Provider, ResourceId, Selector, VmId, VolumeId};
use serde_json::json;

use crate::cli::{Delete, Place};
use crate::exit::{Exit, Trouble, handle};
use crate::place::provider;

pub(crate) async fn run(place: &Place, delete: &Delete, json: bool) -> Result<Exit, Trouble> {
    let provider = provider(place, None).await?;
    let mut ids: Vec<_> = delete.ids.iter().map(|text| parse(text)).collect();
    ids.sort_by_key(ResourceId::deletion_rank);
    // A number too many must not cost somebody a server that is none of ours.
    let found = provider.find(&Selector::all()).await?;
    if let Some(foreign) = ids.iter().find(|id| found.iter().all(|it| it.id != **id)) {
        return Err(Trouble::input(format!(
            "{} is not cloudd's, or does not exist on {provider}; nothing was deleted\n\
             `cloudd list` shows what can be deleted",
            handle(foreign)
        )));
    }
    all(&*provider, &ids, json).await
}

/// Deletes resources in this order, as far as it goes.
pub(crate) async fn all(
    provider: &dyn Provider,
    ids: &[ResourceId],
    json: bool,
) -> Result<Exit, Trouble> {
    let mut left = Vec::new();
    for id in ids {
        match provider.delete(id).await {
            Ok(()) if json => println!("{}", json!({"result": "deleted", "id": handle(id)})),
            Ok(()) => eprintln!("deleted {id}"),
            Err(error) => left.push((handle(id), Trouble::from(error))),
        }
    }
    if left.is_empty() {
        return Ok(Exit::Done);
    }
    let why: Vec<_> = left.iter().map(|(id, why)| format!("{id} is not deleted: {why}")).collect();
    Err(Trouble::left(why.join("\n")))
}

/// An id as `cloudd list` shows it; a bare one is an image's, as `cloudd build` prints it.
fn parse(text: &str) -> ResourceId {
    match text.split_once('/') {
        Some(("vm", id)) => VmId::new(id).into(),
        Some(("volume", id)) => VolumeId::new(id).into(),
        Some(("image", id)) => ImageId::new(id).into(),
        Some(("claim", id)) => ClaimId::new(id).into(),
        Some((kind, id)) => ResourceId::Other(kind.replace('-', " "), id.to_owned()),
        None => ImageId::new(text).into(),
    }
}
