//! The shells around objects in answers.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::request::{Request, Unreadable};
use super::PER_PAGE;
use crate::schema::Action;

/// One page of a list.
#[derive(Debug)]
pub(in crate::client) struct Page<T> {
    pub(in crate::client) items: Vec<T>,
    pub(in crate::client) next: Option<u32>,
}

/// The answer to a create: the object, and every action that must end before it can be used.
#[derive(Debug)]
pub(in crate::client) struct Created<T> {
    pub(in crate::client) object: T,
    /// In the order in which the API carries them out.
    pub(in crate::client) actions: Vec<Action>,
}

/// A reader of `{"key": object}`.
macro_rules! object {
    ($reader:ident, $key:ident: $type:ty) => {
        fn $reader(body: &[u8]) -> Result<$type, $crate::client::request::Unreadable> {
            #[derive(serde::Deserialize)]
            struct Envelope {
                $key: $type,
            }
            Ok(serde_json::from_slice::<Envelope>(body)?.$key)
        }
    };
}

/// A reader of `{"key": [object, …], "meta": …}`.
macro_rules! list {
    ($reader:ident, $key:ident: $type:ty) => {
        fn $reader(body: &[u8]) -> Result<super::Page<$type>, $crate::client::request::Unreadable> {
            #[derive(serde::Deserialize)]
            struct Envelope {
                $key: Vec<$type>,
                #[serde(default)]
                meta: $crate::schema::Meta,
            }
            let envelope: Envelope = serde_json::from_slice(body)?;
            Ok(super::Page { items: envelope.$key, next: envelope.meta.next_page() })
        }
    };
}

/// A reader of `{"key": object, "action": …, "next_actions": […]}`. A password beside them is not
/// even read.
macro_rules! created {
    ($reader:ident, $key:ident: $type:ty) => {
        fn $reader(
            body: &[u8],
        ) -> Result<super::Created<$type>, $crate::client::request::Unreadable> {
            #[derive(serde::Deserialize)]
            struct Envelope {
                $key: $type,
                #[serde(default)]
                action: Option<$crate::schema::Action>,
                #[serde(default)]
                next_actions: Option<Vec<$crate::schema::Action>>,
            }
            let Envelope { $key: object, action, next_actions } = serde_json::from_slice(body)?;
            let actions = action.into_iter().chain(next_actions.unwrap_or_default()).collect();
            Ok(super::Created { object, actions })
        }
    };
}

pub(super) use {created, list, object};

object!(read_action, action: Action);

/// Reads `{"action": …}`.
pub(super) fn action(body: &[u8]) -> Result<Action, Unreadable> {
    read_action(body)
}

/// Reads the answer to a DELETE: an action, or nothing. Which of them has changed before, so any
/// other JSON is nothing. What is not even that is not an answer of the API's, who knows of what:
/// the resource may still be there.
pub(super) fn deletion(body: &[u8]) -> Result<Option<Action>, Unreadable> {
    #[derive(Deserialize)]
    struct Envelope {
        action: Action,
    }
    if !body.trim_ascii().is_empty() {
        serde_json::from_slice::<IgnoredAny>(body)?;
    }
    Ok(serde_json::from_slice(body).ok().map(|Envelope { action }| action))
}

/// Asks for a page of a list, in an order that does not change while one turns the pages.
pub(super) fn page(request: Request, page: u32) -> Request {
    request.query("sort", "id:asc").query("page", page).query("per_page", PER_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_answers_with_an_action_or_with_nothing() {
        let running = br#"{"action":{"id":1,"command":"delete_server","status":"running"}}"#;
        assert_eq!(deletion(running).unwrap().unwrap().id.0, 1);
        for body in ["", "{}", "null"] {
            assert_eq!(deletion(body.as_bytes()).unwrap(), None, "{body}");
        }
        assert!(deletion(b"<html>").is_err(), "nobody knows what happened");
    }

    #[test]
    fn a_create_names_its_action_and_the_next_ones_in_order() {
        created!(thing, thing: u8);
        let action = |id: u8| format!(r#"{{"id":{id},"command":"x","status":"running"}}"#);
        let body = format!(
            r#"{{"thing":7,"action":{},"next_actions":[{},{}],"root_password":"hunter2"}}"#,
            action(1),
            action(2),
            action(3),
        );
        let created = thing(body.as_bytes()).unwrap();
        assert_eq!(created.object, 7);
        assert_eq!(created.actions.iter().map(|action| action.id.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(!format!("{created:?}").contains("hunter2"));
        for body in [r#"{"thing":7}"#, r#"{"thing":7,"action":null,"next_actions":null}"#] {
            assert_eq!(thing(body.as_bytes()).unwrap().actions, []);
        }
    }
}
