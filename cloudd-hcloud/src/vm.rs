//! Builder VMs: created together with their volume, started, watched and deleted.

use std::time::Duration;

use cloudd_core::provider::{
    BuilderSpec, BuilderVm, Error, ErrorKind, PowerState, Report, Reporter, Result, Vm, VmId, keys,
};

use crate::builder::Hcloud;
use crate::client::CreateOutcome;
use crate::hints::ServerHint;
use crate::placement::{DiskSize, Placement, PlacementFailures};
use crate::schema::{
    Action, ActionStatus, ApiCode, Command, CreateServer, ImageId, Label, Selector, Server,
    ServerId, ServerStatus, VolumeId,
};
use crate::{labels, lease, volume};

/// How long an action may take. Longer means a fault at Hetzner.
pub(crate) const ACTION_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// A timeout for waits that have no deadline: the caller sets one.
pub(crate) const NO_DEADLINE: Duration = Duration::from_secs(7 * 24 * 3600);

const CREATE: &str = "create server";

impl Hcloud {
    /// Creates the volume and the server of a build, both at one location.
    ///
    /// Locations are tried in order of preference until one has capacity for both. A volume at a
    /// location without capacity for the server is deleted. What the build has already is adopted:
    /// another process, or an earlier call whose answer was lost, created it. An adopted volume
    /// decides which location is tried first.
    pub(crate) async fn create_volume_and_server(
        &self,
        spec: &BuilderSpec,
        reporter: &Reporter,
    ) -> Result<BuilderVm> {
        let build = labels::required(CREATE, &spec.labels, keys::BUILD)?;
        let disk = DiskSize::Exactly(spec.resolved.root_size);
        let mut placements = self.builder_placements(spec.requirements.architecture, disk).await?;
        let request = self.builder_request(spec)?;
        let mut failures = PlacementFailures::new(reporter);
        while let Some(preferred) = placements.first().map(|it| it.location.clone()) {
            let made = match self.create_volume(spec, &preferred, &build).await {
                Ok(made) => made,
                Err(error) if error.is_out_of_capacity() => {
                    failures.record("volume", &preferred, &error);
                    placements.retain(|it| it.location != preferred);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let CreateOutcome { resource: found, actions, .. } = made;
            let volume = volume::from_hetzner(&found);
            reporter.created(volume.id.clone());
            if let Some(server) = found.server {
                let vm = self.adopt_server(&request.name, &build, server, found.id).await?;
                reporter.created(vm.id.clone());
                return Ok(BuilderVm::new(vm, volume));
            }
            self.wait_actions(actions, &Reporter::silent()).await?;

            let location = found.location.map_or(preferred, |location| location.name);
            let (here, elsewhere): (Vec<_>, Vec<_>) =
                placements.into_iter().partition(|it| it.location == location);
            let user_data = spec.user_data.render(&volume.device)?;
            let request = request.clone().volume(found.id).user_data(text(&user_data)?);
            let made = self.create_server(request, &here, &build, &mut failures).await;
            // The name is taken by a server of another build. The API can report that the volume is
            // attached to it before it reports the name.
            let made = made.map_err(|error| match error.code() {
                Some(ApiCode::VolumeAlreadyAttached) => {
                    foreign_server(&spec.name).with_source(error)
                }
                _ => error.into(),
            })?;
            if let Some(CreateOutcome { resource: server, actions, was_existing }) = made {
                reporter.created(VmId::new(server.id.to_string()));
                if was_existing {
                    self.wait_actions(actions, &Reporter::silent()).await?;
                    let vm = self.adopt_server(&spec.name, &build, server.id, found.id).await?;
                    return Ok(BuilderVm::new(vm, volume));
                }
                let mut vm = from_hetzner(&server);
                vm.started = Some(false);
                self.hints().servers.insert(server.id, ServerHint::new(&server, actions, true));
                return Ok(BuilderVm::new(vm, volume));
            }
            if here.is_empty() {
                failures.record_no_server_type(&location);
            }
            self.delete_volume(found.id).await?;
            reporter.deleted(volume.id);
            placements = elsewhere;
        }
        Err(failures.exhausted(CREATE, &spec.name))
    }

    /// The request for the server of a build, without what depends on the placement and the volume.
    fn builder_request(&self, spec: &BuilderSpec) -> Result<CreateServer> {
        let base_image = *spec.resolved.details::<ImageId>().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, CREATE)
                .with_resource(&spec.name)
                .with_message("the builder was resolved by another provider: it has no image id")
        })?;
        let config = self.config();
        let mut request = CreateServer::new(&spec.name, base_image)
            .ssh_key(lease::ssh_key(CREATE, spec.lease.as_ref())?)
            .labels(labels::to_hetzner(&spec.labels))
            .addresses(config.addresses)
            .stopped();
        request.firewalls.clone_from(&config.firewalls);
        request.networks.clone_from(&config.networks);
        request.placement_group = config.placement_group;
        Ok(request)
    }

    /// Creates a server with the first placement for which there is capacity. `None` if there is
    /// none. The server type and the location of `request` are replaced.
    pub(crate) async fn create_server(
        &self,
        mut request: CreateServer,
        placements: &[Placement],
        idempotency_label: &Label,
        failures: &mut PlacementFailures<'_>,
    ) -> std::result::Result<Option<CreateOutcome<Server>>, crate::Error> {
        for Placement { server_type, location, .. } in placements {
            request = request.placement(server_type, location);
            match self.client().create_server(&request, idempotency_label).await {
                Ok(made) => return Ok(Some(made)),
                Err(error) if error.is_out_of_capacity() => {
                    failures.record(server_type, location, &error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Adopts the server that the build has already. Its volume must still be attached: without it,
    /// the guest would wait for its device in vain.
    async fn adopt_server(
        &self,
        name: &str,
        build: &Label,
        id: ServerId,
        volume: VolumeId,
    ) -> Result<Vm> {
        let server = self.client().server(id).await?;
        if server.name != name || !build.is_in(&server.labels) {
            return Err(foreign_server(name));
        }
        if !server.volumes.contains(&volume) {
            return Err(Error::new(ErrorKind::Failed, "adopt server")
                .with_resource(id)
                .with_message(format_args!("volume {volume} was detached or replaced")));
        }
        tracing::info!(server = %id, "adopted the server that the build has already");
        self.hints().servers.insert(id, ServerHint::new(&server, Vec::new(), false));
        self.vm_of(server).await
    }

    /// Starts a server and waits until it runs.
    pub(crate) async fn power_on(&self, id: ServerId, reporter: &Reporter) -> Result<()> {
        self.wait_created(id, reporter).await?;
        let action = self.client().power_on(id).await?;
        self.wait_actions([action], reporter).await
    }

    /// Waits for the actions that the creation of a server started. The actions of another process
    /// are not known; while they run, the API answers that the server is locked, and the client
    /// retries.
    async fn wait_created(&self, id: ServerId, reporter: &Reporter) -> Result<()> {
        let actions = self.hints().servers.get(&id).map(|hint| hint.actions.clone());
        self.wait_actions(actions.unwrap_or_default(), reporter).await?;
        if let Some(hint) = self.hints().servers.get_mut(&id) {
            hint.actions.clear();
        }
        Ok(())
    }

    async fn wait_actions(
        &self,
        actions: impl IntoIterator<Item = Action>,
        reporter: &Reporter,
    ) -> Result<()> {
        let on_progress = |action: &Action| report_progress(action, reporter);
        self.client().wait_with_progress(actions, ACTION_TIMEOUT, on_progress).await?;
        Ok(())
    }

    pub(crate) async fn wait_server_off(&self, id: ServerId) -> Result<()> {
        // All builds share the requests of waits with one selector.
        let selector = Selector::new().exists(keys::BUILD);
        let (off, expected) = ([ServerStatus::Off], self.config().expected_run_time);
        let server =
            self.client().wait_for_server(id, &selector, &off, expected, NO_DEADLINE).await?;
        if let Some(hint) = self.hints().servers.get_mut(&id) {
            hint.set_status(&server.status);
        }
        Ok(())
    }

    /// The current state of a server.
    pub(crate) async fn find_vm(&self, id: ServerId) -> Result<Option<Vm>> {
        match self.client().server(id).await {
            Ok(server) => self.vm_of(server).await.map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Converts a server and finds out whether it was ever started. Servers are created off, so that
    /// every start is an action of its own.
    ///
    /// The API can report `off` while a start is running. So that such a server is not taken for one
    /// that has run and powered off, the start is waited for and the state read again.
    async fn vm_of(&self, server: Server) -> Result<Vm> {
        let mut vm = from_hetzner(&server);
        match vm.state {
            PowerState::Running => vm.started = Some(true),
            PowerState::Off => {
                let mut starts = self.client().server_actions(server.id).await?;
                starts.retain(|action| action.command == Command::StartServer);
                let running: Vec<_> = starts.extract_if(.., |it| !it.is_ended()).collect();
                let mut started = starts.iter().any(|it| it.status != ActionStatus::Error);
                if !running.is_empty() {
                    match self.client().wait(running, ACTION_TIMEOUT).await {
                        Ok(_) => started = true,
                        Err(error) if error.is_failed_action() => {}
                        Err(error) => return Err(error.into()),
                    }
                    vm = from_hetzner(&self.client().server(server.id).await?);
                }
                vm.started = Some(started);
            }
            _ => {}
        }
        Ok(vm)
    }

    /// Deletes a server, which stops it, and waits until its volume is detached.
    pub(crate) async fn delete_server(&self, id: ServerId) -> Result<()> {
        // A server that is still being created cannot be deleted. Whether its creation succeeds does
        // not matter.
        if let Err(error) = self.wait_created(id, &Reporter::silent()).await {
            tracing::debug!(server = %id, %error, "deleting a server whose creation failed");
        }
        if let Some(action) = self.client().delete_server(id).await? {
            self.wait_actions([action], &Reporter::silent()).await?;
        }
        self.hints().servers.remove(&id);
        Ok(())
    }
}

/// The error for a name that belongs to another build.
fn foreign_server(name: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, CREATE)
        .with_resource(name)
        .with_message("the volume is attached to a server of another build")
}

/// The user data as text. Errors do not contain them.
fn text(user_data: &[u8]) -> Result<&str> {
    std::str::from_utf8(user_data).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, CREATE)
            .with_message("the API accepts only text as user data")
            .with_source(error)
    })
}

/// Reports the progress of an action.
pub(crate) fn report_progress(action: &Action, reporter: &Reporter) {
    let what = action.command.to_string();
    reporter.report(Report::Percent { what, percent: action.progress });
}

/// Converts a server. Whether it was ever started is left unknown.
pub(crate) fn from_hetzner(server: &Server) -> Vm {
    let mut vm = Vm::new(VmId::new(server.id.to_string()), &server.name);
    vm.state = match server.status {
        // A server that is being initialized has no disk yet and was never on.
        ServerStatus::Off | ServerStatus::Initializing => PowerState::Off,
        ServerStatus::Running => PowerState::Running,
        _ => PowerState::Changing,
    };
    vm.addresses = server.public_net.addresses().collect();
    vm.labels = labels::from_hetzner(&server.labels);
    vm
}
