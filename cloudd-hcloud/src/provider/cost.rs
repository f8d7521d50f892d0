//! What a build costs, by the project's price list.

use std::time::Duration;

use cloudd_core::provider::{BuildRequirements, Cost, ResolvedBuilder, Result, Size};
use rust_decimal::Decimal;

use super::Hcloud;
use super::catalog::FRESH;
use super::choice::{Disk, Want};
use crate::schema::{Addresses, NamedPrices, Pricing};

/// Hours in a month, as Hetzner turns a monthly price of a volume into an hourly one: 30 days. Not
/// documented; the difference to 31 is 3 %.
const MONTH: u64 = 30 * 24;

impl Hcloud {
    pub(super) async fn cost_of(
        &self,
        requirements: &BuildRequirements,
        offer: &ResolvedBuilder,
        run_time: Duration,
        image: Size,
    ) -> Result<Option<Cost>> {
        let want =
            Want { architecture: requirements.architecture, disk: Disk::Exactly(offer.root_size) };
        let Some(place) = self.places(want).await?.into_iter().next() else { return Ok(None) };
        let prices = self.client().shared_pricing(FRESH).await?;
        // Servers are billed by the hour, begun ones as whole ones.
        let hours = Decimal::from(run_time.as_secs().div_ceil(3600).max(1));
        let addresses = self.config().addresses;
        let server = hourly(&prices.server_types, &place.server_type, &place.location);
        let address = if matches!(addresses, Addresses::Both | Addresses::Ipv4) {
            hourly(&prices.primary_ips, "ipv4", &place.location)
        } else {
            Some(Decimal::ZERO)
        };
        let (Some(server), Some(address), Some(volume), Some(snapshot)) =
            (server, address, flat(&prices, Flat::Volume), flat(&prices, Flat::Image))
        else {
            return Ok(None);
        };
        let volume_gb = Decimal::from(requirements.volume_size.in_units_of(Size::gib(1)));
        let volume = volume * volume_gb / Decimal::from(MONTH);
        let build = (server + address + volume) * hours;
        let image_gb = Decimal::from(image.as_bytes()) / Decimal::from(1_000_000_000_u64);
        let text = |amount: Decimal| amount.round_dp(6).normalize().to_string();
        Ok(Some(Cost::new(&prices.currency, text(build), text(snapshot * image_gb))))
    }
}

/// The net price of an hour.
fn hourly(prices: &[NamedPrices], name: &str, location: &str) -> Option<Decimal> {
    let named = prices.iter().find(|it| it.name == name)?;
    let here = named.prices.iter().find(|it| it.location == location)?;
    Some(here.price_hourly?.net)
}

enum Flat {
    Volume,
    Image,
}

/// The net price of a GB and month.
fn flat(prices: &Pricing, of: Flat) -> Option<Decimal> {
    let price = match of {
        Flat::Volume => prices.volume,
        Flat::Image => prices.image,
    };
    Some(price?.price_per_gb_month.net)
}
