//! `cloudd delete`.

use cloudd_core::Provider;
use cloudd_core::provider::{Error, ResourceId};
use cloudd_core::retry::with_timeout;
use serde_json::json;

use crate::cli::CloudOptions;
use crate::exit::{Exit, ToolError, argument, error_chain};
use crate::list;
use crate::provider::{CALL_TIMEOUT, provider};

pub(crate) async fn run(
    cloud: &CloudOptions,
    mut ids: Vec<ResourceId>,
    json: bool,
) -> Result<Exit, ToolError> {
    let provider = provider(cloud, None).await?;
    ids.sort_by_key(ResourceId::delete_order);
    // A mistyped id must not delete a resource of another program.
    let found = list::resources(&*provider).await?;
    if let Some(foreign) = ids.iter().find(|id| found.iter().all(|it| it.id != **id)) {
        return Err(ToolError::input(format!(
            "{} does not exist on {provider}, or is not a resource of cloudd; nothing was deleted\n\
             `cloudd list` prints what can be deleted",
            argument(foreign)
        )));
    }
    let (deleted, failed) = delete_all(&*provider, ids).await;
    report(&deleted, &failed, json)
}

/// Deletes the resources one after the other, each within [`CALL_TIMEOUT`]. A failure does not stop
/// it.
async fn delete_all(
    provider: &dyn Provider,
    ids: Vec<ResourceId>,
) -> (Vec<ResourceId>, Vec<(ResourceId, Error)>) {
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for id in ids {
        match with_timeout("delete", &id, CALL_TIMEOUT, provider.delete(&id)).await {
            Ok(()) => deleted.push(id),
            Err(error) => failed.push((id, error)),
        }
    }
    (deleted, failed)
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

#[cfg(test)]
mod tests {
    use cloudd_core::memory::Memory;
    use cloudd_core::provider::{Architecture, BootSpec, ErrorKind, ImageId, Labels, Size, keys};
    use cloudd_core::testing::{Fault, Faulty};
    use tokio::time::Instant;

    use super::*;

    fn memory_with_two_vms() -> Memory {
        let memory = Memory::new();
        for name in ["a", "b"] {
            let labels = Labels::from_iter([(keys::BUILD, "abcdefghij")]);
            let image = ImageId::new("none");
            let spec = BootSpec::new(name, labels, image, Architecture::X86_64, Size::gib(1));
            let _ = memory.insert_vm(&spec);
        }
        memory
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_never_answered_is_an_error_after_its_deadline() {
        let faulty = Faulty::new(Memory::new(), 0, Fault::NeverArrives);
        let start = Instant::now();
        let error = list::resources(&faulty).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Timeout, CALL_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_that_is_never_answered_does_not_keep_the_others_from_being_made() {
        let memory = memory_with_two_vms();
        let ids = memory.resources();
        let faulty = Faulty::new(memory.clone(), 0, Fault::NeverArrives);
        let start = Instant::now();
        let (deleted, failed) = delete_all(&faulty, ids.clone()).await;
        assert_eq!(start.elapsed(), CALL_TIMEOUT);
        assert_eq!(deleted, ids[1..]);
        assert_eq!((&failed[0].0, failed[0].1.kind()), (&ids[0], ErrorKind::Timeout));
        assert_eq!(memory.resources(), ids[..1]);
    }
}
