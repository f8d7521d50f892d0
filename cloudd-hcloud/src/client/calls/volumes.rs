//! `/volumes`.

use serde::Serialize;

use super::super::filter::VolumeFilter;
use super::super::request::{Call, Repeat, Request};
use super::envelope::{action, created, deletion, list, object, page};
use super::{Created, Page};
use crate::schema::{Action, CreateVolume, ServerId, UpdateVolume, Volume, VolumeId};

object!(volume, volume: Volume);
list!(volumes, volumes: Volume);
list!(volume_actions, actions: Action);
created!(volume_created, volume: Volume);

pub(in crate::client) fn create(body: &CreateVolume, repeat: Repeat) -> Call<Created<Volume>> {
    let request =
        Request::post("/volumes", format!("create volume {}", body.name), repeat).json(body);
    Call { request, read: volume_created }
}

pub(in crate::client) fn read(id: VolumeId) -> Call<Volume> {
    Call {
        request: Request::get(format!("/volumes/{id}"), format!("read volume {id}")),
        read: volume,
    }
}

pub(in crate::client) fn list(filter: &VolumeFilter, number: u32) -> Call<Page<Volume>> {
    let request = filter.apply(Request::get("/volumes", "list volumes"));
    Call { request: page(request, number), read: volumes }
}

pub(in crate::client) fn update(id: VolumeId, body: &UpdateVolume) -> Call<Volume> {
    let request = Request::put(format!("/volumes/{id}"), format!("update volume {id}")).json(body);
    Call { request, read: volume }
}

pub(in crate::client) fn delete(id: VolumeId) -> Call<Option<Action>> {
    Call {
        request: Request::delete(format!("/volumes/{id}"), format!("delete volume {id}")),
        read: deletion,
    }
}

/// All actions of a volume, ended ones too, oldest first.
pub(in crate::client) fn actions(id: VolumeId, number: u32) -> Call<Page<Action>> {
    let request =
        Request::get(format!("/volumes/{id}/actions"), format!("list the actions of volume {id}"));
    Call { request: page(request, number), read: volume_actions }
}

pub(in crate::client) fn attach(id: VolumeId, server: ServerId, repeat: Repeat) -> Call<Action> {
    #[derive(Serialize)]
    struct Body {
        server: ServerId,
        automount: bool,
    }
    let path = format!("/volumes/{id}/actions/attach");
    let request = Request::post(path, format!("attach volume {id} to server {server}"), repeat)
        .json(&Body { server, automount: false });
    Call { request, read: action }
}

pub(in crate::client) fn detach(id: VolumeId, repeat: Repeat) -> Call<Action> {
    let path = format!("/volumes/{id}/actions/detach");
    Call { request: Request::post(path, format!("detach volume {id}"), repeat), read: action }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{LocationRef, VolumePlace};

    #[test]
    fn attaching_names_the_server_as_an_integer_and_mounts_nothing() {
        let request = attach(VolumeId(5), ServerId(7), Repeat::AfterLooking).request;
        assert_eq!(request.path, "/volumes/5/actions/attach");
        assert_eq!(request.body.as_deref(), Some(r#"{"server":7,"automount":false}"#));
    }

    #[test]
    fn creating_sends_size_and_place() {
        let place = VolumePlace::Location(LocationRef::name("fsn1"));
        let request = create(&CreateVolume::new("v", 10, place), Repeat::AfterLooking).request;
        assert_eq!(request.body.as_deref(), Some(r#"{"name":"v","size":10,"location":"fsn1"}"#));
    }
}
