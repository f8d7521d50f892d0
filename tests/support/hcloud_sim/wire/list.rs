//! Lists: filters, sorting, pages.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::super::labels::Selector;
use super::{ApiError, Call, Reply};

/// Entries on a page when the request does not say.
const DEFAULT_PER_PAGE: usize = 25;
/// Entries on a page at most; a request for more gets this many.
const MAX_PER_PAGE: usize = 50;

/// What a kind of list understands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing {
    /// Key of the list in the answer.
    pub key: &'static str,
    /// Query parameters that keep entries whose field of the same name has one of the values.
    pub filters: &'static [&'static str],
    /// Fields that `sort` may name; without any, sorting is not a thing of this list and what is
    /// asked is ignored.
    pub sort: &'static [&'static str],
    /// Whether `label_selector` is understood.
    pub labels: bool,
}

/// One page of `items`, filtered and sorted as the request asks.
///
/// # Errors
/// `invalid_input` for a malformed selector, page or sort field.
pub(crate) fn list(call: &Call, listing: Listing, items: Vec<Value>) -> Result<Reply, ApiError> {
    let mut items = filtered(call, listing, items)?;
    sort(call, listing, &mut items)?;
    page(call, listing.key, &items)
}

fn filtered(call: &Call, listing: Listing, mut items: Vec<Value>) -> Result<Vec<Value>, ApiError> {
    for name in listing.filters {
        let wanted: Vec<&str> = call.query_all(name).collect();
        if !wanted.is_empty() {
            items.retain(|item| match &item[*name] {
                Value::String(text) => wanted.contains(&text.as_str()),
                Value::Null => false,
                other => wanted.contains(&other.to_string().as_str()),
            });
        }
    }
    if let Some(text) = call.query("label_selector").filter(|_| listing.labels) {
        let selector = Selector::parse(text).map_err(ApiError::input)?;
        let none = Map::new();
        items.retain(|item| selector.matches(item["labels"].as_object().unwrap_or(&none)));
    }
    Ok(items)
}

fn sort(call: &Call, listing: Listing, items: &mut [Value]) -> Result<(), ApiError> {
    let mut keys = Vec::new();
    for text in call.query_all("sort").filter(|_| !listing.sort.is_empty()) {
        let (field, direction) = text.split_once(':').unwrap_or((text, "asc"));
        if !listing.sort.contains(&field) || !matches!(direction, "asc" | "desc") {
            return Err(ApiError::field("sort", format!("cannot sort by '{text}'")));
        }
        keys.push((field, direction == "desc"));
    }
    // Stable, so that equal entries stay in the order of their ids.
    items.sort_by(|a, b| {
        keys.iter()
            .map(|(field, descending)| {
                let order = compare(&a[*field], &b[*field]);
                if *descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    Ok(())
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_u64(), b.as_u64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_str().cmp(&b.as_str()),
    }
}

fn page(call: &Call, key: &str, items: &[Value]) -> Result<Reply, ApiError> {
    let number = |name: &str, default: usize| match call.query(name) {
        None => Ok(default),
        Some(text) => match text.parse() {
            Ok(value) if value > 0 => Ok(value),
            _ => Err(ApiError::field(name, "must be a positive integer")),
        },
    };
    let page = number("page", 1)?;
    let per_page = number("per_page", DEFAULT_PER_PAGE)?.min(MAX_PER_PAGE);
    let last = items.len().div_ceil(per_page).max(1);
    let shown: Vec<_> =
        items.iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let next = (page < last).then_some(page + 1);
    let previous = (page > 1).then_some(page - 1);

    let mut reply = Reply::ok(json!({
        key: shown,
        "meta": {"pagination": {
            "page": page,
            "per_page": per_page,
            "previous_page": previous,
            "next_page": next,
            "last_page": last,
            "total_entries": items.len(),
        }},
    }));
    let relations = [("prev", previous), ("next", next), ("last", Some(last))];
    let links: Vec<_> = relations
        .into_iter()
        .filter_map(|(relation, target)| Some((relation, target?)))
        .map(|(relation, target)| {
            format!("<{}>; rel=\"{relation}\"", address(call, target, per_page))
        })
        .collect();
    reply.link = Some(links.join(", "));
    Ok(reply)
}

/// The address of another page of the same list.
fn address(call: &Call, page: usize, per_page: usize) -> String {
    let path = call.path.as_deref().unwrap_or_default().join("/");
    let mut query = String::new();
    for (name, value) in &call.query {
        if name != "page" && name != "per_page" {
            query.push_str(&format!("{}={}&", escaped(name), escaped(value)));
        }
    }
    format!("{}/v1/{path}?{query}page={page}&per_page={per_page}", call.origin)
}

/// Percent-encoding of everything that is not unreserved.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
