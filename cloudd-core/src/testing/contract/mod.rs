//! The contract suite: one check for each rule of [`Provider`](crate::provider::Provider) that can be
//! observed from outside.

mod builder;
mod fixture;
mod guest;
mod harness;
mod images;
mod leases;
mod report;
mod vm;

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::provider::{BuildId, Error, ErrorKind, Provider, Result, Selector};
use harness::Harness;

pub use fixture::{Fixture, GuestBehaviour};
pub use report::{Skipped, SuiteReport};

/// Runs every check of the contract of [`Provider`] that the provider's capabilities and the fixture
/// allow, and deletes what they created.
///
/// The checks with guests boot the fixture's guest and wait for its event `hello` and for its console
/// output. They fail for a fixture whose guest sends nothing: such a provider would pass all other
/// checks and then wait in phase Boot of its first build.
///
/// # Panics
/// At the first breach of the contract, with the name of the check and what was found. If
/// [`Fixture::leave_out`] names a check that does not exist.
pub async fn run_all(provider: &dyn Provider, fixture: &Fixture) -> SuiteReport {
    let needs = Needs { provider, fixture };
    let mut suite = Suite { provider, fixture, report: SuiteReport::default() };

    let check = builder::root_disk_holds_the_volume;
    suite.run("the root disk is as large as the volume", check).await;
    suite.run("of several holders one gets the lease", leases::one_succeeds).await;
    suite.run("a lease is labelled until it is deleted", leases::labels).await;
    suite.run("a lease that is created again has another id", leases::new_id).await;

    suite.run("a volume is found by its labels and deleted twice", builder::volume_life).await;
    suite.run("resources are found with their names", builder::names_are_found).await;
    suite.run("the size of a volume is rounded up", builder::sizes_are_rounded_up).await;
    let check = builder::user_data_at_the_limit;
    suite.run("user data as large as the limit are accepted", check).await;
    suite.run("a taken name is adopted by its own build only", builder::names_are_unique).await;
    suite.run("created resources are reported", builder::created_resources_are_reported).await;
    suite.run("a half-made builder is found by its labels", builder::half_made_is_found).await;
    suite.run("a VM is off, labelled and found when it is created", builder::vm_life).await;
    suite.run("labels are merged", builder::labels_are_merged).await;
    suite.run("a selector finds one build and not another", builder::builds_are_apart).await;
    suite.run("an attached volume is not deleted", builder::attached_volume_stays).await;
    suite.run("a missing resource is None, and deleting it succeeds", builder::absence).await;

    suite.run("a VM starts, and starting it again succeeds", vm::starts).await;
    let check = vm::starts_after_power_off;
    suite.run_if(needs.off(), "a VM that went off starts again", check).await;
    suite.run("waiting for a deleted VM ends at once", vm::vanished).await;
    let check = vm::never_started;
    suite.run("a VM that was never started is not reported as started", check).await;

    suite.run("open_channel agrees with the capabilities", guest::channel_as_promised).await;
    let channel = needs.channel();
    suite.run_if(channel, "the hello of a guest is received", guest::hello).await;
    let check = guest::channel_before_start;
    suite.run_if(channel, "receive waits before the first start", check).await;
    let (both, check) = (channel.and(needs.off()), guest::channel_after_power_off);
    suite.run_if(both, "receive ends after power-off", check).await;
    let console = needs.console();
    suite.run_if(console, "the console of a guest is shown", guest::console).await;

    suite.run_if(needs.off(), "an image is made of a VM that is off", images::life).await;
    suite.run_if(needs.off(), "an image does not take its VM away", images::vm_is_kept).await;
    let check = images::not_of_running_vm;
    suite.run_if(needs.stays_on(), "no image is made of a running VM", check).await;
    suite.run_if(needs.off(), "one build makes one image", images::one_a_build).await;
    let check = images::protected_stays;
    suite.run_if(needs.protection(), "a protected image is not deleted", check).await;
    let boots = needs.boots();
    suite.run_if(boots, "a VM is created from an image and starts", images::boots).await;
    let (both, check) = (boots.and(console), images::console_of_booted);
    suite.run_if(both, "the console of a VM from an image is shown", check).await;

    suite.finish()
}

/// What checks need beyond the methods that every provider has: an error is the reason why a check is
/// left out.
struct Needs<'a> {
    provider: &'a dyn Provider,
    fixture: &'a Fixture,
}

impl Needs<'_> {
    fn guests(&self) -> Result<(), &'static str> {
        let runs = self.provider.capabilities().runs_guests;
        if runs { Ok(()) } else { Err("VMs of this provider run no guest") }
    }

    /// A VM that has run and is off.
    fn off(&self) -> Result<(), &'static str> {
        self.guests()?;
        let goes_off = self.fixture.guest == GuestBehaviour::PowersOff;
        if goes_off || self.fixture.power_off.is_some() {
            return Ok(());
        }
        Err("the guest stays on, and the fixture has no `power_off`")
    }

    /// A VM that runs until it is deleted.
    fn stays_on(&self) -> Result<(), &'static str> {
        self.guests()?;
        match self.fixture.guest {
            GuestBehaviour::StaysOn => Ok(()),
            GuestBehaviour::PowersOff => Err("the guest of the fixture powers off"),
        }
    }

    fn channel(&self) -> Result<(), &'static str> {
        self.guests()?;
        let capabilities = self.provider.capabilities();
        if capabilities.channel {
            return Ok(());
        }
        if capabilities.ssh.is_some() {
            return Err("events come over SSH, which the builder opens and the suite does not");
        }
        Err("the provider has no channel to the guest")
    }

    fn console(&self) -> Result<(), &'static str> {
        self.guests()?;
        let console = self.provider.capabilities().console;
        if console { Ok(()) } else { Err("the provider has no console") }
    }

    fn boots(&self) -> Result<(), &'static str> {
        self.off()?;
        let boots = self.provider.capabilities().boots_images;
        if boots { Ok(()) } else { Err("the provider creates no VMs from images") }
    }

    fn protection(&self) -> Result<(), &'static str> {
        self.off()?;
        let hook = self.fixture.protect_image.is_some();
        if hook { Ok(()) } else { Err("the fixture has no `protect_image`") }
    }
}

struct Suite<'a> {
    provider: &'a dyn Provider,
    fixture: &'a Fixture,
    report: SuiteReport,
}

impl<'a> Suite<'a> {
    async fn run<F, Fut>(&mut self, name: &'static str, check: F)
    where
        F: FnOnce(Harness<'a>) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        self.run_if(Ok(()), name, check).await;
    }

    /// Runs a check if what it needs is there.
    async fn run_if<F, Fut>(
        &mut self,
        needs: Result<(), &'static str>,
        name: &'static str,
        check: F,
    ) where
        F: FnOnce(Harness<'a>) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        let left_out = self.fixture.left_out.iter().find(|(check, _)| check == name);
        let reason = match (left_out, needs) {
            (Some((_, reason)), _) => Some(reason.clone()),
            (None, needs) => needs.err().map(str::to_owned),
        };
        if let Some(reason) = reason {
            self.report.skipped.push(Skipped { check: name, reason });
            return;
        }
        let harness = Harness::new(self.provider, self.fixture);
        let builds = [harness.build.clone(), harness.other_build.clone()];
        // A failed assertion must not keep the clean-up from running.
        let check = AssertUnwindSafe(check(harness)).catch_unwind();
        let outcome = tokio::time::timeout(self.fixture.timeout, check).await;
        for build in &builds {
            clean_up(self.provider, build).await;
        }
        match outcome {
            Ok(Ok(Ok(()))) => self.report.passed.push(name),
            Ok(Ok(Err(error))) => panic!("{name}: {error:?}"),
            Ok(Err(panicked)) => panic!("{name}: {}", message(panicked.as_ref())),
            Err(_) => panic!("{name}: not done within {:?}", self.fixture.timeout),
        }
    }

    fn finish(self) -> SuiteReport {
        for (name, _) in &self.fixture.left_out {
            let known = self.report.skipped.iter().any(|skipped| skipped.check == name);
            assert!(known, "the fixture leaves out {name:?}, and there is no such check");
        }
        self.report
    }
}

async fn clean_up(provider: &dyn Provider, build: &BuildId) {
    let mut found = provider.find(&Selector::build(build)).await.unwrap_or_default();
    found.sort_by_key(|resource| resource.id.delete_order());
    for resource in found {
        if let Err(error) = provider.delete(&resource.id).await {
            tracing::warn!(%error, resource = %resource.id, "left by the contract suite");
        }
    }
}

/// The message of a failed assertion.
fn message(panicked: &(dyn Any + Send)) -> &str {
    match (panicked.downcast_ref::<String>(), panicked.downcast_ref::<&str>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "a panic without a message",
    }
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "run the contract suite").with_source(error)
}
