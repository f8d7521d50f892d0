//! Builds the same install container for several architectures and providers at the same time:
//! x86 and Arm on Hetzner Cloud and, with `--libvirt`, libvirt.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use cloudd_core::{Architecture, Builds, ImageBuilder, InstallContainer};
use cloudd_examples::{cancel_on_interrupt, for_simulator, hetzner, print_events};
use cloudd_libvirt::{BaseImage, Libvirt};

/// Build an install container on several providers at the same time
#[derive(Parser)]
struct Arguments {
    /// Build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
    /// Also build on this libvirt connection
    #[arg(long, value_name = "URI", requires = "base")]
    libvirt: Option<String>,
    /// Builder base image for libvirt
    #[arg(long, env = "CLOUDD_TEST_BASE")]
    base: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    let image = |name| {
        for_simulator(ImageBuilder::new(name, InstallContainer::directory(&arguments.context)))
    };
    let mut titles = vec!["Hetzner Cloud, x86".to_owned(), "Hetzner Cloud, Arm".to_owned()];
    let mut builds = Builds::new()
        .add(image("hello-x86"), &hetzner)
        .add(image("hello-arm").architecture(Architecture::Aarch64), &hetzner);
    if let (Some(uri), Some(base)) = (&arguments.libvirt, &arguments.base) {
        let libvirt = Libvirt::builder(uri).base_image(BaseImage::path(base)).connect().await?;
        titles.push("libvirt".to_owned());
        builds = builds.add(image("hello-libvirt"), &libvirt);
    }

    let mut running = builds.start();
    cancel_on_interrupt(running.cancel_handle());
    print_events(running.events(), &titles).await;
    let mut failed = 0;
    for (title, result) in titles.iter().zip(running.await) {
        match result {
            Ok(built) => {
                println!("{title}: {}", built.image.id);
                if let Some(leftovers) = built.leftovers {
                    eprintln!("{title}: warning: {leftovers}");
                }
            }
            Err(error) => {
                failed += 1;
                eprintln!("{title}: {}", error.report());
            }
        }
    }
    if failed > 0 { Err(format!("{failed} builds failed").into()) } else { Ok(()) }
}
