//! The host's side of the builder VM: its user data, the events that it sends, and the channel that
//! carries them. The scripts that run inside are in the folder `assets`, described in its README.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod access;
mod channel;
mod event;
mod parser;
mod reachability;
mod setup;

pub use channel::GuestChannel;
pub use event::{EventBody, FailureReason, GuestEvent, Source, Stage2Entry, Step, StepState};
pub use parser::{EventParser, Parsed};
pub use reachability::Reachability;

pub(crate) use access::Access;
pub(crate) use setup::{ContainerDelivery, GuestSetup};
