//! Filters of lists, which the API evaluates.

use super::request::Request;
use crate::schema::{Architecture, ImageStatus, ImageType, Selector, ServerStatus};

/// Declares a filter. Each setter appends a term.
macro_rules! filter {
    (
        $(#[$meta:meta])*
        $vis:vis $name:ident {
            $($(#[$doc:meta])* $setter:ident($type:ty) => $key:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
        $vis struct $name {
            terms: Vec<(&'static str, String)>,
        }

        impl $name {
            /// A filter that selects everything.
            #[must_use]
            $vis fn new() -> Self {
                Self::default()
            }

            $(
                $(#[$doc])*
                #[must_use]
                $vis fn $setter(mut self, value: $type) -> Self {
                    self.terms.push(($key, value.to_string()));
                    self
                }
            )*

            /// Selects by labels.
            #[must_use]
            $vis fn selector(mut self, selector: impl Into<Selector>) -> Self {
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
    /// Selects servers.
    pub ServerFilter {
        /// Selects by name.
        name(&str) => "name",
        /// Selects by status; several calls select any of the given ones.
        status(ServerStatus) => "status",
    }
}

filter! {
    /// Selects volumes.
    pub(crate) VolumeFilter {
        /// Selects by name.
        name(&str) => "name",
    }
}

filter! {
    /// Selects SSH keys.
    pub(crate) SshKeyFilter {
        /// Selects by name.
        name(&str) => "name",
    }
}

filter! {
    /// Selects images. Without a kind, all public images are selected too.
    pub ImageFilter {
        /// Selects by kind; several calls select any of the given ones.
        kind(ImageType) => "type",
        /// Selects by status; several calls select any of the given ones.
        status(ImageStatus) => "status",
        /// Selects public images by name, which architectures share.
        name(&str) => "name",
        /// Selects by architecture.
        architecture(Architecture) => "architecture",
    }
}
