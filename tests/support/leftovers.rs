//! What builds that were killed leave on a simulated Hetzner Cloud.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloudd_core::provider::{BuildId, keys};
use reqwest::Method;
use serde_json::json;

use crate::console::Console;
use crate::hcloud_sim::HcloudSim;

/// Creates the volume of a build of image `x` that expires in so many seconds, negative ones in the
/// past; without a number, a volume of this name that is not cloudd's. Returns its id.
///
/// # Panics
/// When the simulator refuses.
#[must_use]
pub fn volume(sim: &HcloudSim, name: &str, expires_in: Option<i64>) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let build = BuildId::random();
    let name = expires_in.map_or(name.to_owned(), |_| format!("cloudd-{build}"));
    let labels: Vec<(&str, String)> = match expires_in {
        None => vec![("team", "other".to_owned())],
        Some(seconds) => vec![
            (keys::BUILD, build.to_string()),
            (keys::NAME, "x".to_owned()),
            (keys::EXPIRES, now.saturating_add_signed(seconds).to_string()),
        ],
    };
    let labels: BTreeMap<&str, String> = labels.into_iter().collect();
    let body = json!({"name": name, "size": 10, "location": "fsn1", "labels": labels});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let console = Console::new(sim);
    let created = console.send(Method::POST, "/volumes", Some(&body));
    let created = runtime.expect("a runtime").block_on(created);
    created["volume"]["id"].as_u64().expect("an id")
}
