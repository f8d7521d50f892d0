//! The state of one project, and the passing of time in it.

mod action;
mod address;
mod change;
mod extra;
mod image;
mod primary_ip;
mod server;
mod settings;
mod settle;
mod ssh_key;
mod stats;
mod volume;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use action::{Action, Kind, Resource};
pub(crate) use change::Change;
pub(crate) use extra::Extra;
pub(crate) use image::{Image, ImageStatus, ImageType};
pub(crate) use primary_ip::PrimaryIp;
pub(crate) use server::{Server, ServerStatus};
pub use settings::{Durations, Quotas};
pub(crate) use ssh_key::{SshKey, fingerprint};
pub use stats::{Ended, Stats};
pub(crate) use volume::{Volume, VolumeStatus, linux_device};

use super::catalog::Catalog;
use super::clock::Time;
use super::guests::Guests;
use super::wire::ApiError;

/// Everything a project holds.
#[derive(Debug)]
pub(crate) struct World {
    pub now: Time,
    pub catalog: Catalog,
    pub servers: BTreeMap<u64, Server>,
    pub volumes: BTreeMap<u64, Volume>,
    pub images: BTreeMap<u64, Image>,
    pub ssh_keys: BTreeMap<u64, SshKey>,
    pub actions: BTreeMap<u64, Action>,
    pub primary_ips: BTreeMap<u64, PrimaryIp>,
    /// Networks, firewalls and placement groups.
    pub extras: BTreeMap<u64, Extra>,
    pub guests: Box<dyn Guests>,
    pub durations: Durations,
    pub quotas: Quotas,
    pub stats: Stats,
    /// Makes the next action begun end in this error; a scripted fault.
    pub next_action_fails: Option<String>,
    /// When running actions end.
    agenda: BTreeSet<(Time, u64)>,
    last_ids: BTreeMap<Kind, u64>,
    addresses_given: u32,
}

impl World {
    pub(crate) fn new(
        now: Time,
        guests: Box<dyn Guests>,
        durations: Durations,
        quotas: Quotas,
    ) -> Self {
        let mut world = Self {
            now,
            catalog: Catalog::new(now),
            servers: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: BTreeMap::new(),
            ssh_keys: BTreeMap::new(),
            actions: BTreeMap::new(),
            primary_ips: BTreeMap::new(),
            extras: BTreeMap::new(),
            guests,
            durations,
            quotas,
            stats: Stats::default(),
            next_action_fails: None,
            agenda: BTreeSet::new(),
            last_ids: BTreeMap::new(),
            addresses_given: 0,
        };
        world.offer_system_images();
        world
    }

    /// A new id. Each kind counts in a range of its own, so that a mixed-up id is not found.
    pub(crate) fn new_id(&mut self, kind: Kind) -> u64 {
        let last = self.last_ids.entry(kind).or_insert(kind.first_id());
        *last += 1;
        *last
    }

    /// How many of a kind were ever made.
    pub(crate) fn ever_made(&self, kind: Kind) -> u64 {
        self.last_ids.get(&kind).map_or(0, |last| last - kind.first_id())
    }

    /// Refuses while an action runs on the resource.
    pub(crate) fn unlocked(&self, kind: Kind, id: u64) -> Result<(), ApiError> {
        if self.is_locked(kind, id) { Err(ApiError::locked(kind.name())) } else { Ok(()) }
    }

    pub(crate) fn is_locked(&self, kind: Kind, id: u64) -> bool {
        let wanted = Resource { kind, id };
        self.agenda.iter().any(|(_, action)| self.actions[action].resources.contains(&wanted))
    }
}
