//! Deserializers for fields that may be missing, `null` or of another shape in practice.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Reads `null` as the default value. With `#[serde(default)]`, a missing field has it too.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a value of another shape as `None`. For fields that only inform, such as prices and times:
/// a change of their format must not make the whole object unreadable.
pub(super) fn or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Sample {
        #[serde(default, deserialize_with = "super::or_default")]
        list: Vec<u8>,
        #[serde(default, deserialize_with = "super::or_none")]
        number: Option<u8>,
    }

    #[test]
    fn missing_null_and_odd_fields_are_empty() {
        let empty = Sample { list: Vec::new(), number: None };
        for text in ["{}", r#"{"list":null,"number":null}"#, r#"{"number":{"of":"another shape"}}"#]
        {
            assert_eq!(serde_json::from_str::<Sample>(text).unwrap(), empty, "{text}");
        }
    }

    #[test]
    fn what_is_there_is_read() {
        let sample: Sample = serde_json::from_str(r#"{"list":[1,2],"number":3}"#).unwrap();
        assert_eq!(sample, Sample { list: vec![1, 2], number: Some(3) });
    }
}
