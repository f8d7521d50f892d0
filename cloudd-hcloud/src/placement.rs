//! Placement: which server type at which location, and what to do when there is no capacity.

use std::fmt::{self, Display};
use std::time::Duration;

use cloudd_core::provider::{
    Architecture, BuildRequirements, Error, ErrorKind, Reporter, ResolvedBuilder, Result, Size,
};
use rust_decimal::Decimal;

use crate::builder::{Config, Hcloud};
use crate::schema::{Command, ServerType, Timestamp};
use crate::{base_image, convert};

/// How old server types, base images and prices may be. Builds that start within this time share
/// the requests for them; a replaced base image is noticed after it.
pub(crate) const CATALOG_MAX_AGE: Duration = Duration::from_secs(60);

/// A server type at a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) server_type: String,
    pub(crate) location: String,
    pub(crate) disk: Size,
}

/// What a server needs, and where it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlacementRequest<'a> {
    pub(crate) architecture: Architecture,
    pub(crate) disk: DiskSize,
    /// Names in order of preference. Empty: the cheapest type with `memory` that fits.
    pub(crate) server_types: &'a [String],
    pub(crate) memory: Size,
    /// Names in order of preference. Empty: all locations.
    pub(crate) locations: &'a [String],
}

/// The size of the root disk that a server needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskSize {
    /// At least this size.
    AtLeast(Size),
    /// At least this size, and the same size for every placement, so that the size of an image does
    /// not depend on where it is built.
    UniformAtLeast(Size),
    /// Exactly this size.
    Exactly(Size),
}

impl Display for DiskSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(size) | Self::UniformAtLeast(size) => write!(f, "at least {size}"),
            Self::Exactly(size) => write!(f, "exactly {size}"),
        }
    }
}

/// The placements that the API did not accept: without capacity, or disabled for the account.
#[derive(Debug)]
pub(crate) struct PlacementFailures<'a> {
    reporter: &'a Reporter,
    tried: Vec<String>,
    /// How many of them are disabled for the account.
    disabled: usize,
}

impl<'a> PlacementFailures<'a> {
    pub(crate) fn new(reporter: &'a Reporter) -> Self {
        Self { reporter, tried: Vec::new(), disabled: 0 }
    }

    /// Records and reports that the API did not accept `what` at `location`, with its words.
    pub(crate) fn record(&mut self, what: &str, location: &str, error: &crate::Error) {
        let code = error.code().map_or("no code", |code| code.as_str());
        self.disabled = self.disabled.saturating_add(error.is_location_disabled().into());
        self.add(format!("{what} in {location}: {code}: {}", error.message()));
    }

    /// Records and reports that no server type that fits is sold at `location`.
    pub(crate) fn record_no_server_type(&mut self, location: &str) {
        self.add(format!("no suitable server type in {location}"));
    }

    fn add(&mut self, failure: String) {
        self.reporter
            .note(format!("trying the next placement, because this one failed: {failure}"));
        self.tried.push(failure);
    }

    /// The error after every placement was tried.
    pub(crate) fn exhausted(self, operation: &str, name: &str) -> Error {
        let only_disabled = self.disabled == self.tried.len();
        let kind = if only_disabled { ErrorKind::QuotaExceeded } else { ErrorKind::Unavailable };
        let hint = if self.disabled > 0 {
            "a location that is disabled is a limit of the account: allow more locations, or ask \
             Hetzner to enable it"
        } else {
            "allow more locations or server types, or try again later"
        };
        Error::new(kind, operation)
            .with_resource(name)
            .with_message(format_args!("no location accepted it; tried {}", self.tried.join("; ")))
            .with_hint(hint)
    }
}

impl Hcloud {
    /// Chooses the base image and the size of the root disk.
    pub(crate) async fn resolve_builder(
        &self,
        requirements: &BuildRequirements,
    ) -> Result<ResolvedBuilder> {
        let BuildRequirements { architecture, volume_size, root_size, .. } = *requirements;
        // The first request: its error tells an invalid token from invalid requirements.
        let config = self.config();
        let image = config.base_image.resolve(self.client(), architecture, CATALOG_MAX_AGE).await?;
        let image_disk = convert::disk_size(image.disk_size);
        let disk = volume_size.max(image_disk).max(root_size.unwrap_or_default());
        let placements =
            self.builder_placements(architecture, DiskSize::UniformAtLeast(disk)).await?;
        let root_size = placements.first().map_or(disk, |placement| placement.disk);
        let mut resolved =
            ResolvedBuilder::new(base_image::identity(&image), root_size).with_details(image.id);
        let schedule = self.client().schedule();
        let actions: Duration = [
            Command::CreateVolume,
            Command::CreateServer,
            Command::StartServer,
            Command::CreateImage,
            Command::DeleteServer,
        ]
        .iter()
        .map(|command| schedule.typical_duration(command))
        .sum();
        resolved.build_time = Some(actions + config.expected_run_time);
        Ok(resolved)
    }

    /// The placements for a builder VM, the preferred one first; never empty.
    pub(crate) async fn builder_placements(
        &self,
        architecture: Architecture,
        disk: DiskSize,
    ) -> Result<Vec<Placement>> {
        let Config { server_types, memory, locations, .. } = self.config();
        let memory = *memory;
        self.placements(PlacementRequest { architecture, disk, server_types, memory, locations })
            .await
    }

    /// The placements that can be ordered now, the preferred one first; never empty.
    pub(crate) async fn placements(&self, request: PlacementRequest<'_>) -> Result<Vec<Placement>> {
        let types = self.client().cached_server_types(CATALOG_MAX_AGE).await?;
        placements(&types, &request, Timestamp::now())
    }
}

/// Ranks the placements: by the order of the requested types, or by price if none are requested, and
/// then by the order of the locations.
fn placements(
    types: &[ServerType],
    request: &PlacementRequest<'_>,
    now: Timestamp,
) -> Result<Vec<Placement>> {
    let candidates = candidates(types, request)?;
    let locations = locations(types, request)?;
    let mut ranked = Vec::new();
    let mut sold_out = Vec::new();
    for (type_rank, server_type) in candidates.into_iter().enumerate() {
        for (location_rank, location) in locations.iter().enumerate() {
            if !server_type.locations.iter().any(|entry| entry.name == *location) {
                continue;
            }
            if !server_type.is_orderable(location, now) {
                sold_out.push(format!("{} in {location}", server_type.name));
                continue;
            }
            let placement = Placement {
                server_type: server_type.name.clone(),
                location: (*location).to_owned(),
                disk: convert::disk_size(server_type.disk),
            };
            let rank = if request.server_types.is_empty() {
                (0, hourly_price(server_type, location), location_rank)
            } else {
                (type_rank, Decimal::ZERO, location_rank)
            };
            ranked.push((rank, placement));
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut placements: Vec<_> = ranked.into_iter().map(|(_, placement)| placement).collect();
    let Some(first) = placements.first() else {
        let tried = if sold_out.is_empty() { "none".to_owned() } else { sold_out.join(", ") };
        return Err(Error::new(ErrorKind::Unavailable, "choose server type")
            .with_message(format_args!("no server type can be ordered now; sold out: {tried}"))
            .with_hint("allow more locations or server types"));
    };
    if let DiskSize::UniformAtLeast(_) = request.disk {
        let disk = first.disk;
        placements.retain(|placement| placement.disk == disk);
    }
    Ok(placements)
}

/// The server types that fit, in order of preference.
fn candidates<'a>(
    types: &'a [ServerType],
    request: &PlacementRequest<'_>,
) -> Result<Vec<&'a ServerType>> {
    let PlacementRequest { architecture, disk, .. } = *request;
    let wanted = convert::architecture(architecture)?;
    let runs = |it: &&ServerType| it.architecture.as_ref() == Some(&wanted);
    let fits = |it: &ServerType| match disk {
        DiskSize::AtLeast(size) | DiskSize::UniformAtLeast(size) => {
            convert::disk_size(it.disk) >= size
        }
        DiskSize::Exactly(size) => convert::disk_size(it.disk) == size,
    };
    if request.server_types.is_empty() {
        let memory = request.memory;
        let found: Vec<_> = types
            .iter()
            .filter(runs)
            .filter(|it| Size::gib(convert::whole(it.memory)) >= memory && fits(it))
            .collect();
        if found.is_empty() {
            return Err(invalid(format_args!(
                "no server type for {architecture} has {memory} of memory and a disk of {disk}"
            )));
        }
        return Ok(found);
    }
    let mut found = Vec::new();
    for name in request.server_types {
        let Some(it) = types.iter().find(|it| it.name == *name) else {
            let known: Vec<_> = types.iter().filter(runs).map(|it| it.name.as_str()).collect();
            let known = known.join(", ");
            return Err(invalid(format_args!(
                "there is no server type {name:?}; available for {architecture}: {known}"
            )));
        };
        if !runs(&it) {
            return Err(invalid(format_args!("server type {name} is not for {architecture}")));
        }
        if fits(it) {
            found.push(it);
        } else if !matches!(disk, DiskSize::Exactly(_)) {
            let has = convert::disk_size(it.disk);
            return Err(invalid(format_args!(
                "server type {name} has a disk of {has}, required is {disk}"
            )));
        }
    }
    Ok(found)
}

/// The locations in order of preference: those of the request, or all.
fn locations<'a>(types: &'a [ServerType], request: &PlacementRequest<'a>) -> Result<Vec<&'a str>> {
    let mut known: Vec<&str> = Vec::new();
    for entry in types.iter().flat_map(|it| &it.locations) {
        if !known.contains(&entry.name.as_str()) {
            known.push(&entry.name);
        }
    }
    if request.locations.is_empty() {
        return Ok(known);
    }
    if let Some(unknown) = request.locations.iter().find(|it| !known.contains(&it.as_str())) {
        let known = known.join(", ");
        return Err(invalid(format_args!("there is no location {unknown:?}; available: {known}")));
    }
    Ok(request.locations.iter().map(String::as_str).collect())
}

/// The net price of an hour. A type without a price is ranked last.
fn hourly_price(server_type: &ServerType, location: &str) -> Decimal {
    let price = server_type.price(location).and_then(|price| price.price_hourly);
    price.map_or(Decimal::MAX, |price| price.net)
}

fn invalid(message: impl Display) -> Error {
    Error::new(ErrorKind::InvalidInput, "choose server type").with_message(message)
}
