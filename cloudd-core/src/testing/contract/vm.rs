//! VMs: start, restart, power-off.

use super::harness::{Harness, exists, expect_kind};
use crate::provider::{ErrorKind, PowerState, Result};

pub(super) async fn starts(harness: Harness<'_>) -> Result<()> {
    let vm = harness.started_vm().await?;
    if harness.stays_on() {
        harness.provider.start_vm(&vm.id, &harness.silent).await?;
        let vm = exists(harness.provider.vm(&vm.id).await?, &vm.id);
        assert_eq!(vm.state, PowerState::Running);
    }
    if let Some(power_off) = &harness.fixture.power_off {
        power_off.call(vm.id.clone()).await?;
        let vm = exists(harness.provider.vm(&vm.id).await?, &vm.id);
        assert_eq!(vm.state, PowerState::Off);
        assert_ne!(vm.started, Some(false), "after its first start");
        harness.provider.start_vm(&vm.id, &harness.silent).await?;
    }
    Ok(())
}

pub(super) async fn starts_after_power_off(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm_that_ran().await?;
    let off = exists(harness.provider.vm(&vm.id).await?, &vm.id);
    assert_eq!(off.state, PowerState::Off, "after `wait_vm_off` has returned");
    assert_ne!(off.started, Some(false), "after its first start");
    harness.provider.start_vm(&vm.id, &harness.silent).await?;
    if harness.stays_on() {
        let again = exists(harness.provider.vm(&vm.id).await?, &vm.id);
        assert_eq!(again.state, PowerState::Running, "a VM that was off was not started again");
    }
    harness.wait_vm_off(&vm.id).await?;
    let off = exists(harness.provider.vm(&vm.id).await?, &vm.id);
    assert_eq!(off.state, PowerState::Off, "after the second run");
    Ok(())
}

pub(super) async fn never_started(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    let vm = exists(harness.provider.vm(&vm.id).await?, &vm.id);
    assert_ne!(vm.started, Some(true), "before its first start");
    Ok(())
}

pub(super) async fn vanished(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    harness.provider.delete(&vm.id.clone().into()).await?;
    let waited = harness.provider.wait_vm_off(&vm.id).await;
    expect_kind("waiting for a deleted VM", waited, ErrorKind::Gone);
    Ok(())
}
