//! Pagination.

use serde::Deserialize;

/// `meta` of a list. Missing altogether where an endpoint declares no pages.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Meta {
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pagination: Pagination,
}

#[derive(Debug, Default, Deserialize)]
struct Pagination {
    /// The only field to go by: `last_page` and `total_entries` may be null on a list that goes on.
    #[serde(default)]
    next_page: Option<u32>,
}

impl Meta {
    /// The page after this one.
    pub(crate) fn next_page(&self) -> Option<u32> {
        self.pagination.next_page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_what_counts() {
        for (text, next) in [
            ("{}", None),
            (r#"{"pagination":null}"#, None),
            (r#"{"pagination":{"page":1,"next_page":null,"last_page":3}}"#, None),
            (
                r#"{"pagination":{"page":1,"next_page":2,"last_page":null,"total_entries":null}}"#,
                Some(2),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Meta>(text).unwrap().next_page(), next, "{text}");
        }
    }
}
