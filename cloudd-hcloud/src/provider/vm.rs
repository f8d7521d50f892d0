//! Builder VMs.

use std::net::IpAddr;

use cloudd_core::provider::{
    Error, ErrorKind, PowerState, Report, Reporter, Result, Vm, VmId, VmSpec, keys,
};

use super::choice::{Disk, Want};
use super::{ACTION, Hcloud, NO_DEADLINE, base, known, labels, lease, volume};
use crate::client::{ActionWait, Made, Origin};
use crate::schema::{
    Action, ActionStatus, ApiCode, Command, CreateServer, IdOrName, Ipv6, LocationRef, Selector,
    Server, ServerId, ServerStatus, VolumeId,
};

impl Hcloud {
    /// Creates a server where its volume is.
    pub(super) async fn new_server(&self, spec: &VmSpec) -> Result<Vm> {
        const CREATE: &str = "create server";
        let mine = labels::build_label(CREATE, &spec.labels)?;
        let build = mine.value();
        let image = base::id(&spec.offer.base)?;
        let user_data = std::str::from_utf8(&spec.user_data).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, CREATE)
                .with_resource(&spec.name)
                .with_message("the API takes user data as text only")
                .with_source(error)
        })?;
        let volume = volume::id(&spec.volume.id)?;
        let location = self.ready_volume(volume).await?;
        let own = labels::to_hetzner(&spec.labels);
        let key = lease::key(CREATE, spec.lease.as_ref())?;

        let architecture = spec.requirements.architecture;
        let want = Want { architecture, disk: Disk::Exactly(spec.offer.root_size) };
        let places = self.places(want).await?;
        for place in places.iter().filter(|place| place.location == location) {
            let server_type = IdOrName::name(&place.server_type);
            let mut wish = CreateServer::new(&spec.name, server_type, image)
                .location(LocationRef::name(&location))
                .volume(volume)
                .ssh_key(key)
                .labels(own.clone())
                .addresses(self.config().addresses)
                .user_data(user_data)
                .stopped();
            wish.firewalls.clone_from(&self.config().firewalls);
            wish.networks.clone_from(&self.config().networks);
            wish.placement_group = self.config().placement_group;
            match self.client().create_server(&wish, &mine).await {
                Ok(Made { resource, actions, origin, .. }) => {
                    if origin == Origin::Adopted {
                        tracing::info!(server = %resource.id, "adopted after a lost answer");
                        self.has_its_volume(&resource, &actions, volume).await?;
                    }
                    self.known().note_server(&resource, build, actions, origin);
                    return Ok(of(&resource));
                }
                Err(error) if error.kind() == crate::ErrorKind::NoCapacity => {
                    self.refused(build, &location, &place.server_type, &error);
                }
                // A server of another build has the name, and the volume with it: of the two, the API
                // may tell of the volume first.
                Err(error) if error.code() == Some(&ApiCode::VolumeAlreadyAttached) => {
                    return Err(Error::new(ErrorKind::AlreadyExists, CREATE)
                        .with_resource(&spec.name)
                        .with_message(
                            "its volume is attached to a server that is not of this build",
                        )
                        .with_source(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !self.known().refusals(build).iter().any(|refusal| refusal.location == location) {
            let what = format!("in {location}: no fitting server type");
            let location = location.clone();
            self.known().note_refusal(build, known::Refusal { location, what });
        }
        let left = self.locations(build, architecture, spec.requirements.volume_size).await?;
        Err(self.no_room(CREATE, build, &left).with_resource(&spec.name))
    }

    /// Between the death of a process and the next one somebody may have taken a server's volume away:
    /// its guest would look for it for as long as it is let.
    async fn has_its_volume(
        &self,
        server: &Server,
        actions: &[Action],
        volume: VolumeId,
    ) -> Result<()> {
        self.ended(actions.to_vec(), &Reporter::silent()).await?;
        let server = self.client().server(server.id).await?;
        if server.volumes.contains(&volume) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Failed, "adopt server").with_resource(server.id).with_message(
            format_args!("its volume is not {volume}: somebody has detached or replaced it"),
        ))
    }

    /// Starts a server when it is ready, and waits until it runs.
    pub(super) async fn power_on(&self, id: ServerId, reporter: &Reporter) -> Result<()> {
        self.settled(id, reporter).await?;
        let action = self.client().power_on(id).await?;
        self.ended([action], reporter).await
    }

    pub(super) async fn power_off(&self, id: ServerId) -> Result<()> {
        self.settled(id, &Reporter::silent()).await?;
        let action = self.client().power_off(id).await?;
        self.ended([action], &Reporter::silent()).await
    }

    /// Waits for what its creation began. For a server of another process the lock that these
    /// actions hold is waited for instead.
    async fn settled(&self, id: ServerId, reporter: &Reporter) -> Result<()> {
        self.ended(self.known().server_actions(id), reporter).await?;
        self.known().server_is_ready(id);
        Ok(())
    }

    async fn ended(
        &self,
        actions: impl IntoIterator<Item = Action>,
        reporter: &Reporter,
    ) -> Result<()> {
        let wait = ActionWait::new(actions, ACTION).on_progress(|action| percent(action, reporter));
        self.client().wait(wait).await?;
        Ok(())
    }

    pub(super) async fn server_off(&self, id: ServerId) -> Result<()> {
        // One list tells of the servers of all builds.
        let selector = Selector::new().exists(keys::BUILD);
        let mut watch = self.client().watch_server(id, &selector, self.config().run_time);
        let server = watch.until(&ServerStatus::Off, NO_DEADLINE).await?;
        self.known().saw_server(&server);
        Ok(())
    }

    pub(super) async fn find_server(&self, id: ServerId) -> Result<Option<Server>> {
        match self.client().server(id).await {
            Ok(server) => Ok(Some(server)),
            Err(error) if error.kind() == crate::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a server was ever started: it is created off, so that there is an action if it was. One
    /// that is just being started may still be shown as off: its start is waited for.
    pub(super) async fn server_was_started(&self, id: ServerId) -> Result<Option<bool>> {
        let mut starts = self.client().server_actions(id).await?;
        starts.retain(|action| action.command == Command::StartServer);
        let running: Vec<_> = starts.extract_if(.., |action| !action.is_ended()).collect();
        let failed = |action: &Action| action.status == ActionStatus::Error;
        if starts.iter().any(|action| !failed(action)) {
            return Ok(Some(true));
        }
        let was_started = !running.is_empty();
        match self.client().wait(ActionWait::new(running, ACTION)).await {
            Ok(_) => Ok(Some(was_started)),
            Err(error) if error.kind() == crate::ErrorKind::ActionFailed => Ok(Some(false)),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a server and waits until its volume is free.
    pub(super) async fn delete_server(&self, id: ServerId) -> Result<()> {
        // Else the deletion would be refused, again and again; how they end does not matter.
        if let Err(error) = self.settled(id, &Reporter::silent()).await {
            tracing::debug!(server = %id, %error, "deleting a server that was not completed");
        }
        if let Some(action) = self.client().delete_server(id).await?.action() {
            self.ended([action], &Reporter::silent()).await?;
        }
        self.known().forget_server(id);
        Ok(())
    }
}

/// Passes on how far an action is.
pub(super) fn percent(action: &Action, reporter: &Reporter) {
    let what = action.command.to_string();
    reporter.report(Report::Percent { what, percent: action.progress });
}

/// A server as the core has it.
pub(super) fn of(server: &Server) -> Vm {
    let mut vm = Vm::new(VmId::new(server.id.to_string()), &server.name);
    vm.state = match server.status {
        // Its disk is being made: it was never on.
        ServerStatus::Off | ServerStatus::Initializing => PowerState::Off,
        ServerStatus::Running => PowerState::Running,
        _ => PowerState::Changing,
    };
    let net = &server.public_net;
    let ipv4 = net.ipv4.as_ref().map(|address| IpAddr::from(address.ip));
    let ipv6 = net.ipv6.as_ref().and_then(Ipv6::host).map(IpAddr::from);
    vm.addresses = ipv4.into_iter().chain(ipv6).collect();
    vm.labels = labels::of_hetzner(&server.labels);
    vm
}
