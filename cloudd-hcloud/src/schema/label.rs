//! Labels and label selectors.

use std::collections::BTreeMap;
use std::fmt;

use super::validate::{check_label_key, check_label_value};
use crate::Error;

/// The labels of a resource.
pub type Labels = BTreeMap<String, String>;

/// One valid label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    key: String,
    value: String,
}

impl Label {
    /// A label `key=value`.
    ///
    /// # Errors
    /// `InvalidInput`: the key is not `[prefix/]name`, or the value has more than 63 characters or
    /// characters other than letters, digits, `-`, `_` and `.`.
    pub(crate) fn new(key: impl Into<String>, value: impl Into<String>) -> Result<Self, Error> {
        let (key, value) = (key.into(), value.into());
        check_label_key(&key)?;
        check_label_value(&key, &value)?;
        Ok(Self { key, value })
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// Whether `labels` contain this label.
    pub(crate) fn is_in(&self, labels: &Labels) -> bool {
        labels.get(&self.key).is_some_and(|value| *value == self.value)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// A label selector: selects the resources for which all of its terms hold. The API evaluates it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    terms: Vec<String>,
}

impl Selector {
    /// A selector without terms, which selects everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a term: the label has this value.
    #[must_use]
    pub fn equals(mut self, key: &str, value: &str) -> Self {
        self.terms.push(format!("{key}={value}"));
        self
    }

    /// Adds a term: the label is set, with any value.
    #[must_use]
    pub fn exists(mut self, key: &str) -> Self {
        self.terms.push(key.to_owned());
        self
    }
}

impl From<&Label> for Selector {
    fn from(label: &Label) -> Self {
        Self::new().equals(&label.key, &label.value)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.terms.join(","))
    }
}

/// Checks all keys and values of a set of labels.
pub(crate) fn check_labels(labels: &Labels) -> Result<(), Error> {
    for (key, value) in labels {
        check_label_key(key)?;
        check_label_value(key, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_joins_its_terms() {
        let selector = Selector::new().exists("cloudd/build").equals("cloudd/name", "leap");
        assert_eq!(selector.to_string(), "cloudd/build,cloudd/name=leap");
    }

    #[test]
    fn a_label_is_found_by_key_and_value() {
        let label = Label::new("cloudd/build", "abc").unwrap();
        let labels = |value: &str| Labels::from([("cloudd/build".to_owned(), value.to_owned())]);
        assert!(label.is_in(&labels("abc")));
        assert!(!label.is_in(&labels("abd")));
        assert!(!label.is_in(&Labels::new()));
        assert_eq!(Selector::from(&label).to_string(), "cloudd/build=abc");
    }

    #[test]
    fn a_label_against_the_rules_is_refused() {
        assert!(Label::new("cloudd/build", "2026-11-20T09:00:00Z").is_err());
        assert!(Label::new("", "x").is_err());
    }
}
