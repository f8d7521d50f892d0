//! Builds an image on libvirt, then boots a VM from the image and prints its console.
//! `make quickstart` prepares everything that this needs and runs it.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use cloudd_core::{Provider as _, Size};
use cloudd_examples::watch;
use cloudd_libvirt::{BaseImage, ImageBuilder, InstallContainer, Libvirt, VmOptions};
use tokio::time::timeout;

/// Build an image on libvirt and boot it
#[derive(Parser)]
struct Arguments {
    /// URI of the libvirt connection
    #[arg(long, env = "CLOUDD_TEST_URI", default_value = "qemu:///system")]
    uri: String,
    /// Storage pool for everything that is created
    #[arg(long, env = "CLOUDD_TEST_POOL", default_value = "default")]
    pool: String,
    /// Builder base image: a disk image with cloud-init
    #[arg(long, env = "CLOUDD_TEST_BASE")]
    base: PathBuf,
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
    let libvirt = Libvirt::builder(&arguments.uri)
        .pool(&arguments.pool)
        .base_image(BaseImage::path(&arguments.base))
        .connect()
        .await?;
    let container = InstallContainer::directory(&arguments.context);
    let builder = ImageBuilder::new(&arguments.name, container).volume_size(Size::gib(1));
    let image = watch(builder.start(Arc::new(libvirt.clone()))).await?;
    println!("{}", image.id);

    eprintln!("console of a VM started from the image:");
    let vm = libvirt.start_vm_from(&image.id, VmOptions::new()).await?;
    let off = timeout(Duration::from_secs(120), libvirt.wait_vm_off(&vm.id)).await;
    let console = libvirt.console(&vm.id).await?;
    libvirt.delete(&vm.id.into()).await?;
    print!("{}", String::from_utf8_lossy(&console));
    off.map_err(|_| "the VM did not power off within 2 minutes")??;
    Ok(())
}
