//! The contract of providers, checked from outside by its suite.

use cloudd_core::provider::{Architecture, Size};
use cloudd_core::testing::{Fixture, GuestBehaviour, SuiteReport, run_all};

use crate::support::{POWERS_OFF, STAYS_ON, virsh, with_guest};

fn fixture(guest: GuestBehaviour) -> Fixture {
    let mut fixture = Fixture::new(Architecture::X86_64, Size::mib(16), guest);
    fixture.console_text = Some("hello from the guest".to_owned());
    fixture
}

fn skipped(report: &SuiteReport) -> Vec<&'static str> {
    report.skipped.iter().map(|skipped| skipped.check).collect()
}

#[tokio::test]
async fn it_keeps_the_contract_with_guests_that_stay_on() {
    with_guest(STAYS_ON, |bench| async move {
        let fixture = fixture(GuestBehaviour::StaysOn).power_off(|vm| {
            Box::pin(async move {
                virsh(&["destroy", vm.as_str()]);
                Ok(())
            })
        });
        let report = run_all(&bench.provider, &fixture).await;
        // libvirt has no protection of images.
        assert_eq!(skipped(&report), ["a protected image is not deleted"], "{report}");
    })
    .await;
}

#[tokio::test]
async fn it_keeps_the_contract_with_guests_that_power_off() {
    with_guest(POWERS_OFF, |bench| async move {
        let report = run_all(&bench.provider, &fixture(GuestBehaviour::PowersOff)).await;
        let expected = ["no image is made of a running VM", "a protected image is not deleted"];
        assert_eq!(skipped(&report), expected, "{report}");
    })
    .await;
}
