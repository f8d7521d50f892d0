//! A stateful Hetzner Cloud, after the API's reference and nothing else: the client under test
//! shares no code with it.
//!
//! ```text
//!   client ──HTTP──▶ gateway ──▶ wiremock ──▶ api ──▶ world ◀── clock
//!                    faults                   routes   actions, servers, volumes, images …
//!                    record                   tokens   └▶ guests: a script, or real VMs
//! ```
//! Nothing happens in the background: each request first brings the world up to the clock's now,
//! ending actions and guests in their order, and is answered then. So the same tests run in real
//! time, a hundred times faster, or with a clock moved by hand.
//!
//! In a test: [`HcloudSim::start`] or [`HcloudSim::builder`]. Alone: the `hcloud-sim` binary.
//!
//! At speed n, everything that is counted in time is n times faster, the request quota too; times
//! in answers and in `RateLimit-Reset` are simulated ones. Only a `delay` fault is real time.
//!
//! Servers have addresses on loopback, from 127.64.0.1 on. Simulated guests speak no SSH: nothing
//! listens there, except an SSH server of the machine's own that listens on every address. Guests
//! that are real VMs, [`Qemu`], do.
//!
//! Where the reference says nothing, a choice was made, and these are the ones to know:
//! * a request for more than 50 entries a page gets 50;
//! * deleting an attached volume is a `service_error`, changing a system image `unsupported_error`;
//! * `k!=v` and `k notin (v)` select resources without `k`;
//! * a name is free again as soon as its server is being deleted;
//! * everything about a server waits for its running action (`locked`), also its deletion; names
//!   and labels do not;
//! * requests without a valid token count against the same quota.

mod api;
mod catalog;
mod clock;
mod gateway;
mod guests;
mod labels;
mod rate_limit;
mod sim;
mod wire;
mod world;

pub use clock::{Clock, ManualClock, ScaledClock, Time};
pub use gateway::Faults;
pub use guests::{
    Boot, Builder, Capture, Contents, Delivery, GuestScript, GuestTimes, Guests, Power, Qemu,
    QemuFiles, ScriptedGuests, Simulated, Storage, cloud_config,
};
pub use sim::{HcloudSim, Held, Inventory, SimBuilder};
pub use world::{Durations, Ended, Quotas, Stats};
