//! Prints what a build on Hetzner Cloud would do and cost, and the prices of server types. Changes
//! nothing.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use cloudd_examples::{for_simulator, hetzner};
use cloudd_hcloud::{Architecture, ImageBuilder, InstallContainer};

/// Print what a build on Hetzner Cloud would do and cost
#[derive(Parser)]
struct Arguments {
    /// Build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    for architecture in [Architecture::X86_64, Architecture::Aarch64] {
        let container = InstallContainer::directory(&arguments.context);
        let builder =
            for_simulator(ImageBuilder::new("hello", container)).architecture(architecture);
        println!("{}", builder.preview(&hetzner).await?);
    }

    let prices = hetzner.client().pricing().await?;
    for server_type in &prices.server_types {
        let hourly = server_type.prices.iter().filter_map(|price| Some(price.price_hourly?.net));
        if let Some(least) = hourly.min() {
            println!("server {}: from {least} {} per hour", server_type.name, prices.currency);
        }
    }
    Ok(())
}
