//! The contract suite: the provider in memory and the wrappers of the workspace pass it, and a
//! provider that breaks one rule fails the check of this rule.

mod broken;

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::guest::Step;
use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::{Architecture, PowerState, Provider, Size};
use cloudd_core::testing::{Faulty, Fixture, GuestBehaviour, SuiteReport, run_all};

use broken::{Broken, Rule};

/// A fixture for this provider in memory, with every hook.
fn fixture(memory: &Memory, guest: GuestBehaviour) -> Fixture {
    let protected = memory.clone();
    let fixture = Fixture::new(Architecture::X86_64, Size::gib(1), guest);
    let fixture = fixture.protect_image(move |image, on| {
        protected.tamper_image(&image, |image| image.protected = on);
        Box::pin(async { Ok(()) })
    });
    if guest == GuestBehaviour::PowersOff {
        return fixture;
    }
    let powered = memory.clone();
    fixture.power_off(move |vm| {
        powered.tamper(&vm, |vm| vm.state = PowerState::Off);
        Box::pin(async { Ok(()) })
    })
}

/// A cloud whose guests send `hello` and stay on.
fn staying() -> Memory {
    Memory::new().guests(GuestScript::HangsIn(Step::Prepare))
}

/// The names of the checks that were left out.
fn skipped(report: &SuiteReport) -> Vec<&'static str> {
    report.skipped.iter().map(|skipped| skipped.check).collect()
}

#[tokio::test(start_paused = true)]
async fn the_provider_in_memory_keeps_the_contract() {
    let memory = Memory::new();
    let off = run_all(&memory, &fixture(&memory, GuestBehaviour::PowersOff)).await;
    assert_eq!(skipped(&off), ["no image is made of a running VM"]);
    assert_eq!(memory.resources(), []);

    let memory = staying();
    let on = run_all(&memory, &fixture(&memory, GuestBehaviour::StaysOn)).await;
    assert_eq!(on.skipped, []);
    assert_eq!(on.passed.len(), off.passed.len() + 1);
    assert_eq!(memory.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn an_image_may_be_complete_only_after_wait_image() {
    let memory = Memory::new().image_time(Duration::from_secs(30));
    run_all(&memory, &fixture(&memory, GuestBehaviour::PowersOff)).await;
    assert_eq!(memory.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn checks_that_cannot_run_are_listed_with_their_reason() {
    let memory = staying();
    let plain = Fixture::new(Architecture::X86_64, Size::gib(1), GuestBehaviour::StaysOn);
    let report = run_all(&memory, &plain).await;
    assert!(skipped(&report).contains(&"one build makes one image"), "{report}");
    assert!(report.to_string().contains("the fixture has no `power_off`"), "{report}");

    let deaf = Memory::new().with_capabilities(|capabilities| {
        capabilities.channel = false;
        capabilities.console = false;
    });
    let report = run_all(&deaf, &fixture(&deaf, GuestBehaviour::PowersOff)).await;
    assert!(skipped(&report).contains(&"the hello of a guest is received"), "{report}");
    assert!(report.to_string().contains("the provider has no console"), "{report}");

    let mute = Memory::new().guests(GuestScript::Silent);
    let mut fixture = fixture(&mute, GuestBehaviour::StaysOn);
    for check in [
        "the hello of a guest is received",
        "receive waits before the first start",
        "receive ends after power-off",
    ] {
        fixture = fixture.leave_out(check, "the guest sends nothing");
    }
    let report = run_all(&mute, &fixture).await;
    assert_eq!(report.skipped.len(), 3, "{report}");
}

#[tokio::test(start_paused = true)]
async fn wrappers_keep_the_contract() {
    let memory = Memory::new();
    let fixture = fixture(&memory, GuestBehaviour::PowersOff);
    let shared: Arc<dyn Provider> = Arc::new(memory.clone());
    run_all(&shared, &fixture).await;
    let boxed: Box<dyn Provider> = Box::new(memory.clone());
    run_all(&boxed, &fixture).await;
    run_all(&Faulty::never(memory), &fixture).await;
}

/// The message with which the suite fails.
async fn failure(provider: impl Provider, fixture: Fixture) -> String {
    let suite = tokio::spawn(async move { run_all(&provider, &fixture).await });
    match suite.await {
        Ok(report) => format!("the suite did not fail: {report}"),
        Err(error) => *error.into_panic().downcast::<String>().expect("a message"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_breaks_a_rule_fails_the_check_of_this_rule() {
    for rule in Rule::ALL {
        let memory = staying().image_time(Duration::from_secs(5));
        let mut fixture = fixture(&memory, GuestBehaviour::StaysOn);
        for check in rule.found_earlier_by() {
            fixture = fixture.leave_out(*check, "it finds the broken rule as well");
        }
        let broken = Broken::new(memory.clone(), *rule);
        let failure = failure(broken, fixture).await;
        assert!(failure.starts_with(rule.check()), "{rule:?}: {failure}");
        // What `find` hides, the clean-up of the suite cannot find.
        if *rule != Rule::HalfMadeVmIsHidden {
            assert_eq!(memory.resources(), [], "{rule:?}: left by the failed check");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_sends_nothing_fails_the_suite_with_a_hint_where_to_look() {
    let memory = Memory::new().guests(GuestScript::Silent);
    let fixture = fixture(&memory, GuestBehaviour::StaysOn);
    let failure = failure(memory, fixture).await;
    assert!(failure.starts_with("the hello of a guest is received: no event `hello`"), "{failure}");
    for hint in [
        "State of the VM: Ok(Some(Running))",
        r#"Console: Ok("memory builder\n")"#,
        "`Capabilities::event_port`: /dev/ttyS1",
        "cloudd_core::guide::boot_is_silent",
    ] {
        assert!(failure.contains(hint), "{hint} is missing: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_prints_nothing_fails_the_suite() {
    let memory = staying().prints("");
    let fixture = fixture(&memory, GuestBehaviour::StaysOn);
    let failure = failure(memory, fixture).await;
    assert!(failure.starts_with("the console of a VM from an image is shown"), "{failure}");
    assert!(failure.contains("section \"Console\""), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn the_console_has_to_show_the_text_of_the_fixture() {
    let memory = staying();
    let mut fixture = fixture(&memory, GuestBehaviour::StaysOn);
    fixture.console_text = Some("welcome".to_owned());
    let failure = failure(memory, fixture).await;
    assert!(failure.starts_with("the console of a guest is shown"), "{failure}");
    assert!(failure.contains(r#"does not show "welcome""#), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_does_not_exist_cannot_be_left_out() {
    let memory = staying();
    let fixture = fixture(&memory, GuestBehaviour::StaysOn).leave_out("no such check", "because");
    let failure = failure(memory, fixture).await;
    assert!(failure.contains("there is no such check"), "{failure}");
}
