//! The providers keep the contract of `Provider`.

use std::sync::Arc;

use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::{Architecture, Provider, Size};
use cloudd_core::testing::{Faulty, Fixture, GuestBehaviour, run_all};

fn fixture(guest: GuestBehaviour) -> Fixture {
    Fixture::new(Architecture::X86_64, Size::gib(1), guest)
}

#[tokio::test(start_paused = true)]
async fn the_provider_in_memory_keeps_the_contract() {
    let off = run_all(&Memory::new(), &fixture(GuestBehaviour::PowersOff)).await;
    let on = Memory::new().guests(GuestScript::Silent);
    assert_eq!(run_all(&on, &fixture(GuestBehaviour::StaysOn)).await, off);
    assert_eq!(on.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn wrappers_keep_the_contract() {
    let shared: Arc<dyn Provider> = Arc::new(Memory::new());
    run_all(&shared, &fixture(GuestBehaviour::PowersOff)).await;
    let boxed: Box<dyn Provider> = Box::new(Memory::new());
    run_all(&boxed, &fixture(GuestBehaviour::PowersOff)).await;
    run_all(&Faulty::never(Memory::new()), &fixture(GuestBehaviour::PowersOff)).await;
}
