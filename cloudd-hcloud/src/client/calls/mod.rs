//! Every call that this crate makes, as pure functions from values to a
//! [`Call`](super::request::Call).

pub(super) mod actions;
pub(super) mod catalog;
mod envelope;
pub(super) mod images;
pub(super) mod servers;
pub(super) mod ssh_keys;
pub(super) mod volumes;

pub(super) use self::envelope::{Created, Page};

/// The most that a list gives at once.
pub(super) const PER_PAGE: usize = 50;

/// The most actions that one question names. The endpoint declares no pages, and 25 is what the API
/// gives by default.
pub(super) const ACTIONS_PER_CALL: usize = 25;
