//! What the examples share: the story of a build told on a terminal, an orderly end, what dead
//! builds have left, and Hetzner Cloud or its simulator.

mod bars;
mod hetzner;
mod interrupt;
mod lines;
mod screen;

pub use hetzner::{builder as hetzner_builder, hetzner};
pub use interrupt::{cancel_on_interrupt, interrupted};
pub use screen::narrate;
