//! Builds an image on Hetzner Cloud from an install container in a directory, and prints its id.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use cloudd_examples::{for_simulator, hetzner, watch};
use cloudd_hcloud::{ImageBuilder, InstallContainer};

/// Build an image on Hetzner Cloud
#[derive(Parser)]
struct Arguments {
    /// Build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
    /// Name of the image
    #[arg(long, default_value = "hello")]
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let container = InstallContainer::directory(&arguments.context);
    let builder = for_simulator(ImageBuilder::new(&arguments.name, container));

    // `builder.build(&hetzner()?).await?` does the same without printing events.
    let image = watch(builder.start(Arc::new(hetzner()?))).await?;
    println!("{}", image.id);
    Ok(())
}
