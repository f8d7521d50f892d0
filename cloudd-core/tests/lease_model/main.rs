//! A model test of the lease: every interleaving of the provider calls of builds that want the same
//! image at the same time, on the in-memory provider, with a fault at every call.
//!
//! The builds are real. Every call to the provider waits at a gate, and a scheduler lets one go at a
//! time. The walk is a depth-first search that runs the builds again for each new branch. The local
//! state of a build is a function of the answers that it got, so that two executions are in the same
//! state if the cloud and the answers of every build are the same; the search does not enter a state
//! twice. Random ids are replaced by canonical names.

#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "the test prints how much it has walked")]

mod gate;
mod run;
mod walk;
mod world;

use std::hash::{DefaultHasher, Hash, Hasher as _};

use cloudd_core::testing::LeaseChecks;

use walk::walk;

/// What is walked.
#[derive(Debug, Clone)]
struct Scenario {
    name: &'static str,
    holders: usize,
    /// The holders run on different machines, so that the end of a process is not known to the others.
    remote: bool,
    /// How many faults there are in one execution, and of which kinds.
    faults: u32,
    crashes: bool,
    lost_answers: bool,
    pauses: bool,
    /// How often a holder that could go on may have to wait for another. `None`: any number of times.
    preemptions: Option<u32>,
    checks: LeaseChecks,
}

impl Scenario {
    fn new(name: &'static str, holders: usize) -> Self {
        Self {
            name,
            holders,
            remote: true,
            faults: 0,
            crashes: false,
            lost_answers: false,
            pauses: false,
            preemptions: None,
            checks: LeaseChecks::default(),
        }
    }

    fn preempted_at_most(self, preemptions: u32) -> Self {
        Self { preemptions: Some(preemptions), ..self }
    }
}

/// The same in every execution.
fn hash64(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[track_caller]
fn holds(scenario: &Scenario) {
    if let Some(violation) = walk(scenario) {
        panic!("{}: {violation}", scenario.name);
    }
}

#[test]
fn two_holders_without_a_fault_make_one_image_in_every_interleaving() {
    holds(&Scenario::new("two holders, no fault", 2));
}

#[test]
fn two_holders_of_which_one_crashes_make_one_image_when_the_others_know_of_it() {
    let scenario = Scenario::new("two holders on one machine, one crash", 2);
    holds(&Scenario { remote: false, faults: 1, crashes: true, ..scenario });
}

#[test]
fn two_holders_of_which_one_crashes_make_one_image_when_the_lease_has_to_expire() {
    let scenario = Scenario::new("two holders on two machines, one crash", 2);
    holds(&Scenario { faults: 1, crashes: true, ..scenario });
}

#[test]
fn two_holders_of_which_one_loses_an_answer_leave_nothing() {
    let scenario = Scenario::new("two holders, one lost answer", 2);
    holds(&Scenario { faults: 1, lost_answers: true, ..scenario });
}

/// Walked with two preemptions in `make unit` and with three in `make e2e-full`.
fn two_holders_with_a_pause(preemptions: u32) {
    let scenario = Scenario::new("two holders, one pause", 2).preempted_at_most(preemptions);
    holds(&Scenario { faults: 1, pauses: true, ..scenario });
}

#[test]
fn two_holders_make_one_image_when_calls_are_held_back_for_longer_than_the_lease() {
    two_holders_with_a_pause(2);
}

#[test]
fn e2e_two_holders_make_one_image_when_calls_are_held_back_and_three_are_preempted() {
    two_holders_with_a_pause(3);
}

#[test]
fn three_holders_make_one_image() {
    holds(&Scenario::new("three holders, no fault", 3).preempted_at_most(2));
}

#[test]
fn three_holders_of_which_one_crashes_make_one_image() {
    let scenario = Scenario::new("three holders, one crash", 3).preempted_at_most(1);
    holds(&Scenario { faults: 1, crashes: true, ..scenario });
}

#[test]
fn three_holders_of_which_one_loses_an_answer_leave_nothing() {
    let scenario = Scenario::new("three holders, one lost answer", 3).preempted_at_most(1);
    holds(&Scenario { faults: 1, lost_answers: true, ..scenario });
}

#[test]
fn three_holders_make_one_image_when_calls_are_held_back_for_longer_than_the_lease() {
    let scenario = Scenario::new("three holders, one pause", 3).preempted_at_most(1);
    holds(&Scenario { faults: 1, pauses: true, ..scenario });
}

#[test]
fn a_lease_that_is_not_verified_after_its_creation_is_caught() {
    let mut checks = LeaseChecks::default();
    checks.verify_after_create = false;
    let scenario = Scenario::new("broken: not verified after create", 2);
    let violation = walk(&Scenario { faults: 1, pauses: true, checks, ..scenario });
    println!("{}", violation.expect("the broken lease was not caught"));
}

#[test]
fn a_holder_that_does_not_look_for_its_successor_is_caught() {
    let mut checks = LeaseChecks::default();
    checks.look_for_successor = false;
    let scenario = Scenario::new("broken: no look for a successor", 2).preempted_at_most(3);
    let violation = walk(&Scenario { faults: 1, pauses: true, checks, ..scenario });
    println!("{}", violation.expect("the broken lease was not caught"));
}
