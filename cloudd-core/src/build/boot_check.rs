use tokio::time::timeout;

use super::error::BuildErrorKind;
use super::events::{BuildEventKind, Phase};
use super::policy::{OnBootCheckFailure, PASSED, PENDING};
use super::state::Build;
use crate::ownership::boot_check_name;
use crate::provider::{BootSpec, ErrorKind, Image, Labels, Vm, VmId, keys};
use crate::text::human_duration;

/// Runs the boot check, if the build has one and the image has not passed it yet.
pub(super) async fn boot_check(
    build: &mut Build<'_>,
    image: Image,
) -> Result<Image, BuildErrorKind> {
    let cx = build.cx;
    let Some(check) = &cx.config.boot_check else { return Ok(image) };
    if image.labels.get(keys::BOOT_CHECK) == Some(PASSED) {
        return Ok(image);
    }
    build.enter(Phase::BootCheck);
    let vm = start(build, &image).await?;
    let deadline = cx.config.deadlines.boot_check;
    let probe = check.probe.wait(cx.provider.as_ref(), &vm.id);
    if let Err(failure) = build.wait("readiness probe", deadline, probe).await {
        log_console(build, &vm.id).await;
        let reason = match failure {
            BuildErrorKind::Provider(error) if error.kind() == ErrorKind::Failed => {
                error.to_string()
            }
            BuildErrorKind::Deadline { after, .. } => {
                format!("it did not pass within {}", human_duration(after))
            }
            failure => return Err(failure),
        };
        // An image of an earlier build was returned to its caller, and may be in use.
        let is_own = image.labels.get(keys::BUILD) == Some(build.id.as_str())
            && image.labels.get(keys::BOOT_CHECK) == Some(PENDING);
        let kept = match check.on_failure {
            OnBootCheckFailure::Delete if is_own => {
                build.journal.include(image.id.into());
                None
            }
            OnBootCheckFailure::Delete | OnBootCheckFailure::Keep => Some(image.id),
        };
        return Err(BuildErrorKind::BootCheck { probe: check.probe.clone(), reason, kept });
    }
    build.delete(&vm.id.into()).await?;
    let labels = Labels::from_iter([(keys::BOOT_CHECK, PASSED)]);
    let id = image.id.clone().into();
    build.call("label", &image.id, cx.provider.set_labels(&id, &labels)).await?;
    Ok(Image { labels: image.labels.merged(&labels), ..image })
}

/// Starts a VM from the image.
async fn start(build: &mut Build<'_>, image: &Image) -> Result<Vm, BuildErrorKind> {
    let cx = build.cx;
    let name = boot_check_name(&build.id);
    let phase = Labels::from_iter([(keys::PHASE, Phase::BootCheck.label())]);
    let labels = build.plan.temporary_labels(cx, &build.id).merged(&phase);
    let architecture = cx.config.architecture;
    let mut spec = BootSpec::new(&name, labels, image.id.clone(), architecture, image.disk_size);
    spec.lease = Some(build.lease.id().clone());
    let reporter = build.events.reporter();
    build.journal.intend(&name);
    let create = cx.provider.create_vm_from_image(&spec, &reporter);
    let vm = build.call("create VM from image", &name, create).await?;
    build.journal.confirm(&name, [vm.id.clone().into()]);
    build.events.send(BuildEventKind::Created { resource: vm.id.clone().into() });
    let start = cx.provider.start_vm(&vm.id, &reporter);
    build.wait("start of the VM", cx.config.deadlines.call, start).await?;
    Ok(vm)
}

/// Adds the console of the VM to the log of the error: it usually shows the reason.
async fn log_console(build: &mut Build<'_>, vm: &VmId) {
    let provider = &build.cx.provider;
    if !provider.capabilities().console {
        return;
    }
    match timeout(build.cx.config.deadlines.call, provider.console(vm)).await {
        Ok(Ok(console)) => {
            for line in String::from_utf8_lossy(&console).lines() {
                let printable: String = line.chars().filter(|c| !c.is_control()).collect();
                build.log.push(printable);
            }
        }
        Ok(Err(error)) => build.log.push(format!("the console cannot be read: {error}")),
        Err(_) => build.log.push("the console cannot be read in time"),
    }
}
