//! Lists what crashed builds left on Hetzner Cloud, and deletes it with `--yes`. Each resource has an
//! expiry, by which its build has ended; nothing is deleted before that.

use std::error::Error;

use clap::Parser;
use cloudd_core::sweep::Sweep;
use cloudd_examples::hetzner;

/// List what crashed builds left on Hetzner Cloud
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
    println!("{} found", sweep.leftovers().len());
    for leftover in sweep.leftovers() {
        println!("{} of image {}", leftover.id, leftover.name);
    }
    if arguments.yes {
        let swept = sweep.run(&hetzner).await;
        println!("{} deleted", swept.deleted.len());
        for (id, error) in swept.failed {
            eprintln!("{id} was not deleted: {error}");
        }
    }
    Ok(())
}
