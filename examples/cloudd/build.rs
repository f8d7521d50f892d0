//! `cloudd build`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use cloudd_core::build::{BootCheck, Deadlines, Events};
use cloudd_core::cloud_init::User;
use cloudd_core::provider::Size;
use cloudd_core::{
    BuildError, Builds, BuiltImage, ImageBuilder, InstallContainer, OnFailure, ReusePolicy,
    containers,
};
use cloudd_examples::{cancel_on_interrupt, for_simulator, print_events};
use serde_json::json;

use crate::cli::{BuildOptions, CloudOptions, Deadline, Force};
use crate::exit::{Exit, ToolError, advice, argument, delete_command, error_chain};
use crate::provider::provider;

pub(crate) async fn run(
    cloud: &CloudOptions,
    options: &BuildOptions,
    json: bool,
) -> Result<Exit, ToolError> {
    let builder = builder(options)?;
    let provider = provider(cloud, Some(options)).await?;
    let mut builds = Builds::new();
    for architecture in &options.arch {
        builds = builds.add(builder.clone().architecture(*architecture), &provider);
    }
    let mut running = builds.start();
    cancel_on_interrupt(running.cancel_handle());
    if json {
        print_json(running.events()).await;
    } else {
        let titles: Vec<_> = match &options.arch[..] {
            [_] => Vec::new(),
            several => several.iter().map(|it| format!("{} {it}", options.name)).collect(),
        };
        print_events(running.events(), &titles).await;
    }
    let exits = running.await.into_iter().map(|result| match result {
        Ok(built) => print_image(&built, json),
        Err(error) => print_error(&error, json),
    });
    Ok(exits.max().unwrap_or(Exit::Success))
}

/// The builder that the options describe, without an architecture.
pub(crate) fn builder(options: &BuildOptions) -> Result<ImageBuilder, ToolError> {
    let container = container(options)?;
    let mut builder = ImageBuilder::new(&options.name, container).volume_size(options.volume_size);
    for (key, value) in &options.label {
        builder = builder.label(key, value);
    }
    if let (Some(name), Some(path)) = (&options.debug_user, &options.debug_key) {
        let key = read(path)?;
        let user = User::new(name).sudo("ALL=(ALL) NOPASSWD:ALL").shell("/bin/bash");
        builder = builder.debug_user(user.authorized_key(key.trim()));
    }
    builder = builder.deadlines(deadlines(&options.deadline));
    if options.keep {
        builder = builder.on_failure(OnFailure::Keep);
    }
    builder = builder.reuse(match options.force {
        None => ReusePolicy::SameInputs,
        Some(Force::Keep) => ReusePolicy::Never,
        Some(Force::Replace) => ReusePolicy::Replace,
    });
    if let Some(images) = options.keep_newest {
        builder = builder.keep_newest(images);
    }
    if options.trust_power_off {
        builder = builder.trust_power_off();
    }
    builder = for_simulator(builder);
    if let Some(probe) = &options.boot_check {
        builder = builder.boot_check(BootCheck::new(probe.clone()));
    }
    Ok(builder)
}

/// The default deadlines with these changes.
fn deadlines(changes: &[(Deadline, Duration)]) -> Deadlines {
    let mut deadlines = Deadlines::default();
    for (name, time) in changes {
        let deadline = match name {
            Deadline::Call => &mut deadlines.call,
            Deadline::Prepare => &mut deadlines.prepare,
            Deadline::Boot => &mut deadlines.boot,
            Deadline::Route => &mut deadlines.route,
            Deadline::Upload => &mut deadlines.upload,
            Deadline::Stage1 => &mut deadlines.stage1,
            Deadline::Silence => &mut deadlines.silence,
            Deadline::Stage2 => &mut deadlines.stage2,
            Deadline::PowerOff => &mut deadlines.power_off,
            Deadline::Image => &mut deadlines.image,
            Deadline::BootCheck => &mut deadlines.boot_check,
            Deadline::Teardown => &mut deadlines.teardown,
            Deadline::Lease => &mut deadlines.lease,
        };
        *deadline = *time;
    }
    deadlines
}

fn container(options: &BuildOptions) -> Result<InstallContainer, ToolError> {
    let built_in = options.builtin.as_deref().and_then(containers::by_name);
    let mut container = match (&options.context, &options.reference, built_in) {
        (Some(context), _, _) => InstallContainer::directory(context),
        (None, Some(reference), _) => InstallContainer::reference(reference),
        (None, None, Some(built_in)) => built_in,
        (None, None, None) => {
            return Err(ToolError::input("a context, --builtin or --reference is needed"));
        }
    };
    if let Some(path) = &options.config {
        container = container.config(read(path)?);
    }
    if let Some(path) = &options.registry_auth {
        container = container.registry_auth(read(path)?);
    }
    for (name, value) in &options.build_arg {
        container = container.build_arg(name, value);
    }
    for (name, value) in &options.env {
        container = container.env(name, value);
    }
    Ok(container)
}

/// The longest file of `--config` and `--debug-key`, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads a text of at most [`MAX_FILE`] bytes. A pipe is read to its end, so that the output of a
/// program can be given as `<(program)`.
fn read(path: &Path) -> Result<String, ToolError> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(|error| ToolError::input(format!("cannot read {}: {error}", path.display())))?;
    if text.len() as u64 > MAX_FILE {
        let limit = Size::bytes(MAX_FILE);
        return Err(ToolError::input(format!("{} is longer than {limit}", path.display())));
    }
    Ok(text)
}

/// Prints each event as a line of JSON.
async fn print_json(mut events: Events) {
    while let Some(event) = events.next().await {
        match serde_json::to_string(&event) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("cloudd: an event cannot be written as JSON: {error}"),
        }
    }
}

/// Prints the image of a build on stdout: its id, or JSON. Resources that could not be deleted are a
/// warning on stderr, or in the JSON.
fn print_image(built: &BuiltImage, json: bool) -> Exit {
    let leftovers = built.leftovers.as_ref();
    let remaining = leftovers.map_or(&[][..], |leftovers| &leftovers.resources);
    let advice = leftovers.map(|_| delete_command(remaining));
    if json {
        let remaining: Vec<_> = remaining.iter().map(argument).collect();
        println!(
            "{}",
            json!({
                "result": "image",
                "image": built.image,
                "remaining": remaining,
                "advice": advice,
            })
        );
    } else {
        println!("{}", built.image.id);
        if let (Some(leftovers), Some(advice)) = (leftovers, advice) {
            eprintln!("cloudd: warning: {leftovers}\n{advice}");
        }
    }
    if leftovers.is_some() { Exit::Remaining } else { Exit::Success }
}

/// Prints the error of a build: on stderr, or as JSON on stdout.
fn print_error(error: &BuildError, json: bool) -> Exit {
    let advice = advice(error);
    if json {
        let remaining: Vec<_> = error.remaining().iter().map(argument).collect();
        println!(
            "{}",
            json!({
                "result": "error",
                "build": error.build(),
                "phase": error.phase(),
                "reason": error_chain(error.kind()),
                "log": error.log_tail(),
                "remaining": remaining,
                "advice": advice,
            })
        );
    } else {
        eprintln!("cloudd: {}", error.report());
        if let Some(advice) = advice {
            eprintln!("{advice}");
        }
    }
    Exit::of(error)
}
