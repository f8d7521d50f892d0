//! Builds an image from an install container on libvirt, with live progress, then boots a VM from
//! the image and shows what it prints. `make quickstart` prepares all that it needs and runs it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cloudd_core::build::ImageBuilder;
use cloudd_core::install::InstallContainer;
use cloudd_core::provider::{Provider as _, Size};
use cloudd_examples::{cancel_on_interrupt, narrate};
use cloudd_libvirt::{BaseImage, Libvirt, VmOptions};
use tokio::time::timeout;

/// Build an image on libvirt and boot it.
#[derive(Parser)]
struct Arguments {
    /// The libvirt connection
    #[arg(long, env = "CLOUDD_TEST_URI", default_value = "qemu:///system")]
    uri: String,
    /// The storage pool for everything that is created
    #[arg(long, env = "CLOUDD_TEST_POOL", default_value = "default")]
    pool: String,
    /// The builder base image: a disk image with cloud-init
    #[arg(long, env = "CLOUDD_TEST_BASE")]
    base: PathBuf,
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
    let libvirt = Libvirt::builder(&arguments.uri)
        .pool(&arguments.pool)
        .base_image(BaseImage::path(&arguments.base))
        .connect()
        .await?;
    let container = InstallContainer::directory(&arguments.context);
    let builder = ImageBuilder::new(&arguments.name, container).volume_size(Size::gib(1));

    let (build, control) = builder.build_with_control(&libvirt);
    cancel_on_interrupt(control.cancel);
    let (result, ()) = tokio::join!(build, narrate(control.events, &[]));
    let image = result?;
    println!("{}", image.id);

    eprintln!("a VM started from the image prints:");
    let vm = libvirt.start_vm_from(&image.id, VmOptions::new()).await?;
    let off = timeout(Duration::from_secs(120), libvirt.wait_vm_off(&vm.id)).await;
    let console = libvirt.console(&vm.id).await?;
    libvirt.delete(&vm.id.into()).await?;
    print!("{}", String::from_utf8_lossy(&console));
    off.map_err(|_| "the VM did not power off within two minutes")??;
    Ok(())
}
