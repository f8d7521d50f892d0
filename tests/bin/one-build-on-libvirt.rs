//! A process that builds one image on the libvirt of the tests: what they start to kill it.

use std::error::Error;
use std::path::PathBuf;
use std::thread;

use clap::Parser;
use cloudd_core::build::{BootCheck, ReadinessProbe};
use cloudd_core::install::InstallContainer;
use cloudd_core::provider::Size;
use cloudd_core::testing::Faulty;
use cloudd_tests::lab::Lab;
use cloudd_tests::process::tell;

#[derive(Debug, Parser)]
#[command(version, about = "Builds one image on the libvirt of the tests")]
struct Options {
    /// Starts a VM from the image and waits for this text on its console.
    #[arg(long)]
    check_console: Option<String>,
    /// Says `{"event":"held"}` before this call of the provider, and then nothing any more.
    #[arg(long)]
    hold: Option<String>,
    /// The image's.
    name: String,
    /// The build context.
    context: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let lab = Lab::new().await;
    let container = InstallContainer::directory(&options.context);
    // Stage 2 reads all of the root disk, and should last long enough to be met in it.
    let mut builder = lab.builder(&options.name, container).root_size(Size::gib(10));
    if let Some(text) = options.check_console {
        builder = builder.boot_check(BootCheck::new(ReadinessProbe::Console(text)));
    }
    let provider = Faulty::never(lab.libvirt).observed(move |_, call| {
        if options.hold.as_deref() == Some(call) {
            println!(r#"{{"event":"held"}}"#);
            loop {
                thread::park();
            }
        }
    });
    tell(&builder, provider).await?;
    Ok(())
}
