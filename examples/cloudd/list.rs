//! `cloudd list`.

use std::time::{SystemTime, UNIX_EPOCH};

use cloudd_core::Provider;
use cloudd_core::provider::{Error, Resource, ResourceId, Selector, keys};
use cloudd_core::retry::with_timeout;
use cloudd_core::text::sanitize_untrusted;
use serde_json::json;

use crate::cli::CloudOptions;
use crate::exit::{Exit, ToolError, argument};
use crate::provider::{CALL_TIMEOUT, provider};

pub(crate) async fn run(cloud: &CloudOptions, json: bool) -> Result<Exit, ToolError> {
    let provider = provider(cloud, None).await?;
    let mut found = resources(&*provider).await?;
    // Images first.
    found.sort_by_key(|it| (!matches!(it.id, ResourceId::Image(_)), it.id.clone()));
    if json {
        for resource in &found {
            println!("{}", json!({"id": argument(&resource.id), "labels": resource.labels}));
        }
        return Ok(Exit::Success);
    }
    if found.is_empty() {
        eprintln!("no resources of cloudd on {provider}");
        return Ok(Exit::Success);
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    let head = ["ID", "NAME", "ARCHITECTURE", "BUILD", "STATE"].map(str::to_owned);
    for row in std::iter::once(&head).chain(&rows) {
        let width = |column: usize| {
            let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let [id, name, architecture, build, state] = row;
        let (a, b, c, d) = (width(0), width(1), width(2), width(3));
        println!("{id:a$}  {name:b$}  {architecture:c$}  {build:d$}  {state}");
    }
    Ok(Exit::Success)
}

/// All resources of cloudd. The request may take [`CALL_TIMEOUT`].
pub(crate) async fn resources(provider: &dyn Provider) -> Result<Vec<Resource>, Error> {
    let everything = Selector::all();
    with_timeout("list", "resources", CALL_TIMEOUT, provider.find(&everything)).await
}

fn row(resource: &Resource) -> [String; 5] {
    let label = |key| sanitize_untrusted(resource.labels.get(key).unwrap_or("-"), 63);
    let state = match resource.id {
        ResourceId::Image(_) => "image".to_owned(),
        _ => expiry(resource),
    };
    [
        argument(&resource.id),
        label(keys::NAME),
        label(keys::ARCHITECTURE),
        label(keys::BUILD),
        state,
    ]
}

/// When the resource expires. A resource without an expiry, such as a VM that was started from an
/// image, does not belong to a build.
fn expiry(resource: &Resource) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expires = resource.labels.get(keys::EXPIRES).and_then(|text| text.parse::<i64>().ok());
    match expires.map(|expires| expires.saturating_sub_unsigned(now)) {
        Some(seconds @ 1..) => format!("build, expires in {} min", seconds / 60 + 1),
        Some(_) => "build, expired".to_owned(),
        None => "no build".to_owned(),
    }
}
