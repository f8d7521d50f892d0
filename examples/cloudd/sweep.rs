//! `cloudd sweep`.

use cloudd_core::sweep::Sweep;
use serde_json::json;

use crate::cli::CloudOptions;
use crate::delete;
use crate::exit::{Exit, ToolError, argument};
use crate::provider::provider;

pub(crate) async fn run(cloud: &CloudOptions, yes: bool, json: bool) -> Result<Exit, ToolError> {
    let provider = provider(cloud, None).await?;
    let sweep = Sweep::find(&*provider).await?;
    if yes {
        let swept = sweep.run(&*provider).await;
        return delete::report(&swept.deleted, &swept.failed, json);
    }
    for leftover in sweep.leftovers() {
        let id = argument(&leftover.id);
        if json {
            let (name, build) = (&leftover.name, &leftover.build);
            println!("{}", json!({"result": "to delete", "id": id, "name": name, "build": build}));
        } else {
            println!("{id}");
        }
    }
    if sweep.leftovers().is_empty() {
        eprintln!("crashed builds left nothing on {provider}");
    } else {
        eprintln!("to delete these: cloudd sweep --yes");
    }
    Ok(Exit::Success)
}
