//! What goes over the wire, as values: no socket and no state here.

mod call;
mod error;
mod fields;
mod list;
mod reply;

pub(crate) use call::Call;
pub(crate) use error::{ApiError, Code};
pub(crate) use fields::{Fields, Reference};
pub(crate) use list::{Listing, list};
pub(crate) use reply::Reply;
