use std::fmt;

use serde::{Deserialize, Serialize};

/// The estimated price of a build. Amounts are decimal numbers as text, without tax and without
/// rounding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Cost {
    /// ISO 4217 code of the currency, such as `EUR`.
    pub currency: String,
    /// The price of VM and volume for the run time of the build.
    pub build: String,
    /// The price of the image per month, for the stored size that was given.
    pub image_month: String,
}

impl Cost {
    /// Creates a cost.
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
