//! The builder VM from outside: the user data it is given, the events it sends back, and the
//! channel they come by. What runs inside is in the folder `assets`, with a page of its own.

mod access;
mod channel;
mod event;
mod parameters;
mod parser;
mod reachability;
mod setup;
mod text;

pub use channel::GuestChannel;
pub use event::{EventBody, FailureReason, GuestEvent, Source, Step, StepState};
pub use parameters::Stage2Entry;
#[cfg(feature = "ssh")]
pub(crate) use parameters::shell_quote;
pub use parser::{EventParser, Parsed};
pub use reachability::Reachability;

pub(crate) use access::Access;
pub(crate) use parameters::{ContainerDelivery, Parameters};
pub(crate) use setup::GuestSetup;
pub(crate) use text::sanitize_untrusted;
