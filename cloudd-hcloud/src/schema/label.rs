//! Labels, and selectors over them.

use std::collections::BTreeMap;
use std::fmt;

use super::rules;
use crate::Error;

/// The labels of a resource.
pub type Labels = BTreeMap<String, String>;

/// One label, checked: what tells a build's resources from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    key: String,
    value: String,
}

impl Label {
    /// A label `key=value`.
    ///
    /// # Errors
    /// `InvalidInput`: the key is not `[prefix/]name`, or the value has more than 63 characters or
    /// others than letters, digits, `-`, `_` and `.`.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Result<Self, Error> {
        let (key, value) = (key.into(), value.into());
        rules::check_label_key(&key)?;
        rules::check_label_value(&key, &value)?;
        Ok(Self { key, value })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether `labels` hold this label.
    #[must_use]
    pub fn is_in(&self, labels: &Labels) -> bool {
        labels.get(&self.key).is_some_and(|value| *value == self.value)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

/// A label selector: all of its terms must hold.
///
/// The server evaluates it, and has no OR across keys.
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

    /// The key has this value.
    #[must_use]
    pub fn equals(self, key: &str, value: &str) -> Self {
        self.term(format!("{key}={value}"))
    }

    /// The key is there, with whatever value.
    #[must_use]
    pub fn exists(self, key: &str) -> Self {
        self.term(key.to_owned())
    }

    /// The key is not there.
    #[must_use]
    pub fn lacks(self, key: &str) -> Self {
        self.term(format!("!{key}"))
    }

    /// The key has one of these values.
    #[must_use]
    pub fn one_of(self, key: &str, values: &[&str]) -> Self {
        self.term(format!("{key} in ({})", values.join(",")))
    }

    fn term(mut self, term: String) -> Self {
        self.terms.push(term);
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

/// Checks a whole set of labels.
pub(super) fn check_labels(labels: &Labels) -> Result<(), Error> {
    for (key, value) in labels {
        rules::check_label_key(key)?;
        rules::check_label_value(key, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_joins_its_terms() {
        let selector = Selector::new()
            .exists("cloudd/build")
            .equals("cloudd/name", "leap")
            .lacks("cloudd/keep")
            .one_of("cloudd/phase", &["stage1", "stage2"]);
        assert_eq!(
            selector.to_string(),
            "cloudd/build,cloudd/name=leap,!cloudd/keep,cloudd/phase in (stage1,stage2)",
        );
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
