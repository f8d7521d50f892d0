//! How long things take and how many there may be.

use std::time::Duration;

/// How long each kind of action takes, in simulated time.
#[derive(Debug, Clone)]
pub struct Durations {
    /// Making the disk.
    pub create_server: Duration,
    /// Until the guest boots.
    pub start_server: Duration,
    /// Cutting the power.
    pub stop_server: Duration,
    /// Until the signal is sent, not until the guest is off.
    pub shutdown_server: Duration,
    /// A power cycle; also `reboot_server`.
    pub reset_server: Duration,
    /// A new disk, and the boot.
    pub rebuild_server: Duration,
    /// Until its volumes are free.
    pub delete_server: Duration,
    /// Until it is `available`.
    pub create_volume: Duration,
    /// Until `server` shows it.
    pub attach_volume: Duration,
    /// Until `server` is null.
    pub detach_volume: Duration,
    /// Until `size` shows it.
    pub resize_volume: Duration,
    /// At least; real guests may take longer.
    pub create_image: Duration,
    /// Everything else: rescue, protection, backups, passwords.
    pub other: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            create_server: seconds(10),
            start_server: seconds(5),
            stop_server: seconds(3),
            shutdown_server: seconds(1),
            reset_server: seconds(3),
            rebuild_server: seconds(15),
            delete_server: seconds(5),
            create_volume: seconds(5),
            attach_volume: seconds(5),
            detach_volume: seconds(3),
            resize_volume: seconds(3),
            create_image: seconds(75),
            other: seconds(1),
        }
    }
}

/// The limits of an account: how many of a kind a project may hold, where one more answers
/// `resource_limit_exceeded`, and where it may create servers.
#[derive(Debug, Clone)]
pub struct Quotas {
    /// Servers.
    pub servers: usize,
    /// Volumes.
    pub volumes: usize,
    /// Snapshots and backups.
    pub snapshots: usize,
    /// Primary IPs, those of servers included.
    pub primary_ips: usize,
    /// The names of the locations at which the account must not create servers.
    pub disabled_locations: Vec<String>,
}

impl Default for Quotas {
    /// Out of the way of tests that start a hundred builds.
    fn default() -> Self {
        Self {
            servers: 1000,
            volumes: 1000,
            snapshots: 1000,
            primary_ips: 2000,
            disabled_locations: Vec::new(),
        }
    }
}
