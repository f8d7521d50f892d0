//! What killed builds have left on Hetzner Cloud: shows it, and deletes it with `--yes`. Whatever
//! cloudd creates says until when its build can live at most; nothing is deleted before that.

use std::error::Error;

use clap::Parser;
use cloudd_core::provider::{Provider as _, keys};
use cloudd_examples::{hetzner, leftovers};

/// Delete what dead builds have left
#[derive(Parser)]
struct Arguments {
    /// Delete it
    #[arg(long)]
    yes: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    let left = leftovers(&hetzner).await?;
    println!("{} left", left.len());
    for resource in left {
        let name = resource.labels.value(keys::NAME).unwrap_or("?");
        println!("{} of image {name}", resource.id);
        if arguments.yes {
            hetzner.delete(&resource.id).await?;
        }
    }
    Ok(())
}
