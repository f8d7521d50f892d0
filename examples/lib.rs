//! Code that the examples and the tool `cloudd` share: events on a terminal, cancellation by
//! signals, and a provider for Hetzner Cloud or its simulator.

mod hetzner;
mod terminal;
mod watch;

pub use hetzner::{builder as hetzner_builder, for_simulator, hetzner};
pub use terminal::print_events;
pub use watch::{cancel_on_interrupt, interrupted, watch};
