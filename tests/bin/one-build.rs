//! A process that builds one image on a simulated Hetzner Cloud: what tests start to kill it.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cloudd_core::build::{BootCheck, Deadlines, ImageBuilder, ReadinessProbe};
use cloudd_core::install::InstallContainer;
use cloudd_hcloud::Hcloud;
use cloudd_hcloud::client::Token;
use cloudd_tests::process::tell;

#[derive(Debug, Parser)]
#[command(version, about = "Builds one image on a simulated Hetzner Cloud")]
struct Options {
    /// The simulator's.
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    token: String,
    /// How many times faster than real time the simulator is.
    #[arg(long)]
    speed: f64,
    /// Where the guests' SSH server listens. Nothing does at the default.
    #[arg(long, default_value_t = NO_SSH)]
    ssh_port: u16,
    /// Checks whether this TCP port of a VM from the image takes connections.
    #[arg(long)]
    check_port: Option<u16>,
    /// Seconds.
    #[arg(long)]
    lease: Option<u64>,
    /// The build context.
    context: PathBuf,
}

/// A port on which no server listens.
const NO_SSH: u16 = 1;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let hcloud = Hcloud::builder(Token::new(&options.token)?)
        .endpoint(&options.endpoint)
        .clock_speed(options.speed)
        .expected_run_time(Duration::from_secs(120).div_f64(options.speed))
        .ssh_port(options.ssh_port)
        .build()?;
    let mut deadlines = Deadlines::default();
    if let Some(seconds) = options.lease {
        deadlines.lease = Duration::from_secs(seconds);
    }
    let container = InstallContainer::directory(&options.context);
    let mut builder = ImageBuilder::new("leap", container).deadlines(deadlines);
    if options.ssh_port == NO_SSH {
        builder = builder.trust_power_off();
    }
    if let Some(port) = options.check_port {
        builder = builder.boot_check(BootCheck::new(ReadinessProbe::Tcp(port)));
    }
    tell(&builder, hcloud).await?;
    Ok(())
}
