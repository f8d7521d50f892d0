//! Before a build: whether its input can work, what it would do, and what Hetzner asks for it in
//! this project. Changes nothing.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use cloudd_core::build::ImageBuilder;
use cloudd_core::install::InstallContainer;
use cloudd_core::provider::Architecture;
use cloudd_examples::hetzner;

/// Say what a build on Hetzner Cloud would do and cost
#[derive(Parser)]
struct Arguments {
    /// The build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    for architecture in [Architecture::X86_64, Architecture::Aarch64] {
        let container = InstallContainer::directory(&arguments.context);
        let builder = ImageBuilder::new("hello", container).architecture(architecture);
        let preview = builder.preview(&hetzner).await?;
        println!("{preview}");
    }

    let prices = hetzner.client().pricing().await?;
    let currency = &prices.currency;
    for server_type in &prices.server_types {
        let hourly = server_type.prices.iter().filter_map(|it| Some(it.price_hourly?.net));
        if let Some(least) = hourly.min() {
            println!("server {}: from {least} {currency} an hour", server_type.name);
        }
    }
    Ok(())
}
