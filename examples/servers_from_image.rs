//! Builds an image on Hetzner Cloud, then starts servers from it, each with its own user data.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use cloudd_core::cloud_init::CloudConfig;
use cloudd_examples::{for_simulator, hetzner, watch};
use cloudd_hcloud::{ImageBuilder, InstallContainer, ServerSpec};

/// Build an image on Hetzner Cloud and start servers from it
#[derive(Parser)]
struct Arguments {
    /// Build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
    /// Number of servers
    #[arg(long, default_value_t = 2)]
    servers: u32,
    /// SSH public key that may log in, if the image runs cloud-init
    #[arg(long)]
    ssh_key: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    let builder =
        for_simulator(ImageBuilder::new("web", InstallContainer::directory(&arguments.context)));
    let image = watch(builder.start(Arc::new(hetzner.clone()))).await?;

    for number in 1..=arguments.servers {
        let name = format!("web-{number}");
        let mut config = CloudConfig::new().hostname(&name);
        if let Some(key) = &arguments.ssh_key {
            config = config.ssh_authorized_key(key);
        }
        let user_data = config.render()?.into_string();
        let spec = ServerSpec::new(&name, image.id.clone()).user_data(user_data);
        let server = hetzner.start_server(spec).await?;
        println!("{name}: server {} from image {}", server.id, image.id);
    }
    Ok(())
}
