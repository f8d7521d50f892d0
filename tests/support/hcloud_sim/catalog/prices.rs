//! Prices: decimal strings with many digits, as the API gives them.

use serde_json::{Value, json};

use super::server_types::{self, ServerType};

/// Percent.
const VAT: u64 = 19;

/// The `prices` of a server type.
pub(super) fn of_server_type(of: &ServerType) -> Vec<Value> {
    of.sold_in
        .iter()
        .map(|(location, _)| {
            // In millionths of a EUR; an hour is a 672nd of a month.
            let month = u64::from(of.cents) * 10_000;
            json!({
                "location": location,
                "price_hourly": price(month / 672),
                "price_monthly": price(month),
                "included_traffic": 21_990_232_555_520_u64,
                "price_per_tb_traffic": price(1_000_000),
            })
        })
        .collect()
}

/// The whole price list.
pub(super) fn all() -> Value {
    let server_types: Vec<_> = server_types::ALL
        .iter()
        .map(|t| json!({"id": t.id, "name": t.name, "prices": of_server_type(t)}))
        .collect();
    let ip = |kind: &str, micros: u64| {
        json!({"type": kind, "prices": [{
            "location": "fsn1", "price_hourly": price(micros / 672), "price_monthly": price(micros),
        }]})
    };
    json!({"pricing": {
        "currency": "EUR",
        "vat_rate": format!("{VAT}.000000"),
        "image": {"price_per_gb_month": price(11_900)},
        "volume": {"price_per_gb_month": price(44_000)},
        "server_types": server_types,
        "primary_ips": [ip("ipv4", 500_000), ip("ipv6", 0)],
        "floating_ips": [ip("ipv4", 3_000_000), ip("ipv6", 1_000_000)],
        "floating_ip": {"price_monthly": price(3_000_000)},
        "load_balancer_types": [],
        "server_backup": {"percentage": "20.0000000000"},
        "traffic": {"price_per_tb": price(1_000_000)},
    }})
}

/// A price of so many millionths, without and with tax.
fn price(micros: u64) -> Value {
    let gross = micros * (100 + VAT); // hundred-millionths
    json!({
        "net": format!("{}.{:06}0000", micros / 1_000_000, micros % 1_000_000),
        "gross": format!("{}.{:08}00000000", gross / 100_000_000, gross % 100_000_000),
    })
}
