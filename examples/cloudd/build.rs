//! `cloudd build`.

use std::fs;
use std::path::Path;

use cloudd_core::build::{
    BootCheck, BuildError, Builds, Events, ImageBuilder, OnFailure, ReusePolicy,
};
use cloudd_core::cloud_init::User;
use cloudd_core::install::{InstallContainer, containers};
use cloudd_core::provider::Image;
use cloudd_examples::{cancel_on_interrupt, narrate};
use serde_json::json;

use crate::cli::{Build, Force, Place};
use crate::exit::{Exit, Trouble, advice, handle};
use crate::place::provider;

pub(crate) async fn run(place: &Place, build: &Build, json: bool) -> Result<Exit, Trouble> {
    let builder = builder(build)?;
    let provider = provider(place, Some(build)).await?;
    let mut builds = Builds::new();
    for architecture in &build.arch {
        builds = builds.add(builder.clone().architecture(*architecture), &*provider);
    }
    let (run, control) = builds.run_with_control();
    cancel_on_interrupt(control.cancel);
    let titles: Vec<_> = match &build.arch[..] {
        [_] => Vec::new(),
        several => several.iter().map(|it| format!("{} {it}", build.name)).collect(),
    };
    let told = async {
        match json {
            true => print_events(control.events).await,
            false => narrate(control.events, &titles).await,
        }
    };
    let (results, ()) = tokio::join!(run, told);
    let exits = results.iter().map(|result| report(result, json));
    Ok(exits.max().unwrap_or(Exit::Done))
}

pub(crate) fn builder(build: &Build) -> Result<ImageBuilder, Trouble> {
    let container = container(build)?;
    let mut builder = ImageBuilder::new(&build.name, container).volume_size(build.volume_size);
    for (key, value) in &build.label {
        builder = builder.label(key, value);
    }
    if let (Some(name), Some(path)) = (&build.debug_user, &build.debug_key) {
        let key = read(path)?;
        let user = User::new(name).sudo("ALL=(ALL) NOPASSWD:ALL").shell("/bin/bash");
        builder = builder.debug_user(user.authorized_key(key.trim()));
    }
    if build.keep {
        builder = builder.on_failure(OnFailure::Keep);
    }
    builder = builder.reuse(match build.force {
        None => ReusePolicy::SameInputs,
        Some(Force::Keep) => ReusePolicy::Never,
        Some(Force::Replace) => ReusePolicy::Replace,
    });
    if let Some(images) = build.keep_newest {
        builder = builder.keep_newest(images);
    }
    if let Some(sign) = &build.boot_check {
        builder = builder.boot_check(BootCheck::new(sign.clone()));
    }
    Ok(builder)
}

fn container(build: &Build) -> Result<InstallContainer, Trouble> {
    let built_in = build.builtin.as_deref().and_then(containers::by_name);
    let mut container = match (&build.context, &build.reference, built_in) {
        (Some(context), _, _) => InstallContainer::directory(context),
        (None, Some(reference), _) => InstallContainer::reference(reference),
        (None, None, Some(built_in)) => built_in,
        (None, None, None) => {
            return Err(Trouble::input("a context, --builtin or --reference is needed"));
        }
    };
    if let Some(path) = &build.config {
        container = container.config(read(path)?);
    }
    for (name, value) in &build.build_arg {
        container = container.build_arg(name, value);
    }
    for (name, value) in &build.env {
        container = container.env(name, value);
    }
    Ok(container)
}

fn read(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path)
        .map_err(|error| Trouble::input(format!("cannot read {}: {error}", path.display())))
}

/// Each event as a line of JSON.
async fn print_events(mut events: Events) {
    while let Some(event) = events.next().await {
        match serde_json::to_string(&event) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("cloudd: an event that is no JSON: {error}"),
        }
    }
}

/// The last line of a build: on stdout the image's id, or JSON; on stderr what went wrong.
fn report(result: &Result<Image, BuildError>, json: bool) -> Exit {
    match result {
        Ok(image) if json => {
            println!("{}", json!({"result": "image", "image": image}));
            Exit::Done
        }
        Ok(image) => {
            println!("{}", image.id);
            Exit::Done
        }
        Err(error) => {
            if json {
                let left: Vec<_> = error.remaining().iter().map(handle).collect();
                println!(
                    "{}",
                    json!({
                        "result": "error",
                        "build": error.build(),
                        "phase": error.phase(),
                        "cause": error.kind().to_string(),
                        "log": error.log_tail(),
                        "left": left,
                        "image": error.image(),
                        "advice": advice(error),
                    })
                );
            } else {
                eprintln!("cloudd: {error}");
                if let Some(advice) = advice(error) {
                    eprintln!("{advice}");
                }
            }
            Exit::of(error)
        }
    }
}
