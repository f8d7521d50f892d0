//! `/server_types`, `/locations` and `/pricing`.

use super::super::request::{Call, Request};
use super::envelope::{list, object, page};
use super::{PER_PAGE, Page};
use crate::schema::{Location, Pricing, ServerType};

list!(types, server_types: ServerType);
list!(places, locations: Location);
object!(prices, pricing: Pricing);

/// The one list that takes no `sort`.
pub(in crate::client) fn server_types(number: u32) -> Call<Page<ServerType>> {
    let request = Request::get("/server_types", "list server types")
        .query("page", number)
        .query("per_page", PER_PAGE);
    Call { request, read: types }
}

pub(in crate::client) fn locations(number: u32) -> Call<Page<Location>> {
    Call { request: page(Request::get("/locations", "list locations"), number), read: places }
}

pub(in crate::client) fn pricing() -> Call<Pricing> {
    Call { request: Request::get("/pricing", "read prices"), read: prices }
}
