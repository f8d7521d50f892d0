//! The command line.

use std::env::VarError;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use cloudd_core::provider::{InvalidName, ResourceId};
use cloudd_core::{Architecture, ReadinessProbe, Size, containers};
use jiff::SignedDuration;

/// Build operating-system images on clouds that only snapshot your own servers
#[derive(Debug, Parser)]
#[command(
    name = "cloudd",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 success, 1 failed, 2 invalid input (nothing was created), 3 some\n\
                  resources remain that may cost money, 130 interrupted and cleaned up."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) cloud: CloudOptions,
    /// Print JSON lines on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The cloud and the connection to it.
#[derive(Debug, Args)]
pub(crate) struct CloudOptions {
    /// hcloud (default; needs HCLOUD_TOKEN) or libvirt
    #[arg(long, value_name = "CLOUD", value_enum, default_value = "hcloud", global = true)]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub(crate) on: Cloud,
    /// libvirt: URI of the connection
    #[arg(long, global = true, default_value = "qemu:///system", hide_default_value = true)]
    pub(crate) uri: String,
    /// libvirt: storage pool
    #[arg(long, global = true, default_value = "default", hide_default_value = true)]
    pub(crate) pool: String,
}

/// The providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cloud {
    Hcloud,
    Libvirt,
}

/// What happens to the existing images of a build with `--force`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Force {
    /// They are kept.
    Keep,
    /// They are deleted once the new image is available.
    Replace,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image and print its id
    Build(Box<BuildOptions>),
    /// Print what a build would do, and change nothing
    Preview(Box<BuildOptions>),
    /// List what crashed builds left, and delete it with --yes
    Sweep {
        /// Delete it
        #[arg(long)]
        yes: bool,
    },
    /// List images and all other resources of cloudd
    List,
    /// Delete images and other resources of cloudd
    Delete {
        /// Ids of images, or vm/ID, volume/ID … as printed by `cloudd list`
        #[arg(required = true, value_name = "ID", value_parser = resource_id)]
        ids: Vec<ResourceId>,
    },
    /// libvirt: list the base images in the pool
    BaseImages {
        /// Delete those that are older and used by no disk
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
        prune: Option<u32>,
    },
    /// Print a completion script for a shell
    Completions {
        /// bash, elvish, fish, powershell or zsh
        #[arg(hide_possible_values = true)]
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BuildOptions {
    /// Name of the image
    pub(crate) name: String,
    /// Directory with a Containerfile [or --builtin, --reference]
    #[arg(required_unless_present_any = ["builtin", "reference"])]
    pub(crate) context: Option<PathBuf>,
    /// Container included in cloudd, such as debian
    #[arg(long, value_name = "CONTAINER", conflicts_with_all = ["context", "reference"])]
    #[arg(value_parser = PossibleValuesParser::new(containers::names()))]
    #[arg(hide_possible_values = true)]
    pub(crate) builtin: Option<String>,
    /// Its configuration: Ignition, a .nix file …
    #[arg(long, value_name = "FILE", requires = "builtin")]
    pub(crate) config: Option<PathBuf>,
    /// Image of an install container, to be pulled
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["context", "build_arg"])]
    pub(crate) reference: Option<String>,
    /// auth.json with credentials for registries
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_auth: Option<PathBuf>,
    /// x86_64 or aarch64; repeat to build several
    #[arg(long, value_name = "ARCH", default_value = "x86_64", hide_default_value = true)]
    pub(crate) arch: Vec<Architecture>,
    /// Size of the volume
    #[arg(long, value_name = "SIZE", default_value = "10GiB")]
    pub(crate) volume_size: Size,
    /// ARG of the Containerfile; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) build_arg: Vec<(String, String)>,
    /// Environment of the container; repeatable
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Label of the image; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
    /// Build again; keep or replace existing images
    #[arg(long, value_enum, value_name = "EXISTING", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "keep", hide_possible_values = true)]
    pub(crate) force: Option<Force>,
    /// Keep only this many images of this name
    #[arg(long, value_name = "IMAGES")]
    pub(crate) keep_newest: Option<NonZeroUsize>,
    /// Boot check: tcp:22 ssh:22 http:80/ console:X
    #[arg(long, value_name = "PROBE")]
    pub(crate) boot_check: Option<ReadinessProbe>,
    /// Accept power-off as success without SSH
    #[arg(long)]
    pub(crate) trust_power_off: bool,
    /// Keep builder VM and volume on failure
    #[arg(long)]
    pub(crate) keep: bool,
    /// User on the builder VM, for debugging
    #[arg(long, value_name = "NAME", requires = "debug_key")]
    pub(crate) debug_user: Option<String>,
    /// File with the SSH public key of that user
    #[arg(long, value_name = "FILE", requires = "debug_user")]
    pub(crate) debug_key: Option<PathBuf>,
    /// Deadline, such as stage1=2h; repeatable
    #[arg(long, value_name = "NAME=TIME", value_parser = deadline)]
    pub(crate) deadline: Vec<(Deadline, Duration)>,
    /// hcloud: location, preferred first; repeatable
    #[arg(long)]
    pub(crate) location: Vec<String>,
    /// hcloud: type, preferred first; repeatable
    #[arg(long, value_name = "TYPE")]
    pub(crate) server_type: Vec<String>,
    /// hcloud: builder without an IPv4 address
    #[arg(long)]
    pub(crate) ipv6_only: bool,
    /// hcloud: image name; libvirt: disk image file
    #[arg(long, env = "CLOUDD_BASE", hide_env = true)]
    pub(crate) base: Option<String>,
}

/// Parses an id as `cloudd list` prints it. An id without a kind is that of an image, as `cloudd
/// build` prints it.
fn resource_id(text: &str) -> Result<ResourceId, InvalidName> {
    match text.contains(['/', ' ']) {
        true => text.parse(),
        false => Ok(ResourceId::Image(text.parse()?)),
    }
}

/// A field of [`Deadlines`](cloudd_core::Deadlines).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deadline {
    Call,
    Prepare,
    Boot,
    Route,
    Upload,
    Stage1,
    Silence,
    Stage2,
    PowerOff,
    Image,
    BootCheck,
    Teardown,
    Lease,
}

/// Parses `NAME=TIME`, with a time such as `90s`, `30m` or `1h 30m`.
fn deadline(text: &str) -> Result<(Deadline, Duration), String> {
    let (name, time) = text.split_once('=').ok_or("expected NAME=TIME, such as stage1=2h")?;
    let name = Deadline::from_str(name, false).map_err(|_| {
        let names = Deadline::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<_> = names.map(|name| name.get_name().to_owned()).collect();
        format!("expected one of {}", names.join(", "))
    })?;
    let time: SignedDuration = time.parse().map_err(|error| format!("{error}"))?;
    let time = Duration::try_from(time).map_err(|_| "a deadline is not negative")?;
    Ok((name, time))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses `NAME=VALUE`, or takes the value of the variable `NAME` of this process, as podman does. So a
/// secret need not be in the list of processes and the history of the shell.
fn variable(text: &str) -> Result<(String, String), String> {
    if text.contains('=') {
        return pair(text);
    }
    match std::env::var(text) {
        Ok(value) => Ok((text.to_owned(), value)),
        Err(VarError::NotPresent) => {
            Err("expected NAME=VALUE, or the name of a variable that is set".into())
        }
        Err(VarError::NotUnicode(_)) => Err("the value of the variable is not UTF-8".into()),
    }
}

#[cfg(test)]
mod tests {
    use cloudd_core::ImageId;
    use cloudd_core::provider::VolumeId;

    use super::*;

    #[test]
    fn clap_accepts_the_definition_of_the_command_line() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn an_id_without_a_kind_is_that_of_an_image() {
        assert_eq!(resource_id("42"), Ok(ImageId::new("42").into()));
        assert_eq!(resource_id("image/42"), Ok(ImageId::new("42").into()));
        assert_eq!(resource_id("volume/42"), Ok(VolumeId::new("42").into()));
        for bad in ["", "vm/", "nonsense/1"] {
            assert!(resource_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_parsed_by_the_library() {
        let line = "cloudd build x . --boot-check http:80/health --volume-size 512M --arch arm64";
        let Command::Build(options) = Cli::parse_from(line.split(' ')).command else { panic!() };
        let health = ReadinessProbe::Http { port: 80, path: "/health".to_owned() };
        assert_eq!(options.boot_check, Some(health));
        assert_eq!(options.volume_size, Size::mib(512));
        assert_eq!(options.arch, [Architecture::Aarch64]);
    }

    #[test]
    fn a_deadline_has_a_name_and_a_time_with_a_unit() {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        assert_eq!(deadline("stage1=2h"), Ok((Deadline::Stage1, minutes(120))));
        assert_eq!(deadline("power-off=1h 30m"), Ok((Deadline::PowerOff, minutes(90))));
        for (bad, reason) in
            [("stage1", "NAME=TIME"), ("x=1h", "silence"), ("boot=5", ""), ("boot=-1h", "negative")]
        {
            let error = deadline(bad).unwrap_err();
            assert!(error.contains(reason), "{bad}: {error}");
        }
    }

    #[test]
    fn a_variable_without_a_value_has_the_value_that_it_has_here() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(variable("A=b=c"), pair("A", "b=c"));
        assert_eq!(variable("PATH="), pair("PATH", ""));
        assert_eq!(variable("PATH"), pair("PATH", &std::env::var("PATH").unwrap()));
        assert!(variable("CLOUDD_TEST_NOT_SET").unwrap_err().contains("expected NAME=VALUE"));
    }
}
