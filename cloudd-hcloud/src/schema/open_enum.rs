//! Enums that keep values that this version does not know.

/// Declares an enum of the values known to this version, with a catch-all variant: a value that the
/// API adds later still parses, and is sent back unchanged.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(
                #[doc = concat!("`", $text, "`.")]
                $(#[$doc])*
                $variant,
            )+
            /// A value that this version does not know, as received.
            Other(String),
        }

        impl $name {
            /// The value as it is in the API.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(text.as_ref()))
            }
        }
    };
}

pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    use crate::schema::ImageType;

    #[test]
    fn a_known_text_is_its_variant_and_back() {
        let snapshot: ImageType = serde_json::from_str(r#""snapshot""#).unwrap();
        assert_eq!(snapshot, ImageType::Snapshot);
        assert_eq!(serde_json::to_string(&snapshot).unwrap(), r#""snapshot""#);
    }

    #[test]
    fn an_unknown_text_is_kept_and_sent_back_as_it_came() {
        let other: ImageType = serde_json::from_str(r#""bl\u00fce""#).unwrap();
        assert_eq!(other, ImageType::Other("blüe".to_owned()));
        assert_eq!(serde_json::to_string(&other).unwrap(), r#""blüe""#);
    }
}
