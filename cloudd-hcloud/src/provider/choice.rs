//! Which server type, and where.

use std::fmt::Display;

use cloudd_core::provider::{Architecture, Error, ErrorKind, Result, Size};
use rust_decimal::Decimal;

use super::architecture;
use super::builder::Config;
use crate::schema::{ServerType, Timestamp};

/// A server type in a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) server_type: String,
    pub(super) location: String,
    pub(super) disk: Size,
}

/// What a server is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) architecture: Architecture,
    pub(super) disk: Disk,
}

/// How large a root disk is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    /// At least so large, and all places of one size: the image must not be larger in one place
    /// than in another.
    AtLeast(Size),
    /// Exactly that size, as was offered.
    Exactly(Size),
    /// At least so large.
    From(Size),
}

/// The size of a root disk of so many GB, decimal ones.
///
/// Hetzner does not say which gigabyte is meant; the smaller one never promises too much.
pub(super) fn disk_size(gb: f64) -> Size {
    Size::bytes(whole(gb).saturating_mul(1_000_000_000))
}

/// Where the server may be had, the best place first.
///
/// By rule: the cheapest first, at one price in the order of the locations. With types by name: in
/// the order of the types, then of the locations.
pub(super) fn places(
    types: &[ServerType],
    config: &Config,
    want: &Want,
    now: Timestamp,
) -> Result<Vec<Place>> {
    let candidates = candidates(types, config, want)?;
    let locations = locations(types, config)?;
    let mut ranked = Vec::new();
    let mut sold_out = Vec::new();
    for (preference, server_type) in candidates.iter().enumerate() {
        for (nearness, location) in locations.iter().enumerate() {
            if !server_type.locations.iter().any(|entry| entry.name == *location) {
                continue;
            }
            if !server_type.is_orderable(location, now) {
                sold_out.push(format!("{} in {location}", server_type.name));
                continue;
            }
            let place = Place {
                server_type: server_type.name.clone(),
                location: location.clone(),
                disk: disk_size(server_type.disk),
            };
            let by_rule = config.server_types.is_empty();
            let price = if by_rule { price(server_type, location) } else { Decimal::ZERO };
            let preference = if by_rule { 0 } else { preference };
            ranked.push(((preference, price, nearness), place));
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut places: Vec<_> = ranked.into_iter().map(|(_, place)| place).collect();
    if let (Disk::AtLeast(_), Some(first)) = (want.disk, places.first()) {
        let size = first.disk;
        places.retain(|place| place.disk == size);
    }
    if places.is_empty() {
        let tried = if sold_out.is_empty() { "nothing".to_owned() } else { sold_out.join(", ") };
        return Err(Error::new(ErrorKind::Unavailable, "choose server type")
            .with_message(format_args!("no server type can be ordered now; sold out: {tried}"))
            .with_hint("allow more locations or server types"));
    }
    Ok(places)
}

/// The types that would do, in the order in which they are wanted.
fn candidates<'a>(
    types: &'a [ServerType],
    config: &Config,
    want: &Want,
) -> Result<Vec<&'a ServerType>> {
    let on = architecture::of_hetzner(want.architecture)?;
    let runs = |it: &&ServerType| it.architecture.as_ref() == Some(&on);
    let fits = |it: &ServerType| match want.disk {
        Disk::AtLeast(size) | Disk::From(size) => disk_size(it.disk) >= size,
        Disk::Exactly(size) => disk_size(it.disk) == size,
    };
    if config.server_types.is_empty() {
        let has_memory = |it: &&ServerType| Size::gib(whole(it.memory)) >= config.memory;
        let found: Vec<_> =
            types.iter().filter(runs).filter(has_memory).filter(|it| fits(it)).collect();
        if found.is_empty() {
            return Err(invalid(format_args!(
                "no server type for {} has {} of memory and a disk {}",
                want.architecture, config.memory, want.disk,
            )));
        }
        return Ok(found);
    }
    let mut found = Vec::new();
    for name in &config.server_types {
        let Some(it) = types.iter().find(|it| it.name == *name) else {
            let known: Vec<_> = types.iter().filter(runs).map(|it| it.name.as_str()).collect();
            return Err(invalid(format_args!(
                "there is no server type {name:?}, but {}",
                known.join(", ")
            )));
        };
        if !runs(&it) {
            return Err(invalid(format_args!(
                "server type {name} is not for {}",
                want.architecture
            )));
        }
        if fits(it) {
            found.push(it);
        } else if !matches!(want.disk, Disk::Exactly(_)) {
            return Err(invalid(format_args!(
                "server type {name} has a disk of {}, wanted is one {}",
                disk_size(it.disk),
                want.disk
            )));
        }
    }
    Ok(found)
}

/// The locations in the order in which they are wanted.
fn locations(types: &[ServerType], config: &Config) -> Result<Vec<String>> {
    let mut known: Vec<&str> = Vec::new();
    for entry in types.iter().flat_map(|it| &it.locations) {
        if !known.contains(&entry.name.as_str()) {
            known.push(&entry.name);
        }
    }
    if config.locations.is_empty() {
        return Ok(known.into_iter().map(str::to_owned).collect());
    }
    match config.locations.iter().find(|wanted| !known.contains(&wanted.as_str())) {
        Some(unknown) => {
            Err(invalid(format_args!("there is no location {unknown:?}, but {}", known.join(", "))))
        }
        None => Ok(config.locations.clone()),
    }
}

/// Net, an hour. What has no price is dear.
fn price(server_type: &ServerType, location: &str) -> Decimal {
    let price = server_type.price(location).and_then(|price| price.price_hourly);
    price.map_or(Decimal::MAX, |price| price.net)
}

fn invalid(message: impl Display) -> Error {
    Error::new(ErrorKind::InvalidInput, "choose server type").with_message(message)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates, and nothing is sold in fractions below zero"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

impl Display for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(size) | Self::From(size) => write!(f, "of at least {size}"),
            Self::Exactly(size) => write!(f, "of exactly {size}"),
        }
    }
}
