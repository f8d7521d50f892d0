//! The contract of providers, checked from outside by its suite.

use cloudd_core::provider::{Architecture, Size};
use cloudd_core::testing::{Fixture, GuestBehaviour, run_all};

use crate::support::{POWERS_OFF, STAYS_ON, with_guest};

#[tokio::test]
async fn it_keeps_the_contract_with_guests_that_stay_on() {
    with_guest(STAYS_ON, |bench| async move {
        let fixture = Fixture::new(Architecture::X86_64, Size::mib(16), GuestBehaviour::StaysOn);
        let ran = run_all(&bench.provider, &fixture).await;
        assert!(ran.len() >= 12, "{ran:?}");
    })
    .await;
}

#[tokio::test]
async fn it_keeps_the_contract_with_guests_that_power_off() {
    with_guest(POWERS_OFF, |bench| async move {
        let fixture = Fixture::new(Architecture::X86_64, Size::mib(16), GuestBehaviour::PowersOff);
        run_all(&bench.provider, &fixture).await;
    })
    .await;
}
