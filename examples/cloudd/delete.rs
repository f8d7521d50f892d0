//! `cloudd delete`.

use std::error::Error as _;

use cloudd_core::provider::{Error, ImageId, LeaseId, ResourceId, Selector, VmId, VolumeId};
use serde_json::json;

use crate::cli::{Delete, Place};
use crate::exit::{Exit, Trouble, handle};
use crate::place::provider;

pub(crate) async fn run(place: &Place, delete: &Delete, json: bool) -> Result<Exit, Trouble> {
    let provider = provider(place, None).await?;
    let mut ids: Vec<_> = delete.ids.iter().map(|text| parse(text)).collect();
    ids.sort_by_key(ResourceId::delete_order);
    // A number too many must not cost somebody a server that is none of ours.
    let found = provider.find(&Selector::all()).await?;
    if let Some(foreign) = ids.iter().find(|id| found.iter().all(|it| it.id != **id)) {
        return Err(Trouble::input(format!(
            "{} is not cloudd's, or does not exist on {provider}; nothing was deleted\n\
             `cloudd list` shows what can be deleted",
            handle(foreign)
        )));
    }
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for id in ids {
        match provider.delete(&id).await {
            Ok(()) => deleted.push(id),
            Err(error) => failed.push((id, error)),
        }
    }
    report(&deleted, &failed, json)
}

/// Says what was deleted, and what was not.
pub(crate) fn report(
    deleted: &[ResourceId],
    failed: &[(ResourceId, Error)],
    json: bool,
) -> Result<Exit, Trouble> {
    for id in deleted {
        if json {
            println!("{}", json!({"result": "deleted", "id": handle(id)}));
        } else {
            eprintln!("deleted {id}");
        }
    }
    if failed.is_empty() {
        return Ok(Exit::Done);
    }
    let why = |(id, error): &(ResourceId, Error)| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{} is not deleted: {error}{cause}", handle(id))
    };
    Err(Trouble::left(failed.iter().map(why).collect::<Vec<_>>().join("\n")))
}

/// An id as `cloudd list` shows it; a bare one is an image's, as `cloudd build` prints it.
fn parse(text: &str) -> ResourceId {
    match text.split_once('/') {
        Some(("vm", id)) => VmId::new(id).into(),
        Some(("volume", id)) => VolumeId::new(id).into(),
        Some(("image", id)) => ImageId::new(id).into(),
        Some(("lease", id)) => LeaseId::new(id).into(),
        Some((kind, id)) => ResourceId::Other(kind.replace('-', " "), id.to_owned()),
        None => ImageId::new(text).into(),
    }
}
