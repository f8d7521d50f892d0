//! Progress, and an end before the end: follows the events of a build by itself, keeps the last
//! lines of the guest's log, and cancels when it takes longer than allowed or is interrupted.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cloudd_core::build::{BuildErrorKind, BuildEventKind};
use cloudd_examples::{hetzner, interrupted};
use cloudd_hcloud::{ImageBuilder, InstallContainer};

/// Build an image on Hetzner Cloud, or give up
#[derive(Parser)]
struct Arguments {
    /// The build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 1800.0)]
    within: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let hetzner = hetzner()?;
    let builder = ImageBuilder::new("hello", InstallContainer::directory(&arguments.context));
    let (build, control) = builder.build_with_control(&hetzner);
    let (mut events, cancel) = (control.events, control.cancel);

    let watch = async {
        while let Some(event) = events.next().await {
            match event.kind {
                BuildEventKind::Phase { phase } => {
                    println!("{:6.1} s  {phase}", event.at.as_secs_f64())
                }
                BuildEventKind::Log { line, .. } => println!("          {line}"),
                BuildEventKind::Progress { what, done, total: Some(total) } => {
                    println!("          {what}: {done} of {total}");
                }
                _ => {}
            }
        }
    };
    // A handle, so that anything may cancel: a clock, a signal, a button.
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(arguments.within)) => {}
            () = interrupted() => {}
        }
        println!("giving up");
        cancel.cancel();
    });
    // A cancelled build is not over: it deletes what it made, and then returns.
    let (result, ()) = tokio::join!(build, watch);
    match result {
        Ok(image) => println!("{}", image.id),
        Err(error) if matches!(error.kind(), BuildErrorKind::Cancelled) => {
            println!("cancelled in phase {}; left behind: {:?}", error.phase(), error.remaining());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
