//! XML documents of libvirt: written by an escaping writer, parsed into a tree.

pub(crate) mod domain;
pub(crate) mod host;
pub(crate) mod references;
mod tree;
pub(crate) mod volume;
mod write;

pub(crate) use tree::Node;
pub(crate) use write::Element;
