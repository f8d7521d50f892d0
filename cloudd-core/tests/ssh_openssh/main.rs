//! `SshChannel` against Debian's OpenSSH server.

#![cfg(feature = "ssh")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]
#![expect(clippy::print_stdout, reason = "a test prints the speed of an upload")]

mod follow;
mod opening;
#[path = "../ssh_support/mod.rs"]
mod support;
mod survive;
mod trust;
mod upload;

#[test]
#[should_panic(expected = "is missing; `make setup` installs it")]
fn a_machine_without_sshd_fails_these_tests() {
    support::Sshd::new().start_as("/usr/sbin/no-such-sshd");
}
