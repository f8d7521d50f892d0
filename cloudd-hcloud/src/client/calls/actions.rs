//! `/actions`.

use super::super::request::{Call, Request};
use super::Page;
use super::envelope::{action, list};
use crate::schema::{Action, ActionId};

list!(actions, actions: Action);

pub(in crate::client) fn read(id: ActionId) -> Call<Action> {
    Call {
        request: Request::get(format!("/actions/{id}"), format!("read action {id}")),
        read: action,
    }
}

/// Asks for several at once, at most [`ACTIONS_PER_CALL`](super::ACTIONS_PER_CALL). Ids that the
/// API does not know are missing from the answer.
pub(in crate::client) fn read_all(ids: &[ActionId]) -> Call<Page<Action>> {
    let request = ids
        .iter()
        .fold(Request::get("/actions", "read actions"), |request, id| request.query("id", id));
    Call { request, read: actions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_repeated_keys() {
        let query = read_all(&[ActionId(3), ActionId(5)]).request.query;
        assert_eq!(query, [("id", "3".to_owned()), ("id", "5".to_owned())]);
    }
}
