//! Locations.

use serde_json::{Value, json};

/// A place where servers and volumes live.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Location {
    pub id: u64,
    pub name: &'static str,
    city: &'static str,
    country: &'static str,
    latitude: f64,
    longitude: f64,
    zone: &'static str,
    /// Creating a volume here answers `no_space_left_in_location`.
    pub volumes_full: bool,
}

impl Location {
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "description": format!("{} DC Park 1", self.city),
            "country": self.country,
            "city": self.city,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "network_zone": self.zone,
        })
    }
}

const fn location(
    id: u64,
    name: &'static str,
    city: &'static str,
    country: &'static str,
    latitude: f64,
    longitude: f64,
    zone: &'static str,
) -> Location {
    Location { id, name, city, country, latitude, longitude, zone, volumes_full: false }
}

pub(super) const ALL: &[Location] = &[
    location(1, "fsn1", "Falkenstein", "DE", 50.47612, 12.370071, "eu-central"),
    location(2, "nbg1", "Nuremberg", "DE", 49.452102, 11.076665, "eu-central"),
    location(3, "hel1", "Helsinki", "FI", 60.169855, 24.938379, "eu-central"),
    location(4, "ash", "Ashburn", "US", 39.045821, -77.487073, "us-east"),
    location(5, "hil", "Hillsboro", "US", 45.54222, -122.951924, "us-west"),
    Location {
        volumes_full: true,
        ..location(6, "sin", "Singapore", "SG", 1.283333, 103.833333, "ap-southeast")
    },
];
