//! `/ssh_keys`.

use super::super::filter::SshKeyFilter;
use super::super::request::{Call, Repeat, Request};
use super::Page;
use super::envelope::{deletion, list, object, page};
use crate::schema::{Action, CreateSshKey, SshKey, SshKeyId, UpdateSshKey};

object!(ssh_key, ssh_key: SshKey);
list!(ssh_keys, ssh_keys: SshKey);

pub(in crate::client) fn create(body: &CreateSshKey, repeat: Repeat) -> Call<SshKey> {
    let request =
        Request::post("/ssh_keys", format!("create SSH key {}", body.name), repeat).json(body);
    Call { request, read: ssh_key }
}

pub(in crate::client) fn list(filter: &SshKeyFilter, number: u32) -> Call<Page<SshKey>> {
    let request = filter.apply(Request::get("/ssh_keys", "list SSH keys"));
    Call { request: page(request, number), read: ssh_keys }
}

pub(in crate::client) fn read(id: SshKeyId) -> Call<SshKey> {
    let request = Request::get(format!("/ssh_keys/{id}"), format!("read SSH key {id}"));
    Call { request, read: ssh_key }
}

pub(in crate::client) fn update(id: SshKeyId, body: &UpdateSshKey) -> Call<SshKey> {
    let request =
        Request::put(format!("/ssh_keys/{id}"), format!("change SSH key {id}")).json(body);
    Call { request, read: ssh_key }
}

pub(in crate::client) fn delete(id: SshKeyId) -> Call<Option<Action>> {
    Call {
        request: Request::delete(format!("/ssh_keys/{id}"), format!("delete SSH key {id}")),
        read: deletion,
    }
}
