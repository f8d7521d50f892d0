//! `cloudd list`.

use std::time::{SystemTime, UNIX_EPOCH};

use cloudd_core::provider::{Resource, ResourceId, Selector, keys};
use serde_json::json;

use crate::cli::Place;
use crate::exit::{Exit, Trouble, handle};
use crate::place::provider;

pub(crate) async fn run(place: &Place, json: bool) -> Result<Exit, Trouble> {
    let provider = provider(place, None).await?;
    let mut found = provider.find(&Selector::all()).await?;
    // Images first: they are what one looks for.
    found.sort_by_key(|it| (!matches!(it.id, ResourceId::Image(_)), it.id.clone()));
    if json {
        for resource in &found {
            println!("{}", json!({"id": handle(&resource.id), "labels": resource.labels}));
        }
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        eprintln!("cloudd has nothing on {provider}");
        return Ok(Exit::Done);
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
    Ok(Exit::Done)
}

fn row(resource: &Resource) -> [String; 5] {
    let label = |key| resource.labels.get(key).unwrap_or("-").to_owned();
    let state = match resource.id {
        ResourceId::Image(_) => "image".to_owned(),
        _ => leftover(resource),
    };
    [handle(&resource.id), label(keys::NAME), label(keys::ARCHITECTURE), label(keys::BUILD), state]
}

/// Whether a build may still use it.
fn leftover(resource: &Resource) -> String {
    match seconds_to_live(resource) {
        Some(left @ 1..) => format!("in a build, for {} minutes at most", left / 60 + 1),
        Some(_) => "left by a dead build".to_owned(),
        None => "not of a build".to_owned(),
    }
}

/// The seconds until a resource expires, negative when it has; `None` for one that does not, such
/// as a VM that was started from an image.
fn seconds_to_live(resource: &Resource) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let expires: i64 = resource.labels.get(keys::EXPIRES)?.parse().ok()?;
    Some(expires.saturating_sub_unsigned(now))
}
