//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use cloudd_core::build::ReadinessProbe;
use cloudd_core::install::containers::names;
use cloudd_core::provider::{Architecture, Size};

/// Build operating-system images on clouds that only snapshot your own servers
#[derive(Debug, Parser)]
#[command(
    name = "cloudd",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 bad input (nothing was created), 3 something \
                  is\nleft that costs money, 130 interrupted and cleaned up."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print JSON lines on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// Where.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Where: hcloud (HCLOUD_TOKEN) or libvirt
    #[arg(long, value_name = "CLOUD", value_enum, default_value = "hcloud", global = true)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) on: Cloud,
    /// libvirt: the connection
    #[arg(long, global = true, default_value = "qemu:///system", hide_default_value = true)]
    pub(crate) uri: String,
    /// libvirt: the storage pool
    #[arg(long, global = true, default_value = "default", hide_default_value = true)]
    pub(crate) pool: String,
}

/// The providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cloud {
    Hcloud,
    Libvirt,
}

/// What becomes of the image that a forced build makes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Force {
    Keep,
    Replace,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Build an image and print its id
    Build(Box<Build>),
    /// Say what a build would use, and change nothing
    Preview(Box<Build>),
    /// Show what dead builds have left, and delete it with --yes
    Sweep {
        /// Delete it
        #[arg(long)]
        yes: bool,
    },
    /// List images, and whatever else cloudd made and has not deleted
    List,
    /// Delete images, or what a build has left
    Delete(Delete),
    /// Print a completion script for a shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        #[arg(hide_possible_values = true)]
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The name of the image
    pub(crate) name: String,
    /// Directory with a Containerfile [or --builtin, --reference]
    #[arg(required_unless_present_any = ["builtin", "reference"])]
    pub(crate) context: Option<PathBuf>,
    /// Container that comes with cloudd, as debian
    #[arg(long, value_name = "CONTAINER", conflicts_with_all = ["context", "reference"])]
    #[arg(value_parser = PossibleValuesParser::new(names()), hide_possible_values = true)]
    pub(crate) builtin: Option<String>,
    /// Its configuration: Ignition, a .nix file …
    #[arg(long, value_name = "FILE", requires = "builtin")]
    pub(crate) config: Option<PathBuf>,
    /// Image of an install container, to be pulled
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["context", "build_arg"])]
    pub(crate) reference: Option<String>,
    /// x86_64 or aarch64; repeatable, built at once
    #[arg(long, value_name = "ARCH", value_parser = architecture, default_value = "x86_64", hide_default_value = true)]
    pub(crate) arch: Vec<Architecture>,
    /// Size of the volume
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "10GiB")]
    pub(crate) volume_size: Size,
    /// ARG of the Containerfile; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) build_arg: Vec<(String, String)>,
    /// Environment of the container; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// Label of the image; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
    /// Build although it exists [keep or replace]
    #[arg(long, value_enum, value_name = "OLD", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "keep", hide_possible_values = true)]
    pub(crate) force: Option<Force>,
    /// Keep so many images of this name
    #[arg(long, value_name = "IMAGES")]
    pub(crate) keep_newest: Option<NonZeroUsize>,
    /// Boot it first: tcp:22 ssh:22 http:80/ console:X
    #[arg(long, value_name = "SIGN", value_parser = sign)]
    pub(crate) boot_check: Option<ReadinessProbe>,
    /// Keep builder VM and volume when it fails
    #[arg(long)]
    pub(crate) keep: bool,
    /// User on the builder VM, to look into it
    #[arg(long, value_name = "NAME", requires = "debug_key")]
    pub(crate) debug_user: Option<String>,
    /// File with the SSH public key of that user
    #[arg(long, value_name = "FILE", requires = "debug_user")]
    pub(crate) debug_key: Option<PathBuf>,
    /// hcloud: location, best first; repeatable
    #[arg(long)]
    pub(crate) location: Vec<String>,
    /// hcloud: server type, best first; repeatable
    #[arg(long, value_name = "TYPE")]
    pub(crate) server_type: Vec<String>,
    /// hcloud: image name; libvirt: disk image file
    #[arg(long, env = "CLOUDD_BASE", hide_env = true)]
    pub(crate) base: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Ids of images, or vm/ID, volume/ID … as `cloudd list` shows them
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
}

fn architecture(text: &str) -> Result<Architecture, String> {
    match text {
        "x86_64" | "amd64" | "x86" => Ok(Architecture::X86_64),
        "aarch64" | "arm64" | "arm" => Ok(Architecture::Aarch64),
        _ => Err("expected x86_64 or aarch64".to_owned()),
    }
}

fn sign(text: &str) -> Result<ReadinessProbe, String> {
    const EXPECTED: &str = "expected tcp:PORT, ssh:PORT, http:PORT/PATH or console:TEXT";
    let (kind, rest) = text.split_once(':').ok_or(EXPECTED)?;
    let port = |text: &str| text.parse().map_err(|_| EXPECTED.to_owned());
    match kind {
        "tcp" => Ok(ReadinessProbe::Tcp(port(rest)?)),
        "ssh" => Ok(ReadinessProbe::Ssh(port(rest)?)),
        "http" => {
            let (number, path) = rest.split_once('/').unwrap_or((rest, ""));
            Ok(ReadinessProbe::Http { port: port(number)?, path: format!("/{path}") })
        }
        "console" => Ok(ReadinessProbe::Console(rest.to_owned())),
        _ => Err(EXPECTED.to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn size(text: &str) -> Result<Size, String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let count: u64 = number.parse().map_err(|_| "expected a size such as 10GiB or 512MiB")?;
    match &text[number.len()..] {
        "GiB" | "G" => Ok(Size::gib(count)),
        "MiB" | "M" => Ok(Size::mib(count)),
        _ => Err("expected a size such as 10GiB or 512MiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_nothing_wrong_with_the_command_line() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn signs_of_life_are_read() {
        assert_eq!(sign("tcp:22"), Ok(ReadinessProbe::Tcp(22)));
        let health = ReadinessProbe::Http { port: 80, path: "/health".to_owned() };
        assert_eq!(sign("http:80/health"), Ok(health));
        assert_eq!(sign("console:a: b"), Ok(ReadinessProbe::Console("a: b".to_owned())));
        for bad in ["", "tcp", "tcp:x", "udp:1"] {
            assert!(sign(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(size("10GiB"), Ok(Size::gib(10)));
        assert_eq!(size("512M"), Ok(Size::mib(512)));
        for bad in ["", "10", "GiB", "10GB", "-1GiB", "1.5GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
