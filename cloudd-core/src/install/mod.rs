//! Install containers: what is to be installed.
