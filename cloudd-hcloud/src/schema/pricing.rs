//! Prices. They are decimals: the API sends strings with more digits than a float keeps.

use rust_decimal::Decimal;
use serde::Deserialize;

use super::lenient::{or_default, or_none};

/// All prices of the project, in its currency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Pricing {
    /// The currency, such as `EUR`.
    #[serde(default, deserialize_with = "or_default")]
    pub currency: String,
    /// The price of snapshots, per GB of the compressed image; the same in all locations.
    #[serde(default, deserialize_with = "or_none")]
    pub image: Option<FlatPrice>,
    /// The price of volumes; the same in all locations.
    #[serde(default, deserialize_with = "or_none")]
    pub volume: Option<FlatPrice>,
    /// The prices of server types.
    #[serde(default, deserialize_with = "or_default")]
    pub server_types: Vec<NamedPrices>,
    /// The prices of primary IP addresses by type (`ipv4`, `ipv6`).
    #[serde(default, deserialize_with = "or_default")]
    pub primary_ips: Vec<NamedPrices>,
}

/// A price per GB and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FlatPrice {
    /// Per GB and month.
    pub price_per_gb_month: Price,
}

/// The prices of a server type or of a type of address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct NamedPrices {
    /// The name, such as `cx23` or `ipv4`.
    #[serde(alias = "type", default)]
    pub name: String,
    /// The price in each location.
    #[serde(default, deserialize_with = "or_default")]
    pub prices: Vec<LocationPrice>,
}

/// A price in a location.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct LocationPrice {
    /// The location's name.
    #[serde(default, deserialize_with = "or_default")]
    pub location: String,
    /// The price of an hour.
    #[serde(default, deserialize_with = "or_none")]
    pub price_hourly: Option<Price>,
    /// The maximum price of a month.
    #[serde(default, deserialize_with = "or_none")]
    pub price_monthly: Option<Price>,
}

/// A price without and with VAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Price {
    /// Without VAT.
    #[serde(with = "rust_decimal::serde::str")]
    pub net: Decimal,
    /// With VAT.
    #[serde(with = "rust_decimal::serde::str")]
    pub gross: Decimal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_decimals() {
        let text = r#"{
            "currency": "EUR", "vat_rate": "19.000000",
            "image": {"price_per_gb_month": {"net": "0.0119000000", "gross": "0.0141610000000000"}},
            "volume": {"price_per_gb_month": {"net": "0.0440000000", "gross": "0.0523600000000000"}},
            "server_types": [{"id": 114, "name": "cx23", "prices": [{"location": "fsn1",
                "price_hourly": {"net": "0.0056000000", "gross": "0.0066640000000000"},
                "price_monthly": {"net": "3.4900000000", "gross": "4.1531000000000000"}}]}],
            "primary_ips": [{"type": "ipv4", "prices": [{"location": "fsn1",
                "price_hourly": {"net": "0.0008000000", "gross": "0.0009520000000000"}}]}],
            "load_balancers": "whatever"
        }"#;
        let pricing: Pricing = serde_json::from_str(text).unwrap();
        let hourly = pricing.server_types[0].prices[0].price_hourly.unwrap();
        assert_eq!(hourly.gross, Decimal::new(6_664, 6));
        assert_eq!(hourly.gross.to_string(), "0.0066640000000000", "no digit is lost");
        assert_eq!(pricing.image.unwrap().price_per_gb_month.net, Decimal::new(119, 4));
        assert_eq!(pricing.primary_ips[0].name, "ipv4");
    }

    #[test]
    fn a_price_that_cannot_be_read_is_absent() {
        let text = r#"{"image": {"price_per_gb_month": "free"}, "server_types": null}"#;
        let pricing: Pricing = serde_json::from_str(text).unwrap();
        assert_eq!(pricing.image, None);
        assert_eq!(pricing.server_types, []);
    }
}
