//! A simulated Hetzner Cloud to point any client at.
//!
//! ```text
//! hcloud-sim --listen 127.0.0.1:8080 --token T &
//! HCLOUD_ENDPOINT=http://127.0.0.1:8080/v1 HCLOUD_TOKEN=T hcloud server-type list
//! ```
//! With `--guests qemu --base FILE` its servers are VMs, and FILE is what they boot:
//! `tests/machine/builder-base.sh` makes one in which cloudd can build.
//!
//! `GET /_sim/stats` shows what was asked, and how late clients noticed what had ended.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use cloudd_tests::hcloud_sim::{Faults, GuestScript, GuestTimes, HcloudSim, Qemu};

#[derive(Debug, Parser)]
#[command(version, about = "A simulated Hetzner Cloud")]
struct Options {
    /// Address and port; port 0 is a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A token that may do everything; repeatable.
    #[arg(long, required = true)]
    token: Vec<String>,
    /// A token that may only GET; repeatable.
    #[arg(long)]
    read_only_token: Vec<String>,
    /// So many times faster than real time.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Writes each request and answer to this file, one JSON line each, without tokens.
    #[arg(long)]
    record: Option<PathBuf>,
    /// Scripted faults, e.g. `7:reset@after; POST /servers#1:error=resource_unavailable`.
    #[arg(long, default_value = "", value_parser = Faults::parse)]
    fault: Faults,
    /// Requests an hour.
    #[arg(long, default_value_t = 3600)]
    rate_limit: u32,
    /// What servers are: a script, or VMs under QEMU.
    #[arg(long, default_value = "simulated")]
    guests: Kind,
    /// With --guests qemu: the qcow2 image that stands for every image of Hetzner's.
    #[arg(long, required_if_eq("guests", "qemu"))]
    base: Option<PathBuf>,
    /// With --guests qemu: keeps disks and consoles of the servers here [default: a temporary
    /// directory].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// With --guests qemu: the port of the servers' addresses that is their port 22.
    #[arg(long, default_value_t = 22)]
    ssh_port: u16,
    /// What simulated builders play: success, fail-stage1, fail-stage2, hang or crash-stage1.
    #[arg(long, default_value = "success", value_parser = script)]
    guest: GuestScript,
    /// Seconds a simulated builder's stage 1 takes.
    #[arg(long, default_value_t = 90)]
    stage1: u64,
    /// Seconds a simulated builder's stage 2 takes.
    #[arg(long, default_value_t = 30)]
    stage2: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Simulated,
    Qemu,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed <= 100_000.0 => Ok(speed),
        _ => Err("a speed is a number above 0 and at most 100000".to_owned()),
    }
}

fn script(name: &str) -> Result<GuestScript, String> {
    GuestScript::named(name).ok_or_else(|| format!("there is no script '{name}'"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let options = Options::parse();
    let mut builder = HcloudSim::builder()
        .listen(options.listen)
        .speed(options.speed)
        .faults(options.fault)
        .rate_limit(options.rate_limit)
        .guest_times(GuestTimes {
            stage1: Duration::from_secs(options.stage1),
            stage2: Duration::from_secs(options.stage2),
            ..GuestTimes::default()
        });
    for token in options.token {
        builder = builder.token(token);
    }
    for token in options.read_only_token {
        builder = builder.read_only_token(token);
    }
    if let Some(path) = options.record {
        builder = builder.record(File::create(path)?);
    }
    let temporary = tempfile::tempdir()?;
    if let (Kind::Qemu, Some(base)) = (options.guests, options.base) {
        let dir = options.dir.as_deref().unwrap_or(temporary.path());
        builder = builder.guests(Box::new(Qemu::new(base, dir)?.ssh_port(options.ssh_port)));
    }
    let sim = builder.start()?;
    sim.scripts().otherwise(options.guest);
    println!("listening on {}", sim.endpoint());
    ended().await?;
    println!("{:#}", sim.stats().json());
    Ok(())
}

/// Waits for an interrupt or a request to terminate.
async fn ended() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
