//! Servers.

use super::create::LOOK_UP_AT_ONCE;
use super::filter::ServerFilter;
use super::request::Request;
use super::response::CreateOutcome;
use super::response::{self, Read};
use super::{Client, gone_is_deleted};
use crate::Error;
use crate::schema::{Action, CreateServer, Label, Labels, Server, ServerId, check_labels};

pub(super) const READ: Read<Server> = response::object;

pub(super) fn read(id: ServerId) -> Request {
    Request::get(format!("/servers/{id}"), format!("read server {id}"))
}

pub(super) fn list(filter: &ServerFilter) -> Request {
    filter.apply(Request::get("/servers", "list servers"))
}

impl Client {
    /// Creates a server at most once.
    ///
    /// `idempotency_label` is a label of the request that only the caller's servers have. If the
    /// response is lost, or the name is taken, the server of that name is looked up and adopted if
    /// it has the label.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent. `AlreadyExists`: a server without the label has the
    /// name. `Unavailable`, see [`Error::is_out_of_capacity`]. `OutcomeUnknown`: the lookup failed.
    pub(crate) async fn create_server(
        &self,
        body: &CreateServer,
        idempotency_label: &Label,
    ) -> Result<CreateOutcome<Server>, Error> {
        body.check()?;
        let look_up = || async {
            let named = self.servers(&ServerFilter::new().name(&body.name)).await?;
            let own = named.into_iter().find(|server| idempotency_label.is_in(&server.labels));
            let Some(server) = own else { return Ok(None) };
            let actions = self.server_actions(server.id).await?;
            Ok(Some(CreateOutcome::existing(server, actions)))
        };
        let request = Request::create("/servers", format!("create server {}", body.name), body)
            .secret(body.user_data.as_deref());
        self.executor().create_idempotent(request, LOOK_UP_AT_ONCE, look_up).await
    }

    /// Reads a server.
    ///
    /// # Errors
    /// `NotFound`: the server was deleted. Its delete action may still run.
    pub async fn server(&self, id: ServerId) -> Result<Server, Error> {
        self.executor().run(&read(id), READ).await
    }

    /// Lists servers, oldest first.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn servers(&self, filter: &ServerFilter) -> Result<Vec<Server>, Error> {
        self.executor().list(list(filter)).await
    }

    /// Lists all actions of a server, oldest first.
    pub(crate) async fn server_actions(&self, id: ServerId) -> Result<Vec<Action>, Error> {
        self.actions_of("server", id).await
    }

    /// Replaces all labels of a server.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent, `NotFound`.
    pub async fn set_server_labels(&self, id: ServerId, labels: &Labels) -> Result<Server, Error> {
        check_labels(labels)?;
        let operation = format!("update server {id}");
        let request = Request::set_labels(format!("/servers/{id}"), operation, labels);
        self.executor().run(&request, READ).await
    }

    /// Deletes a server unless it does not exist. Its volumes are detached and kept; they can be
    /// used when the returned action has ended.
    ///
    /// # Errors
    /// `Protected`, `Busy`.
    pub async fn delete_server(&self, id: ServerId) -> Result<Option<Action>, Error> {
        let request = Request::delete(format!("/servers/{id}"), format!("delete server {id}"));
        gone_is_deleted(self.executor().run(&request, response::deletion).await)
    }

    /// Starts a server. The request may be repeated: a running server keeps running.
    ///
    /// # Errors
    /// `NotFound`, `Busy`.
    pub async fn power_on(&self, id: ServerId) -> Result<Action, Error> {
        let path = format!("/servers/{id}/actions/poweron");
        let request = Request::post(path, format!("start server {id}"));
        self.executor().run(&request, response::object).await
    }

    /// Switches a server off without shutting down its operating system. The request may be
    /// repeated.
    ///
    /// # Errors
    /// `NotFound`, `Busy`.
    pub async fn power_off(&self, id: ServerId) -> Result<Action, Error> {
        let path = format!("/servers/{id}/actions/poweroff");
        let request = Request::post(path, format!("power off server {id}"));
        self.executor().run(&request, response::object).await
    }
}
