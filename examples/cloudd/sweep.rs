//! `cloudd sweep`.

use cloudd_core::sweep::Sweep;
use serde_json::json;

use crate::cli::Place;
use crate::delete;
use crate::exit::{Exit, Trouble, handle};
use crate::place::provider;

pub(crate) async fn run(place: &Place, yes: bool, json: bool) -> Result<Exit, Trouble> {
    let provider = provider(place, None).await?;
    let sweep = Sweep::find(&*provider).await?;
    if yes {
        let swept = sweep.run(&*provider).await;
        return delete::report(&swept.deleted, &swept.failed, json);
    }
    for leftover in sweep.leftovers() {
        let id = handle(&leftover.id);
        if json {
            let (name, build) = (&leftover.name, &leftover.build);
            println!("{}", json!({"result": "to delete", "id": id, "name": name, "build": build}));
        } else {
            println!("{id}");
        }
    }
    if sweep.leftovers().is_empty() {
        eprintln!("dead builds have left nothing on {provider}");
    } else {
        eprintln!("cloudd sweep --yes deletes these");
    }
    Ok(Exit::Done)
}
