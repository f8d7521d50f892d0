//! From an install container to servers: an image, then servers that start from it with user data
//! of their own, all in one program. Prints the address of each.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use cloudd_core::cloud_init::CloudConfig;
use cloudd_examples::{cancel_on_interrupt, hetzner, narrate};
use cloudd_hcloud::{ImageBuilder, InstallContainer, ServerSpec};

/// Build an image on Hetzner Cloud and start servers from it
#[derive(Parser)]
struct Arguments {
    /// The build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
    /// How many servers
    #[arg(long, default_value_t = 2)]
    servers: u32,
    /// An SSH public key that may log in, where the image runs cloud-init
    #[arg(long)]
    ssh_key: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    let container = InstallContainer::directory(&arguments.context);
    let builder = ImageBuilder::new("web", container);
    let (build, control) = builder.build_with_control(&hetzner);
    cancel_on_interrupt(control.cancel);
    let (image, ()) = tokio::join!(build, narrate(control.events, &[]));
    let image = image?;

    for number in 1..=arguments.servers {
        let name = format!("web-{number}");
        let mut config = CloudConfig::new().hostname(&name);
        if let Some(key) = &arguments.ssh_key {
            config = config.ssh_authorized_key(key);
        }
        let spec =
            ServerSpec::new(&name, image.id.clone()).user_data(config.render()?.into_string());
        let server = hetzner.start_server(spec).await?;
        println!("{name}: server {} from image {}", server.id, image.id);
    }
    Ok(())
}
