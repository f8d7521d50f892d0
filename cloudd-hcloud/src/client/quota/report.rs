//! What an answer says about the quota.

/// `RateLimit-Limit` and `RateLimit-Remaining`.
///
/// `RateLimit-Reset` is not used: it is when the bucket will be full, up to an hour away, and says
/// nothing that the other two do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// Requests an hour.
    pub(crate) limit: u32,
    /// Requests left when the API counted this one.
    pub(crate) remaining: u32,
}

impl Report {
    /// `None` unless both headers are there and are numbers.
    pub(crate) fn from_headers<'a>(
        header: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Option<Self> {
        let number = |name| header(name)?.trim().parse().ok();
        let report =
            Self { limit: number("ratelimit-limit")?, remaining: number("ratelimit-remaining")? };
        (report.limit > 0).then_some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(limit: Option<&str>, remaining: Option<&str>) -> Option<Report> {
        Report::from_headers(|name| match name {
            "ratelimit-limit" => limit,
            "ratelimit-remaining" => remaining,
            _ => None,
        })
    }

    #[test]
    fn both_headers_make_a_report() {
        assert_eq!(
            read(Some("3600"), Some(" 3456")),
            Some(Report { limit: 3600, remaining: 3456 })
        );
    }

    #[test]
    fn anything_less_makes_none() {
        for (limit, remaining) in [
            (None, None),
            (Some("3600"), None),
            (None, Some("1")),
            (Some("many"), Some("1")),
            (Some("0"), Some("0")),
        ] {
            assert_eq!(read(limit, remaining), None);
        }
    }
}
