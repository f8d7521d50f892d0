use std::fmt;

use serde::{Deserialize, Serialize};

/// What a provider asks for a build, as far as its price list says. Amounts are decimal numbers as
/// text, net of tax, so that nothing is rounded on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cost {
    /// ISO 4217 code of the currency, such as `EUR`.
    pub currency: String,
    /// For VM and volume while the build runs.
    pub build: String,
    /// For the image, each month that it is kept, if it takes as much as was given.
    pub image_month: String,
}

impl Cost {
    /// A cost.
    #[must_use]
    pub fn new(
        currency: impl Into<String>,
        build: impl Into<String>,
        image_month: impl Into<String>,
    ) -> Self {
        Self { currency: currency.into(), build: build.into(), image_month: image_month.into() }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { currency, build, image_month } = self;
        write!(
            f,
            "{build} {currency} for the build, {image_month} {currency} a month for the image, net"
        )
    }
}
