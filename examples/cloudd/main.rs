//! The command `cloudd`: builds images from a shell or in CI.

mod base_images;
mod build;
mod cli;
mod delete;
mod exit;
mod list;
mod preview;
mod provider;
mod sweep;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use cli::{Cli, Command};
use exit::Exit;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { cloud, json, command } = Cli::parse();
    let exit = match command {
        Command::Build(options) => build::run(&cloud, &options, json).await,
        Command::Preview(options) => preview::run(&cloud, &options, json).await,
        Command::Sweep { yes } => sweep::run(&cloud, yes, json).await,
        Command::List => list::run(&cloud, json).await,
        Command::Delete { ids } => delete::run(&cloud, ids, json).await,
        Command::BaseImages { prune } => base_images::run(&cloud, prune, json).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "cloudd", &mut io::stdout());
            Ok(Exit::Success)
        }
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("cloudd: {error}");
            error.exit.into()
        }
    }
}
