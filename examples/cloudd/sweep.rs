//! `cloudd sweep`.

use cloudd_examples::leftovers;
use serde_json::json;

use crate::cli::Place;
use crate::delete;
use crate::exit::{Exit, Trouble, handle};
use crate::place::provider;

pub(crate) async fn run(place: &Place, yes: bool, json: bool) -> Result<Exit, Trouble> {
    let provider = provider(place, None).await?;
    let left = leftovers(&*provider).await?;
    if yes {
        let ids: Vec<_> = left.into_iter().map(|resource| resource.id).collect();
        return delete::all(&*provider, &ids, json).await;
    }
    for resource in &left {
        if json {
            println!("{}", json!({"result": "to delete", "id": handle(&resource.id)}));
        } else {
            println!("{}", handle(&resource.id));
        }
    }
    if left.is_empty() {
        eprintln!("dead builds have left nothing on {provider}");
    } else {
        eprintln!("cloudd sweep --yes deletes these");
    }
    Ok(Exit::Done)
}
