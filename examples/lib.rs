//! What the examples share: the story of a build, told on a terminal.

mod narrator;

pub use narrator::narrate;
