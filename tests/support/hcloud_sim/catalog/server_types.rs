//! Server types, and where each is to be had.

/// Whether a type can be ordered in a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    /// Orderable and recommended.
    Recommended,
    /// Orderable.
    Sold,
    /// Listed, but sold out: `available` is false, creating answers `resource_unavailable`.
    SoldOut,
    /// Looks orderable, but creating answers `placement_error`: availability is only advisory.
    Unplaceable,
    /// Deprecated, still orderable for a while.
    Leaving,
    /// Deprecated and past its date: not orderable any more.
    Left,
}

/// A size of server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ServerType {
    pub id: u64,
    pub name: &'static str,
    pub cores: u32,
    /// GB.
    pub memory: f64,
    /// GB.
    pub disk: u64,
    pub architecture: &'static str,
    pub dedicated: bool,
    /// Net EUR a month, in cents.
    pub cents: u32,
    pub sold_in: &'static [(&'static str, Availability)],
}

impl ServerType {
    pub(crate) fn availability(&self, location: &str) -> Option<Availability> {
        let (_, availability) = self.sold_in.iter().find(|(name, _)| *name == location)?;
        Some(*availability)
    }
}

/// A shared type.
const fn shared(
    id: u64,
    name: &'static str,
    size: (u32, f64, u64),
    architecture: &'static str,
    cents: u32,
    sold_in: &'static [(&'static str, Availability)],
) -> ServerType {
    ServerType {
        id,
        name,
        cores: size.0,
        memory: size.1,
        disk: size.2,
        architecture,
        dedicated: false,
        cents,
        sold_in,
    }
}

use Availability::{Leaving, Left, Recommended, Sold, SoldOut, Unplaceable};

pub(super) const ALL: &[ServerType] = &[
    // The cheapest x86, gone everywhere.
    shared(
        104,
        "cx22",
        (2, 4.0, 40),
        "x86",
        329,
        &[("fsn1", Left), ("nbg1", Left), ("hel1", Left)],
    ),
    // The cheapest x86 to be had; not in hel1.
    shared(
        114,
        "cx23",
        (2, 4.0, 40),
        "x86",
        349,
        &[("fsn1", Recommended), ("nbg1", Sold), ("hel1", SoldOut)],
    ),
    shared(
        115,
        "cx33",
        (4, 8.0, 80),
        "x86",
        549,
        &[("fsn1", Sold), ("nbg1", Sold), ("hel1", Recommended)],
    ),
    // Sold out everywhere.
    shared(
        116,
        "cx43",
        (8, 16.0, 160),
        "x86",
        949,
        &[("fsn1", SoldOut), ("nbg1", SoldOut), ("hel1", SoldOut)],
    ),
    // Small disk: system images fit, a snapshot of any other type does not.
    shared(117, "cx13", (1, 2.0, 20), "x86", 379, &[("nbg1", Sold)]),
    // On its way out, in America only.
    shared(22, "cpx11", (2, 2.0, 40), "x86", 449, &[("ash", Leaving), ("hil", Leaving)]),
    // Available by its entry, but never placed in ash and sin.
    shared(
        23,
        "cpx21",
        (3, 4.0, 80),
        "x86",
        799,
        &[("ash", Unplaceable), ("hil", Recommended), ("sin", Unplaceable)],
    ),
    // The cheapest arm; sold out in fsn1.
    shared(
        45,
        "cax11",
        (2, 4.0, 40),
        "arm",
        379,
        &[("fsn1", SoldOut), ("nbg1", Sold), ("hel1", Recommended)],
    ),
    shared(
        93,
        "cax21",
        (4, 8.0, 80),
        "arm",
        649,
        &[("fsn1", Sold), ("nbg1", Sold), ("hel1", Sold)],
    ),
    ServerType {
        id: 96,
        name: "ccx13",
        cores: 2,
        memory: 8.0,
        disk: 80,
        architecture: "x86",
        dedicated: true,
        cents: 1249,
        sold_in: &[
            ("fsn1", Recommended),
            ("nbg1", Sold),
            ("hel1", Sold),
            ("ash", Sold),
            ("hil", Sold),
            ("sin", Sold),
        ],
    },
];
