//! `/servers`.

use super::super::filter::ServerFilter;
use super::super::request::{Call, Repeat, Request};
use super::envelope::{action, created, deletion, list, object, page};
use super::{Created, Page};
use crate::schema::{Action, CreateImage, CreateServer, Image, Server, ServerId, UpdateServer};

object!(server, server: Server);
list!(servers, servers: Server);
list!(server_actions, actions: Action);
created!(server_created, server: Server);
created!(image_created, image: Image);

pub(in crate::client) fn create(body: &CreateServer, repeat: Repeat) -> Call<Created<Server>> {
    let request = Request::post("/servers", format!("create server {}", body.name), repeat)
        .json(body)
        .secret(body.user_data.as_deref());
    Call { request, read: server_created }
}

pub(in crate::client) fn read(id: ServerId) -> Call<Server> {
    Call {
        request: Request::get(format!("/servers/{id}"), format!("read server {id}")),
        read: server,
    }
}

pub(in crate::client) fn list(filter: &ServerFilter, number: u32) -> Call<Page<Server>> {
    let request = filter.apply(Request::get("/servers", "list servers"));
    Call { request: page(request, number), read: servers }
}

pub(in crate::client) fn update(id: ServerId, body: &UpdateServer) -> Call<Server> {
    let request = Request::put(format!("/servers/{id}"), format!("update server {id}")).json(body);
    Call { request, read: server }
}

pub(in crate::client) fn delete(id: ServerId) -> Call<Option<Action>> {
    Call {
        request: Request::delete(format!("/servers/{id}"), format!("delete server {id}")),
        read: deletion,
    }
}

/// All actions of a server, ended ones too, oldest first.
pub(in crate::client) fn actions(id: ServerId, number: u32) -> Call<Page<Action>> {
    let request =
        Request::get(format!("/servers/{id}/actions"), format!("list the actions of server {id}"));
    Call { request: page(request, number), read: server_actions }
}

/// Changes the power state. Each of these may be repeated: a server that is on stays on, one that
/// is off stays off, and a guest that is shutting down ignores a second signal.
pub(in crate::client) fn power(id: ServerId, change: Power) -> Call<Action> {
    let (verb, text) = match change {
        Power::On => ("poweron", "start"),
        Power::Off => ("poweroff", "power off"),
        Power::Shutdown => ("shutdown", "shut down"),
    };
    let path = format!("/servers/{id}/actions/{verb}");
    Call {
        request: Request::post(path, format!("{text} server {id}"), Repeat::Freely),
        read: action,
    }
}

pub(in crate::client) fn create_image(
    id: ServerId,
    body: &CreateImage,
    repeat: Repeat,
) -> Call<Created<Image>> {
    let path = format!("/servers/{id}/actions/create_image");
    let request = Request::post(path, format!("take a snapshot of server {id}"), repeat).json(body);
    Call { request, read: image_created }
}

/// A change of the power state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Power {
    On,
    Off,
    Shutdown,
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use serde_json::json;

    use super::*;
    use crate::schema::{IdOrName, ImageId, Labels, Selector, ServerStatus};

    fn body<A>(call: &Call<A>) -> serde_json::Value {
        serde_json::from_str(call.request.body.as_deref().unwrap()).unwrap()
    }

    #[test]
    fn a_server_is_created_with_one_post_that_is_not_repeated_blindly() {
        let wish = CreateServer::new("s", IdOrName::name("cx23"), ImageId(7)).user_data("text");
        let call = create(&wish, Repeat::AfterLooking);
        assert_eq!((&call.request.method, call.request.path.as_str()), (&Method::POST, "/servers"));
        assert_eq!(
            body(&call),
            json!({"name": "s", "server_type": "cx23", "image": 7, "user_data": "text"})
        );
        assert_eq!(call.request.repeat, Repeat::AfterLooking);
        assert_eq!(call.request.secret.as_deref(), Some("text"));
    }

    #[test]
    fn a_list_repeats_its_keys() {
        let filter = ServerFilter::new()
            .selector(Selector::new().equals("a", "b"))
            .status(ServerStatus::Running)
            .status(ServerStatus::Off);
        let query = list(&filter, 3).request.query;
        let expected = [
            ("label_selector", "a=b"),
            ("status", "running"),
            ("status", "off"),
            ("sort", "id:asc"),
            ("page", "3"),
            ("per_page", "50"),
        ];
        assert_eq!(query, expected.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn power_changes_have_no_body_and_may_be_repeated() {
        for (change, path) in [
            (Power::On, "/servers/7/actions/poweron"),
            (Power::Off, "/servers/7/actions/poweroff"),
            (Power::Shutdown, "/servers/7/actions/shutdown"),
        ] {
            let request = power(ServerId(7), change).request;
            assert_eq!(
                (request.path.as_str(), request.body, request.repeat),
                (path, None, Repeat::Freely)
            );
        }
    }

    #[test]
    fn a_snapshot_says_what_it_is() {
        let wish =
            CreateImage::new("leap").labels(Labels::from([("a".to_owned(), "b".to_owned())]));
        let call = create_image(ServerId(7), &wish, Repeat::AfterLooking);
        assert_eq!(call.request.path, "/servers/7/actions/create_image");
        assert_eq!(
            body(&call),
            json!({"type": "snapshot", "description": "leap", "labels": {"a": "b"}})
        );
    }

    #[test]
    fn an_update_sends_only_what_changes() {
        let call = update(ServerId(7), &UpdateServer::labels(Labels::new()));
        assert_eq!(call.request.method, Method::PUT);
        assert_eq!(body(&call), json!({"labels": {}}), "an empty set replaces the labels too");
    }
}
