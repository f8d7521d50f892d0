//! The fields of a request body: typed, with every problem collected before the answer.

use serde_json::{Map, Value};

use super::super::labels;
use super::ApiError;

/// A reference by id or by name: clients send a JSON integer for ids and a string for names,
/// and the specification allows an id as a string too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    Id(u64),
    Name(String),
}

impl Reference {
    /// Whether it leads to a thing of this id and name.
    pub(crate) fn is(&self, id: u64, name: &str) -> bool {
        match self {
            Self::Id(wanted) => *wanted == id,
            Self::Name(wanted) => wanted == name || wanted.parse() == Ok(id),
        }
    }
}

/// A request body being read. A field that is `null` counts as absent.
#[derive(Debug)]
pub(crate) struct Fields {
    map: Map<String, Value>,
    problems: Vec<(String, Vec<String>)>,
}

impl Fields {
    pub(crate) fn new(map: Map<String, Value>) -> Self {
        Self {
            map: map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            problems: Vec::new(),
        }
    }

    /// Notes that something is wrong with a field.
    pub(crate) fn problem(&mut self, name: &str, message: impl Into<String>) {
        let message = message.into();
        match self.problems.iter_mut().find(|(field, _)| field == name) {
            Some((_, messages)) => messages.push(message),
            None => self.problems.push((name.to_owned(), vec![message])),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `invalid_input` with every problem noted.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ApiError::fields(&self.problems)) }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.map.get(name)
    }

    pub(crate) fn string(&mut self, name: &str) -> Option<String> {
        self.typed(name, "must be a string", |value| value.as_str().map(ToOwned::to_owned))
    }

    pub(crate) fn integer(&mut self, name: &str) -> Option<u64> {
        self.typed(name, "must be an integer", Value::as_u64)
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "must be a boolean", Value::as_bool)
    }

    pub(crate) fn object(&mut self, name: &str) -> Option<Fields> {
        self.typed(name, "must be an object", |value| value.as_object().cloned()).map(Fields::new)
    }

    pub(crate) fn objects(&mut self, name: &str) -> Vec<Fields> {
        let each = |value: &Value| value.as_object().cloned().map(Fields::new);
        self.array(name, "must be an array of objects", each)
    }

    pub(crate) fn ids(&mut self, name: &str) -> Vec<u64> {
        self.array(name, "must be an array of ids", Value::as_u64)
    }

    pub(crate) fn reference(&mut self, name: &str) -> Option<Reference> {
        self.typed(name, "must be an id or a name", reference)
    }

    pub(crate) fn references(&mut self, name: &str) -> Vec<Reference> {
        self.array(name, "must be an array of ids or names", reference)
    }

    /// A field which must be there.
    pub(crate) fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.map.contains_key(name) {
            self.problem(name, "Missing data for required field.");
        }
        value
    }

    /// Checked labels. `[]`, which some languages send for an empty map, is refused as it is live.
    pub(crate) fn labels(&mut self) -> Option<Map<String, Value>> {
        let labels = self
            .typed("labels", "must be an object of strings", |value| value.as_object().cloned())?;
        for (key, value) in &labels {
            let problem = labels::key_problem(key).or_else(|| match value.as_str() {
                Some(value) => labels::value_problem(value),
                None => Some(format!("label value of '{key}' must be a string")),
            });
            if let Some(message) = problem {
                self.problem("labels", message);
            }
        }
        Some(labels)
    }

    fn typed<T>(
        &mut self,
        name: &str,
        message: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.map.get(name)?;
        let typed = read(value);
        if typed.is_none() {
            self.problem(name, message);
        }
        typed
    }

    fn array<T>(
        &mut self,
        name: &str,
        message: &str,
        each: impl Fn(&Value) -> Option<T>,
    ) -> Vec<T> {
        let read = |value: &Value| value.as_array()?.iter().map(&each).collect::<Option<Vec<T>>>();
        self.typed(name, message, read).unwrap_or_default()
    }
}

fn reference(value: &Value) -> Option<Reference> {
    match value {
        Value::String(name) => Some(Reference::Name(name.clone())),
        other => other.as_u64().map(Reference::Id),
    }
}
