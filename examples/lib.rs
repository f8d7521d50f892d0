//! cloudd examples.
