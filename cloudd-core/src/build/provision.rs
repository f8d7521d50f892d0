use super::error::BuildErrorKind;
use super::events::Phase;
use super::state::Build;
use crate::ownership::builder_name;
use crate::provider::{ResourceId, Vm};

/// Makes the base image available, and creates the volume and the builder VM.
pub(super) async fn provision(build: &mut Build<'_>) -> Result<Vm, BuildErrorKind> {
    let cx = build.cx;
    let (requirements, resolved) = (&build.plan.requirements, &build.plan.resolved);
    let reporter = build.events.reporter();
    let ensure = cx.provider.ensure_base_image(requirements, resolved, &reporter);
    build.wait("builder base image", cx.config.deadlines.prepare, ensure).await?;

    // The lease was created with this phase, so that it does not have to be recorded.
    build.enter(Phase::Provision);
    let name = builder_name(&build.id);
    let access = build.access.as_ref();
    let spec = build.plan.builder_spec(cx, &build.id, access, build.lease.id().clone());
    build.journal.intend(&name);
    let create = cx.provider.create_builder(&spec, &reporter);
    let deadline = cx.config.deadlines.call.saturating_mul(2);
    let builder = build.call_within("create builder VM", &name, deadline, create).await?;
    let created = [ResourceId::from(builder.volume.id), ResourceId::from(builder.vm.id.clone())];
    build.journal.confirm(&name, created);
    Ok(builder.vm)
}
