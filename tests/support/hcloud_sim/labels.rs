//! Labels and label selectors.

use serde_json::{Map, Value};

/// What is wrong with a label key, if anything.
///
/// A key is `[prefix/]name`: the name 1 to 63 characters, the prefix a DNS subdomain of at most
/// 253, `hetzner.cloud/` reserved.
pub(crate) fn key_problem(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if !is_name(name) {
        return Some(format!("label key '{key}' is not correctly formatted"));
    }
    match prefix {
        Some("hetzner.cloud") => Some(format!("label key '{key}' uses the reserved prefix")),
        Some(prefix) if !is_subdomain(prefix) => {
            Some(format!("label key prefix '{prefix}' is not a DNS subdomain"))
        }
        _ => None,
    }
}

/// What is wrong with a label value, if anything: at most 63 characters, empty or shaped as a name.
pub(crate) fn value_problem(value: &str) -> Option<String> {
    (!value.is_empty() && !is_name(value))
        .then(|| format!("label value '{value}' is not correctly formatted"))
}

/// 1 to 63 characters, letters and digits at both ends, `-`, `_` and `.` between them.
fn is_name(text: &str) -> bool {
    let inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|&c| inside(c))
        && bytes[0].is_ascii_alphanumeric()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') && is_name(label)
        })
}

/// A parsed `label_selector`: terms of which all must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    Present(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Parses the grammar of the API: `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`,
    /// `k notin (a,b)`, joined by commas.
    ///
    /// # Errors
    /// A message with the position, as the API words it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0 };
        let mut terms = Vec::new();
        parser.skip_spaces();
        while !parser.at_end() {
            terms.push(parser.term()?);
            parser.skip_spaces();
            if !parser.at_end() {
                parser.expect(',', "comma")?;
                parser.skip_spaces();
                if parser.at_end() {
                    return Err(parser.expected("label key"));
                }
            }
        }
        Ok(Self(terms))
    }

    /// Whether a resource with these labels is selected.
    ///
    /// The API does not say whether `k!=v` selects a resource without `k`; here it does.
    pub(crate) fn matches(&self, labels: &Map<String, Value>) -> bool {
        let value = |key: &String| labels.get(key).and_then(Value::as_str);
        self.0.iter().all(|term| match term {
            Term::Present(key) => value(key).is_some(),
            Term::Absent(key) => value(key).is_none(),
            Term::In(key, set) => value(key).is_some_and(|v| set.iter().any(|s| s == v)),
            Term::NotIn(key, set) => value(key).is_none_or(|v| set.iter().all(|s| s != v)),
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn term(&mut self) -> Result<Term, String> {
        if self.eat("!") {
            self.skip_spaces();
            return Ok(Term::Absent(self.key()?));
        }
        let key = self.key()?;
        let spaced = self.skip_spaces();
        if self.eat("!=") {
            Ok(Term::NotIn(key, vec![self.value()?]))
        } else if self.eat("==") || self.eat("=") {
            Ok(Term::In(key, vec![self.value()?]))
        } else if spaced && self.eat("notin") {
            Ok(Term::NotIn(key, self.set()?))
        } else if spaced && self.eat("in") {
            Ok(Term::In(key, self.set()?))
        } else {
            Ok(Term::Present(key))
        }
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        self.skip_spaces();
        self.expect('(', "opening parenthesis")?;
        let mut values = vec![self.value()?];
        self.skip_spaces();
        while self.eat(",") {
            values.push(self.value()?);
            self.skip_spaces();
        }
        self.expect(')', "closing parenthesis")?;
        Ok(values)
    }

    fn key(&mut self) -> Result<String, String> {
        let from = self.at;
        let key = self.word("/");
        match key_problem(&key) {
            _ if key.is_empty() => Err(self.expected("label key")),
            // Selecting by a reserved key is allowed, only writing it is not.
            Some(_) if !key.starts_with("hetzner.cloud/") => {
                Err(format!("invalid label_selector: invalid key at pos {from}"))
            }
            _ => Ok(key),
        }
    }

    fn value(&mut self) -> Result<String, String> {
        self.skip_spaces();
        let from = self.at;
        let value = self.word("");
        match value_problem(&value) {
            Some(_) => Err(format!("invalid label_selector: invalid value at pos {from}")),
            None => Ok(value),
        }
    }

    /// The longest run of characters which keys and values are made of.
    fn word(&mut self, also: &str) -> String {
        let rest = &self.text[self.at..];
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c) || also.contains(c);
        let end = rest.find(|c| !allowed(c)).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn skip_spaces(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        self.at += spaces;
        spaces > 0
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.text[self.at..].starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: char, name: &str) -> Result<(), String> {
        if self.eat(token.encode_utf8(&mut [0; 4])) { Ok(()) } else { Err(self.expected(name)) }
    }

    fn expected(&self, what: &str) -> String {
        format!("invalid label_selector: expected {what} at pos {}", self.at)
    }

    fn at_end(&self) -> bool {
        self.at == self.text.len()
    }
}

#[cfg(test)]
#[path = "labels_tests.rs"]
mod tests;
