//! Whole builds with real guests, on a real libvirt and on the simulated Hetzner Cloud: `make e2e`.
//! The functions named `bench_*` are measurements, `make bench-e2e`.

mod bench;
mod cancelled;
mod debian;
mod exact;
mod failing;
mod hetzner;
mod killed;
