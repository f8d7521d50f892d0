//! Several architectures, and several providers, at once: one image for x86 and one for Arm on
//! Hetzner Cloud, and with `--libvirt` one on libvirt, each with a result of its own.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use cloudd_core::build::{Builds, ImageBuilder};
use cloudd_core::install::InstallContainer;
use cloudd_core::provider::Architecture;
use cloudd_examples::{cancel_on_interrupt, hetzner, narrate};
use cloudd_libvirt::{BaseImage, Libvirt};

/// Build the same install container in several places at once
#[derive(Parser)]
struct Arguments {
    /// The build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
    /// Build on this libvirt too
    #[arg(long, value_name = "URI", requires = "base")]
    libvirt: Option<String>,
    /// The builder base image for libvirt
    #[arg(long, env = "CLOUDD_TEST_BASE")]
    base: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    let image = |name| ImageBuilder::new(name, InstallContainer::directory(&arguments.context));
    let mut builds = Builds::new()
        .add(image("hello-x86"), &hetzner)
        .add(image("hello-arm").architecture(Architecture::Aarch64), &hetzner);
    let mut places = vec!["Hetzner Cloud, x86".to_owned(), "Hetzner Cloud, Arm".to_owned()];
    let libvirt = arguments.libvirt().await?;
    if let Some(libvirt) = &libvirt {
        builds = builds.add(image("hello-libvirt"), libvirt);
        places.push("libvirt".to_owned());
    }

    let (run, control) = builds.run_with_control();
    cancel_on_interrupt(control.cancel);
    let (results, ()) = tokio::join!(run, narrate(control.events, &places));
    let mut failed = 0;
    for (place, result) in places.iter().zip(results) {
        match result {
            Ok(image) => println!("{place}: {}", image.id),
            Err(error) => {
                failed += 1;
                println!("{place}: {error}");
            }
        }
    }
    if failed > 0 { Err(format!("{failed} builds failed").into()) } else { Ok(()) }
}

impl Arguments {
    async fn libvirt(&self) -> Result<Option<Libvirt>, Box<dyn Error>> {
        let (Some(uri), Some(base)) = (&self.libvirt, &self.base) else { return Ok(None) };
        let libvirt = Libvirt::builder(uri).base_image(BaseImage::path(base));
        Ok(Some(libvirt.connect().await?))
    }
}
