//! `cloudd preview`.

use cloudd_core::install::LoadedContainer;
use cloudd_core::provider::{Requirements, ResourceId, Selector, keys};
use serde_json::json;

use crate::build::container;
use crate::cli::{Build, Place};
use crate::exit::{Exit, Trouble, handle};
use crate::place::provider;

pub(crate) async fn run(place: &Place, build: &Build, json: bool) -> Result<Exit, Trouble> {
    let loaded = load(build).await?;
    let provider = provider(place, Some(build)).await?;
    let context = loaded.context().map(|it| (it.entries(), it.archive().len()));
    let named = provider.find(&Selector::all().with(keys::NAME, &build.name)).await?;
    let images = named.iter().filter(|it| matches!(it.id, ResourceId::Image(_)));
    let images: Vec<_> = images.map(|it| handle(&it.id)).collect();
    for architecture in &build.arch {
        let offer = provider.check(&Requirements::new(*architecture, build.volume_size)).await?;
        if json {
            println!(
                "{}",
                json!({
                    "result": "preview",
                    "architecture": architecture,
                    "base": offer.base,
                    "root_size": offer.root_size,
                    "volume_size": build.volume_size,
                    "context_entries": context.map(|(entries, _)| entries),
                    "context_bytes": context.map(|(_, bytes)| bytes),
                    "images_of_this_name": images,
                })
            );
            continue;
        }
        println!("on {provider}, for {architecture}:");
        println!("  + volume of {}", build.volume_size);
        println!("  + VM from {}, with a root disk of {}", offer.base, offer.root_size);
        println!("  + image {}, for disks of {} or more", build.name, offer.root_size);
        println!("  - VM and volume, when it is done");
    }
    if !json {
        if let Some((entries, bytes)) = context {
            println!("build context: {entries} files and folders, {bytes} bytes packed");
        }
        if !images.is_empty() {
            println!("images of this name that are there: {}", images.join(", "));
        }
    }
    Ok(Exit::Done)
}

async fn load(build: &Build) -> Result<LoadedContainer, Trouble> {
    let container = container(build)?;
    let loaded = tokio::task::spawn_blocking(move || container.load()).await;
    let loaded = loaded.map_err(|error| Trouble::input(error.to_string()))?;
    loaded.map_err(|error| Trouble::input(error.to_string()))
}
