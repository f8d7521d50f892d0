//! Before a build: whether its input can work, what it would use, and what Hetzner asks for it in
//! this project. Changes nothing.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use cloudd_core::install::InstallContainer;
use cloudd_core::provider::{Architecture, Provider as _, Requirements, Size};
use cloudd_examples::hetzner;

/// Say what a build on Hetzner Cloud would use and cost
#[derive(Parser)]
struct Arguments {
    /// The build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let loaded = InstallContainer::directory(&arguments.context).load()?;
    if let Some(context) = loaded.context() {
        println!("context: {} bytes packed", context.archive().len());
    }

    let hetzner = hetzner()?;
    let volume = Size::gib(10);
    for architecture in [Architecture::X86_64, Architecture::Aarch64] {
        let offer = hetzner.check(&Requirements::new(architecture, volume)).await?;
        println!("{architecture}: from {}, root disk of {}", offer.base, offer.root_size);
    }

    let prices = hetzner.client().pricing().await?;
    let currency = &prices.currency;
    if let Some(image) = prices.image {
        let price = image.price_per_gb_month;
        println!("snapshot: {} {currency} a GB and month, {} with VAT", price.net, price.gross);
    }
    if let Some(volume) = prices.volume {
        let price = volume.price_per_gb_month;
        println!("volume: {} {currency} a GB and month, {} with VAT", price.net, price.gross);
    }
    for server_type in &prices.server_types {
        let hourly = server_type.prices.iter().filter_map(|it| Some(it.price_hourly?.net));
        if let Some(least) = hourly.min() {
            println!("server {}: from {least} {currency} an hour", server_type.name);
        }
    }
    Ok(())
}
