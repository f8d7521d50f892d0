//! The command `cloudd`: images built from a shell or in CI.

mod build;
mod cli;
mod delete;
mod exit;
mod list;
mod place;
mod preview;
mod sweep;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use cli::{Cli, Task};
use exit::Exit;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match cli.task {
        Task::Build(build) => build::run(&cli.place, &build, cli.json).await,
        Task::Preview(build) => preview::run(&cli.place, &build, cli.json).await,
        Task::Sweep { yes } => sweep::run(&cli.place, yes, cli.json).await,
        Task::List => list::run(&cli.place, cli.json).await,
        Task::Delete(delete) => delete::run(&cli.place, &delete, cli.json).await,
        Task::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "cloudd", &mut io::stdout());
            Ok(Exit::Done)
        }
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(trouble) => {
            eprintln!("cloudd: {trouble}");
            trouble.exit.into()
        }
    }
}
