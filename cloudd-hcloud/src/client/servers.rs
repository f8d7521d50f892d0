//! Servers.

use super::adopt::Made;
use super::calls::servers::{self, Power};
use super::deletion::Deletion;
use super::filter::ServerFilter;
use super::{Client, LOOK_AT_ONCE};
use crate::Error;
use crate::schema::{Action, CreateServer, Label, Server, ServerId, UpdateServer};

impl Client {
    /// Creates a server at most once.
    ///
    /// `mine` is a label of the wish that tells the caller's servers from all others. If the answer
    /// is lost, or the name is taken, the server of that name is looked up, and adopted when it has
    /// that label. After an adoption the actions are those that the server has had so far.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent. `AlreadyExists`: the name is taken by a server
    /// without the label. `NoCapacity`: another location or type may do. `AnswerLost`: it could not
    /// be found out whether the server exists.
    pub async fn create_server(
        &self,
        wish: &CreateServer,
        mine: &Label,
    ) -> Result<Made<Server>, Error> {
        wish.check()?;
        let find = || async {
            let named = self.servers(&ServerFilter::new().name(&wish.name)).await?;
            let Some(server) = named.into_iter().find(|server| mine.is_in(&server.labels)) else {
                return Ok(None);
            };
            let actions = self.server_actions(server.id).await?;
            Ok(Some(Made::adopted(server, actions)))
        };
        let accept =
            |created: super::calls::Created<Server>| Made::created(created.object, created.actions);
        self.core().once(|repeat| servers::create(wish, repeat), accept, LOOK_AT_ONCE, find).await
    }

    /// Reads a server.
    ///
    /// # Errors
    /// `NotFound`: it is gone, perhaps with its delete action still running.
    pub async fn server(&self, id: ServerId) -> Result<Server, Error> {
        self.core().run(&servers::read(id)).await
    }

    /// Lists the actions that a server has had, oldest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn server_actions(&self, id: ServerId) -> Result<Vec<Action>, Error> {
        self.core().all(|page| servers::actions(id, page)).await
    }

    /// Lists servers, oldest first.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn servers(&self, filter: &ServerFilter) -> Result<Vec<Server>, Error> {
        self.core().all(|page| servers::list(filter, page)).await
    }

    /// Changes name or labels. Labels are replaced as a whole.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent, `NotFound`.
    pub async fn update_server(
        &self,
        id: ServerId,
        change: &UpdateServer,
    ) -> Result<Server, Error> {
        change.check()?;
        self.core().run(&servers::update(id, change)).await
    }

    /// Deletes a server. Its volumes are detached and stay; they are free when the action has
    /// ended.
    ///
    /// # Errors
    /// `Protected`, `Locked`.
    pub async fn delete_server(&self, id: ServerId) -> Result<Deletion, Error> {
        Deletion::of(self.core().run(&servers::delete(id)).await)
    }

    /// Starts a server.
    ///
    /// # Errors
    /// `NotFound`, `Locked`.
    pub async fn power_on(&self, id: ServerId) -> Result<Action, Error> {
        self.core().run(&servers::power(id, Power::On)).await
    }

    /// Cuts the power.
    ///
    /// # Errors
    /// `NotFound`, `Locked`.
    pub async fn power_off(&self, id: ServerId) -> Result<Action, Error> {
        self.core().run(&servers::power(id, Power::Off)).await
    }

    /// Asks the guest to shut down. The action ends when it has been asked, not when it is off.
    ///
    /// # Errors
    /// `NotFound`, `Locked`.
    pub async fn shut_down(&self, id: ServerId) -> Result<Action, Error> {
        self.core().run(&servers::power(id, Power::Shutdown)).await
    }
}
