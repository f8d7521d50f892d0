//! What builds that were killed leave on a simulated Hetzner Cloud.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloudd_core::provider::keys;
use cloudd_hcloud::Client;
use cloudd_hcloud::client::{Token, Tuning};
use cloudd_hcloud::schema::{CreateVolume, Label, Labels, LocationRef, VolumePlace};

use crate::hcloud_sim::HcloudSim;

/// Creates a volume of a build of image `x` that expires in so many seconds, negative ones in the
/// past; without a number, a volume that is not cloudd's. Gives its id.
///
/// # Panics
/// When the simulator refuses.
#[must_use]
pub fn volume(sim: &HcloudSim, name: &str, expires_in: Option<i64>) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let labels: Vec<(&str, String)> = match expires_in {
        None => vec![("team", "other".to_owned())],
        Some(seconds) => vec![
            (keys::BUILD, "abcdefghij".to_owned()),
            (keys::NAME, "x".to_owned()),
            (keys::EXPIRES, now.saturating_add_signed(seconds).to_string()),
        ],
    };
    let labels: Labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let (key, value) = labels.first_key_value().expect("at least one label");
    let mine = Label::new(key, value).expect("a label");
    let place = VolumePlace::Location(LocationRef::name("fsn1"));
    let wish = CreateVolume::new(name, 10, place).labels(labels.clone());
    let client = Client::builder(Token::new(HcloudSim::TOKEN).expect("a token"))
        .endpoint(sim.endpoint())
        .tuning(Tuning::default().faster(100.0))
        .build()
        .expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let made = runtime.expect("a runtime").block_on(client.create_volume(&wish, &mine));
    made.expect("a volume").resource.id.0
}
