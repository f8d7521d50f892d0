//! Whole builds on a real libvirt with real guests: `make e2e`. The functions named `bench_*` are
//! measurements, `make bench-e2e`.

mod bench;
mod cancelled;
mod exact;
mod failing;
