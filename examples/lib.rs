//! What the examples share: the story of a build told on a terminal, and an orderly end.

mod interrupt;
mod narrator;

pub use interrupt::cancel_on_interrupt;
pub use narrator::narrate;
