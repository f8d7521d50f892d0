//! What a list is narrowed to, by the API.

use super::request::Request;
use crate::schema::{Architecture, ImageStatus, ImageType, Selector, ServerStatus};

/// Declares a filter: setters that append a term each, in the order in which they are called.
macro_rules! filter {
    (
        $(#[$meta:meta])*
        $name:ident {
            $($(#[$doc:meta])* $setter:ident($type:ty) => $key:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name {
            terms: Vec<(&'static str, String)>,
        }

        impl $name {
            /// Everything.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub fn $setter(mut self, value: $type) -> Self {
                    self.terms.push(($key, value.to_string()));
                    self
                }
            )*

            /// Only what these labels select.
            #[must_use]
            pub fn selector(mut self, selector: impl Into<Selector>) -> Self {
                self.terms.push(("label_selector", selector.into().to_string()));
                self
            }

            pub(super) fn apply(&self, request: Request) -> Request {
                self.terms.iter().fold(request, |request, (key, value)| request.query(key, value))
            }
        }
    };
}

filter! {
    /// Which servers to list.
    ServerFilter {
        /// Only the one with this name.
        name(&str) => "name",
        /// Only those in this state, or another one named too.
        status(ServerStatus) => "status",
    }
}

filter! {
    /// Which volumes to list.
    VolumeFilter {
        /// Only the one with this name.
        name(&str) => "name",
    }
}

filter! {
    /// Which SSH keys to list.
    SshKeyFilter {
        /// Only the one with this name.
        name(&str) => "name",
        /// Only the one with this fingerprint: MD5 in hex with colons.
        fingerprint(&str) => "fingerprint",
    }
}

filter! {
    /// Which images to list. Without a kind, all public images come too.
    ImageFilter {
        /// Only of this kind, or another one named too.
        kind(ImageType) => "type",
        /// Only those in this state, or another one named too.
        status(ImageStatus) => "status",
        /// Only public ones with this name. Architectures share names.
        name(&str) => "name",
        /// Only those that run on it.
        architecture(Architecture) => "architecture",
    }
}

impl ImageFilter {
    /// Deprecated public images too, which the API hides otherwise.
    #[must_use]
    pub fn include_deprecated(mut self) -> Self {
        self.terms.push(("include_deprecated", "true".to_owned()));
        self
    }
}
