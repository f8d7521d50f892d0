//! What killed builds have left on Hetzner Cloud: shows it, and deletes it with `--yes`. Whatever
//! cloudd creates says until when its build can live at most; nothing is deleted before that.

use std::error::Error;

use clap::Parser;
use cloudd_core::sweep::Sweep;
use cloudd_examples::hetzner;

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
    let sweep = Sweep::find(&hetzner).await?;
    println!("{} left", sweep.leftovers().len());
    for leftover in sweep.leftovers() {
        println!("{} of image {}", leftover.id, leftover.name);
    }
    if arguments.yes {
        let swept = sweep.run(&hetzner).await;
        println!("{} deleted", swept.deleted.len());
        for (id, error) in swept.failed {
            eprintln!("{id} stays: {error}");
        }
    }
    Ok(())
}
