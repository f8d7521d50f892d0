//! Volumes.

use super::adopt::Made;
use super::calls::{Created, volumes};
use super::deletion::Deletion;
use super::filter::VolumeFilter;
use super::{Client, LOOK_AT_ONCE};
use crate::Error;
use crate::schema::{
    Action, Command, CreateVolume, Label, ServerId, UpdateVolume, Volume, VolumeId,
};

impl Client {
    /// Creates a volume at most once; see [`create_server`](Self::create_server) for `mine`.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent. `AlreadyExists`: the name is taken by a volume
    /// without the label. `NoCapacity`: another location may do. `AnswerLost`: it could not be
    /// found out whether the volume exists.
    pub async fn create_volume(
        &self,
        wish: &CreateVolume,
        mine: &Label,
    ) -> Result<Made<Volume>, Error> {
        wish.check()?;
        let find = || async {
            let named = self.volumes(&VolumeFilter::new().name(&wish.name)).await?;
            let Some(volume) = named.into_iter().find(|volume| mine.is_in(&volume.labels)) else {
                return Ok(None);
            };
            let actions = self.volume_actions(volume.id).await?;
            Ok(Some(Made::adopted(volume, actions)))
        };
        let accept = |created: Created<Volume>| Made::created(created.object, created.actions);
        self.core().once(|repeat| volumes::create(wish, repeat), accept, LOOK_AT_ONCE, find).await
    }

    /// Reads a volume.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn volume(&self, id: VolumeId) -> Result<Volume, Error> {
        self.core().run(&volumes::read(id)).await
    }

    /// Lists volumes, oldest first.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn volumes(&self, filter: &VolumeFilter) -> Result<Vec<Volume>, Error> {
        self.core().all(|page| volumes::list(filter, page)).await
    }

    /// Changes the labels, as a whole.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent, `NotFound`.
    pub async fn update_volume(
        &self,
        id: VolumeId,
        change: &UpdateVolume,
    ) -> Result<Volume, Error> {
        change.check()?;
        self.core().run(&volumes::update(id, change)).await
    }

    /// Deletes a volume, which must not be attached.
    ///
    /// # Errors
    /// `Protected`, `Locked`, or whatever the API says of an attached volume.
    pub async fn delete_volume(&self, id: VolumeId) -> Result<Deletion, Error> {
        Deletion::of(self.core().run(&volumes::delete(id)).await)
    }

    /// Attaches a volume to a server, at most once. What remains to be waited for is empty when it
    /// already is attached.
    ///
    /// # Errors
    /// `Refused` with `volume_already_attached`: to another server. `Locked`: attach several
    /// volumes one after the other. `AnswerLost`: it could not be found out whether it is attached.
    pub async fn attach_volume(
        &self,
        id: VolumeId,
        server: ServerId,
    ) -> Result<Vec<Action>, Error> {
        let find = || async {
            let under_way = self.running_action(id, &Command::AttachVolume).await?;
            let to_this_server = |action: &Action| {
                action.resources.iter().any(|it| it.kind == "server" && it.id == server.0)
            };
            if let Some(action) = under_way.filter(to_this_server) {
                return Ok(Some(vec![action]));
            }
            let attached = self.volume(id).await?.server == Some(server);
            Ok(attached.then(Vec::new))
        };
        let accept = |action| vec![action];
        self.core()
            .once(|repeat| volumes::attach(id, server, repeat), accept, LOOK_AT_ONCE, find)
            .await
    }

    /// Detaches a volume, at most once. What remains to be waited for is empty when it is not
    /// attached.
    ///
    /// # Errors
    /// `NotFound`, `Locked`. `AnswerLost`: it could not be found out whether it is detached.
    pub async fn detach_volume(&self, id: VolumeId) -> Result<Vec<Action>, Error> {
        let find = || async {
            if let Some(action) = self.running_action(id, &Command::DetachVolume).await? {
                return Ok(Some(vec![action]));
            }
            let detached = self.volume(id).await?.server.is_none();
            Ok(detached.then(Vec::new))
        };
        let accept = |action| vec![action];
        self.core().once(|repeat| volumes::detach(id, repeat), accept, LOOK_AT_ONCE, find).await
    }

    async fn running_action(
        &self,
        id: VolumeId,
        command: &Command,
    ) -> Result<Option<Action>, Error> {
        let actions = self.volume_actions(id).await?;
        Ok(actions.into_iter().rfind(|action| action.command == *command && !action.is_ended()))
    }

    async fn volume_actions(&self, id: VolumeId) -> Result<Vec<Action>, Error> {
        self.core().all(|page| volumes::actions(id, page)).await
    }
}
