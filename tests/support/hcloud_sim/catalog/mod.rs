//! What the simulated Hetzner sells: fixtures, among them what is sold out or deprecated.
//!
//! Names and sizes resemble the real ones; prices and availability are made up. What a test may
//! rely on stands beside each entry.

mod locations;
mod prices;
mod server_types;
mod system_images;

use serde_json::{Value, json};

pub(crate) use locations::Location;
pub(crate) use server_types::{Availability, ServerType};
pub(crate) use system_images::SystemImage;

use super::clock::Time;
use super::wire::Reference;

/// Everything that is the same for every project.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// Deprecations are dated relative to this.
    opened: Time,
}

impl Catalog {
    pub(crate) fn new(opened: Time) -> Self {
        Self { opened }
    }

    pub(crate) fn locations(&self) -> &'static [Location] {
        locations::ALL
    }

    pub(crate) fn location(&self, reference: &Reference) -> Option<&'static Location> {
        locations::ALL.iter().find(|l| reference.is(l.id, l.name))
    }

    pub(crate) fn server_types(&self) -> &'static [ServerType] {
        server_types::ALL
    }

    pub(crate) fn server_type(&self, reference: &Reference) -> Option<&'static ServerType> {
        server_types::ALL.iter().find(|t| reference.is(t.id, t.name))
    }

    pub(crate) fn system_images(&self) -> &'static [SystemImage] {
        system_images::ALL
    }

    /// The `deprecation` object of something announced as deprecated this many days before the
    /// simulator started and not to be had from `lead` days after the announcement.
    pub(crate) fn deprecation(&self, age: u64, lead: u64) -> Value {
        let announced = self.opened.before(days(age));
        json!({
            "announced": announced.rfc3339(),
            "unavailable_after": announced.after(days(lead)).rfc3339(),
        })
    }

    /// A server type as the API shows it.
    pub(crate) fn server_type_json(&self, of: &ServerType) -> Value {
        let entries: Vec<_> = of.sold_in.iter().map(|(name, availability)| {
            let location = self.location(&Reference::Name((*name).to_owned()));
            json!({
                "id": location.map(|l| l.id),
                "name": name,
                "deprecation": match availability {
                    Availability::Leaving => self.deprecation(30, 90),
                    Availability::Left => self.deprecation(120, 90),
                    _ => Value::Null,
                },
                "recommended": *availability == Availability::Recommended,
                "available": matches!(availability, Availability::Recommended | Availability::Sold
                    | Availability::Unplaceable | Availability::Leaving),
            })
        }).collect();
        json!({
            "id": of.id,
            "name": of.name,
            "description": of.name.to_uppercase(),
            "cores": of.cores,
            "memory": of.memory,
            "disk": of.disk,
            "prices": prices::of_server_type(of),
            "storage_type": "local",
            "cpu_type": if of.dedicated { "dedicated" } else { "shared" },
            "category": if of.dedicated { "General Purpose" } else { "Cost-Optimized" },
            "architecture": of.architecture,
            "deprecation": null,
            "locations": entries,
        })
    }

    /// The price list.
    pub(crate) fn pricing_json(&self) -> Value {
        prices::all()
    }
}

fn days(count: u64) -> std::time::Duration {
    std::time::Duration::from_secs(count * 86_400)
}
