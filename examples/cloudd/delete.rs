//! `cloudd delete`.

use cloudd_core::provider::{Error, ResourceId, Selector};
use cloudd_core::retry::with_timeout;
use serde_json::json;

use crate::cli::CloudOptions;
use crate::exit::{Exit, ToolError, argument, error_chain};
use crate::provider::{CALL_TIMEOUT, provider};

pub(crate) async fn run(
    cloud: &CloudOptions,
    mut ids: Vec<ResourceId>,
    json: bool,
) -> Result<Exit, ToolError> {
    let provider = provider(cloud, None).await?;
    ids.sort_by_key(ResourceId::delete_order);
    // A mistyped id must not delete a resource of another program.
    let everything = Selector::all();
    let find = provider.find(&everything);
    let found = with_timeout("list", "resources", CALL_TIMEOUT, find).await?;
    if let Some(foreign) = ids.iter().find(|id| found.iter().all(|it| it.id != **id)) {
        return Err(ToolError::input(format!(
            "{} does not exist on {provider}, or is not a resource of cloudd; nothing was deleted\n\
             `cloudd list` prints what can be deleted",
            argument(foreign)
        )));
    }
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for id in ids {
        match with_timeout("delete", &id, CALL_TIMEOUT, provider.delete(&id)).await {
            Ok(()) => deleted.push(id),
            Err(error) => failed.push((id, error)),
        }
    }
    report(&deleted, &failed, json)
}

/// Prints what was deleted. What was not deleted is the error.
pub(crate) fn report(
    deleted: &[ResourceId],
    failed: &[(ResourceId, Error)],
    json: bool,
) -> Result<Exit, ToolError> {
    for id in deleted {
        if json {
            println!("{}", json!({"result": "deleted", "id": argument(id)}));
        } else {
            eprintln!("deleted {id}");
        }
    }
    if failed.is_empty() {
        return Ok(Exit::Success);
    }
    let failed = failed
        .iter()
        .map(|(id, error)| format!("{} was not deleted: {}", argument(id), error_chain(error)));
    Err(ToolError::remaining(failed.collect::<Vec<_>>().join("\n")))
}
