//! The original's quickstart on Hetzner Cloud: an install container in a directory, a name, and an
//! image id to start servers from. Deletes all else that it made, also after Ctrl-C.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use cloudd_examples::{cancel_on_interrupt, hetzner, narrate};
use cloudd_hcloud::{ImageBuilder, InstallContainer};

/// Build an image on Hetzner Cloud
#[derive(Parser)]
struct Arguments {
    /// The build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
    /// The name of the image
    #[arg(long, default_value = "hello")]
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    let container = InstallContainer::directory(&arguments.context);
    let builder = ImageBuilder::new(&arguments.name, container);

    let (build, control) = builder.build_with_control(&hetzner);
    cancel_on_interrupt(control.cancel);
    let (image, ()) = tokio::join!(build, narrate(control.events, &[]));
    println!("{}", image?.id);
    Ok(())
}
