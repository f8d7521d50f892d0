//! Rendering of values as JSON that cloud-init reads as YAML.
//!
//! JSON is almost a subset of YAML 1.1, which PyYAML implements. Where the two differ, data would
//! change or be lost, so the output is restricted to what both read as the same value. The tests read
//! it back with the parser of the real cloud-init.

use std::io;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq};
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

use super::error::{Error, Result};

/// A cloud-config being written: one top-level key per line, in the order of the calls.
pub(super) struct Document {
    text: String,
    keys: Vec<String>,
}

impl Document {
    pub(super) fn new() -> Self {
        Self { text: String::from("#cloud-config\n{"), keys: Vec::new() }
    }

    /// Writes a key.
    pub(super) fn entry(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        self.text.push_str(if self.keys.is_empty() { "\n" } else { ",\n" });
        self.text.push_str(&yaml_safe_json(key));
        self.text.push(':');
        self.text.push_str(&yaml_safe_json(value));
        self.keys.push(key.to_owned());
    }

    /// Writes a key if it has a value.
    pub(super) fn entry_if<T: Serialize>(&mut self, key: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.entry(key, value);
        }
    }

    /// Writes a list unless it is empty, because cloud-init's schema rejects most empty lists.
    pub(super) fn list<T: Serialize>(&mut self, key: &str, items: &[T]) {
        if !items.is_empty() {
            self.entry(key, items);
        }
    }

    /// Writes a key that has no typed setter.
    ///
    /// # Errors
    /// [`Error::KeyCollision`] if the key has been written already. `ca-certs` and `ca_certs` count
    /// as equal because cloud-init ignores one of the two.
    pub(super) fn extra(&mut self, key: &str, value: &Value) -> Result<()> {
        let canonical = |key: &str| key.replace('-', "_");
        if self.keys.iter().any(|k| canonical(k) == canonical(key)) {
            return Err(Error::KeyCollision { key: key.to_owned() });
        }
        check_key(key)?;
        check_keys(value)?;
        self.entry(key, &Sorted(value));
        Ok(())
    }

    pub(super) fn finish(mut self) -> String {
        if !self.keys.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str("}\n");
        self.text
    }
}

/// PyYAML requires the ':' of a key within 1024 characters of the written key.
const LONGEST_KEY: usize = 1000;

fn check_keys(value: &Value) -> Result<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(check_keys),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            check_key(key)?;
            check_keys(value)
        }),
        _ => Ok(()),
    }
}

fn check_key(key: &str) -> Result<()> {
    let reason = if key.is_empty() {
        "is empty"
    } else if yaml_safe_json(key).chars().count() > LONGEST_KEY {
        "is longer than the YAML parser of cloud-init accepts"
    } else {
        return Ok(());
    };
    Err(Error::InvalidValue { key: "extra", value: key.to_owned(), reason })
}

/// JSON that YAML 1.1 reads as the same value.
fn yaml_safe_json(value: &(impl Serialize + ?Sized)) -> String {
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, YamlSafe))
        .expect("all keys are strings, and writing to a Vec does not fail");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// Compact JSON, except where YAML 1.1 disagrees with it.
struct YamlSafe;

impl Formatter for YamlSafe {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = first_unsafe(rest) {
            writer.write_all(&rest.as_bytes()[..at])?;
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    /// `1e20` is a string to YAML 1.1; `1.0e+20` is the number in both.
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let text = format!("{value:?}");
        let Some((mantissa, exponent)) = text.split_once('e') else {
            return writer.write_all(text.as_bytes());
        };
        let dot = if mantissa.contains('.') { "" } else { ".0" };
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        write!(writer, "{mantissa}{dot}e{sign}{exponent}")
    }
}

/// Finds the first character that must be written as `\uXXXX`.
///
/// * DEL, the C1 controls, U+FFFE and U+FFFF: PyYAML rejects a document that contains them.
/// * NEL, LS and PS: YAML folds them as line breaks.
/// * The ':' of `mime-version:`: cloud-init treats user data with these words in its first 4096 bytes
///   as a MIME message.
///
/// Characters above U+FFFF are not escaped: JSON needs two `\uXXXX` for them, which PyYAML reads as
/// two unpaired surrogates.
fn first_unsafe(text: &str) -> Option<(usize, char)> {
    const MIME: &[u8] = b"mime-version";
    text.char_indices().find(|&(at, c)| match c {
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => true,
        ':' => at
            .checked_sub(MIME.len())
            .is_some_and(|start| text.as_bytes()[start..at].eq_ignore_ascii_case(MIME)),
        _ => false,
    })
}

/// A JSON value with sorted keys. The order in a `serde_json` map depends on its features.
struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(&Sorted(item)))?;
                list.end()
            }
            Value::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &Sorted(value))?;
                }
                map.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_that_yaml_would_misread_is_written_otherwise() {
        for (text, written) in [
            ("plain ü €", "\"plain ü €\""),
            ("a\tb\n\"\\", r#""a\tb\n\"\\""#),
            ("a/b", "\"a/b\""),
            ("\u{7f}\u{85}\u{9f}", r#""\u007f\u0085\u009f""#),
            ("a\u{2028}\u{2029}b", r#""a\u2028\u2029b""#),
            ("\u{fffe}\u{ffff}", r#""\ufffe\uffff""#),
            ("\u{1f600}", "\"\u{1f600}\""),
            ("x-MIME-Version: 1.0", r#""x-MIME-Version\u003a 1.0""#),
            ("version: 1", "\"version: 1\""),
        ] {
            assert_eq!(yaml_safe_json(text), written);
            assert_eq!(serde_json::from_str::<String>(written).unwrap(), text);
        }
    }

    #[test]
    fn numbers_stay_numbers_in_yaml() {
        for (number, written) in [
            (json!(1e20), "1.0e+20"),
            (json!(1.5e-7), "1.5e-7"),
            (json!(2.5), "2.5"),
            (json!(3.0), "3.0"),
            (json!(-1), "-1"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(yaml_safe_json(&number), written);
        }
    }

    #[test]
    fn keys_of_extra_values_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": 2}], "a": null});
        assert_eq!(yaml_safe_json(&Sorted(&value)), r#"{"a":null,"b":[{"a":2,"z":1}]}"#);
    }

    #[test]
    fn an_empty_document_is_an_empty_mapping() {
        assert_eq!(Document::new().finish(), "#cloud-config\n{}\n");
    }
}
