//! `cloudd preview`.

use serde_json::json;

use crate::build::builder;
use crate::cli::{BuildOptions, CloudOptions};
use crate::exit::{Exit, ToolError, error_chain};
use crate::provider::provider;

pub(crate) async fn run(
    cloud: &CloudOptions,
    options: &BuildOptions,
    json: bool,
) -> Result<Exit, ToolError> {
    let builder = builder(options)?;
    let provider = provider(cloud, Some(options)).await?;
    for architecture in &options.arch {
        match builder.clone().architecture(*architecture).preview(&provider).await {
            Ok(preview) if json => {
                println!("{}", json!({"result": "preview", "preview": preview}));
            }
            Ok(preview) => println!("{preview}"),
            Err(error) => {
                eprintln!("cloudd: {}", error_chain(error.kind()));
                return Ok(Exit::of(&error));
            }
        }
    }
    Ok(Exit::Success)
}
