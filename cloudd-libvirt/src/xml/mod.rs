//! XML as libvirt speaks it: written by an escaping writer, read into a small tree. Pure functions
//! from values to text and back.

pub(crate) mod domain;
pub(crate) mod host;
pub(crate) mod metadata;
mod tree;
pub(crate) mod volume;
mod write;

pub(crate) use tree::Node;
pub(crate) use write::Element;
