//! Reads the events of a build, and cancels the build when it takes too long or on Ctrl-C.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use cloudd_core::{BuildErrorKind, BuildEventKind};
use cloudd_examples::{for_simulator, hetzner, interrupted};
use cloudd_hcloud::{ImageBuilder, InstallContainer};

/// Build an image on Hetzner Cloud within a time limit
#[derive(Parser)]
struct Arguments {
    /// Build context of the install container
    #[arg(long, default_value = "examples/containers/hello")]
    context: PathBuf,
    /// Time limit in seconds
    #[arg(long, default_value_t = 1800.0)]
    within: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let builder =
        for_simulator(ImageBuilder::new("hello", InstallContainer::directory(&arguments.context)));
    let mut build = builder.start(Arc::new(hetzner()?));

    // The handle can be cloned, and used by any task.
    let cancel = build.cancel_handle();
    tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs_f64(arguments.within)) => {}
            () = interrupted() => {}
        }
        println!("cancelling");
        cancel.cancel();
    });

    let mut events = build.events();
    while let Some(event) = events.next().await {
        match event.kind {
            BuildEventKind::Phase { phase } => {
                println!("{:6.1} s  {phase}", event.at.as_secs_f64());
            }
            BuildEventKind::Log { line, .. } => println!("          {line}"),
            BuildEventKind::Progress { what, done, total: Some(total) } => {
                println!("          {what}: {done} of {total}");
            }
            _ => {}
        }
    }
    // A cancelled build deletes its resources before it ends.
    match build.await {
        Ok(built) => println!("{}", built.image.id),
        Err(error) if matches!(error.kind(), BuildErrorKind::Cancelled) => {
            println!("cancelled in phase {}; remaining: {:?}", error.phase(), error.remaining());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
