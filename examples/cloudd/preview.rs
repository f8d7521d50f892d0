//! `cloudd preview`.

use cloudd_core::build::BuildError;
use serde_json::json;

use crate::build::builder;
use crate::cli::{Build, Place};
use crate::exit::{Exit, Trouble};
use crate::place::provider;

pub(crate) async fn run(place: &Place, build: &Build, json: bool) -> Result<Exit, Trouble> {
    let builder = builder(build)?;
    let provider = provider(place, Some(build)).await?;
    for architecture in &build.arch {
        let preview = match builder.clone().architecture(*architecture).preview(&*provider).await {
            Ok(preview) => preview,
            Err(error) => return Ok(failed(&error)),
        };
        if json {
            println!("{}", json!({"result": "preview", "preview": preview}));
        } else {
            println!("{preview}");
        }
    }
    Ok(Exit::Done)
}

fn failed(error: &BuildError) -> Exit {
    eprintln!("cloudd: {}", error.kind());
    Exit::of(error)
}
