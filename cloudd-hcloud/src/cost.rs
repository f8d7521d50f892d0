//! The cost of a build, from the price list of the project.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use cloudd_core::provider::{BuildRequirements, Cost, ResolvedBuilder, Result, Size};
use rust_decimal::Decimal;

use crate::builder::Hcloud;
use crate::placement::{CATALOG_MAX_AGE, DiskSize};
use crate::schema::{Addresses, NamedPrices};

/// The hours of a month by which the monthly price of a volume is divided: those of 30 days.
/// Hetzner does not document the number; for 31 days the price would be 3 % lower.
const HOURS_PER_MONTH: u64 = 30 * 24;

impl Hcloud {
    /// Net prices of server, IPv4 address and volume for the build, and of the image for a month.
    /// `None` if the price list lacks one of them.
    pub(crate) async fn build_cost(
        &self,
        requirements: &BuildRequirements,
        resolved: &ResolvedBuilder,
        run_time: Duration,
        image: Size,
    ) -> Result<Option<Cost>> {
        let disk = DiskSize::Exactly(resolved.root_size);
        let placements = self.builder_placements(requirements.architecture, disk).await?;
        let Some(placement) = placements.first() else { return Ok(None) };
        let prices = self.client().cached_pricing(CATALOG_MAX_AGE).await?;
        let location = &placement.location;
        let server = hourly(&prices.server_types, &placement.server_type, location);
        let address = match self.config().addresses {
            Addresses::Both | Addresses::Ipv4 => hourly(&prices.primary_ips, "ipv4", location),
            _ => Some(Decimal::ZERO),
        };
        let (Some(server), Some(address), Some(volume), Some(snapshot)) =
            (server, address, prices.volume, prices.image)
        else {
            return Ok(None);
        };
        let volume_gb = Decimal::from(requirements.volume_size.in_units_of(Size::gib(1)));
        // Every started hour is billed.
        let hours = Decimal::from(run_time.as_secs().div_ceil(3600).max(1));
        // A price that is out of range is no price.
        let build = || {
            let volume = volume.price_per_gb_month.net.checked_mul(volume_gb)?;
            let volume = volume.checked_div(Decimal::from(HOURS_PER_MONTH))?;
            server.checked_add(address)?.checked_add(volume)?.checked_mul(hours)
        };
        let monthly = || {
            let gb = Decimal::from(image.as_bytes()).checked_div(1_000_000_000_u64.into())?;
            snapshot.price_per_gb_month.net.checked_mul(gb)
        };
        let (Some(build), Some(monthly)) = (build(), monthly()) else { return Ok(None) };
        let text = |amount: Decimal| amount.round_dp(6).normalize().to_string();
        Ok(Some(Cost::new(&prices.currency, text(build), text(monthly))))
    }
}

/// The net price of an hour.
fn hourly(prices: &[NamedPrices], name: &str, location: &str) -> Option<Decimal> {
    let prices = &prices.iter().find(|it| it.name == name)?.prices;
    Some(prices.iter().find(|it| it.location == location)?.price_hourly?.net)
}
