//! An OpenSSH server on loopback, in the role of a builder VM's.

#![allow(dead_code, unused_imports, reason = "every test binary uses its own part of this")]

mod context;
pub(crate) mod growing;
mod processes;
pub(crate) mod way;

use std::fs::{self, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use cloudd_core::guest::GuestChannel;
use cloudd_core::ssh::{SshChannel, SshKeys};
use tempfile::TempDir;

pub(crate) use context::context;
pub(crate) use growing::Growing;

const SSHD: &str = "/usr/sbin/sshd";
pub(crate) const MISSING: &str = "is missing; `make setup` installs it";

/// The address of all servers of the tests.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An sshd with its own directory, which also contains the files that are read and written over SSH.
pub(crate) struct Sshd {
    dir: TempDir,
    address: IpAddr,
    pub(crate) port: u16,
    pub(crate) keys: SshKeys,
    server: Option<Child>,
}

impl Sshd {
    /// Configures a server without starting it.
    pub(crate) fn new() -> Self {
        Self::at(LOOPBACK, free_port())
    }

    pub(crate) fn at(address: IpAddr, port: u16) -> Self {
        let sshd = Self {
            dir: tempfile::tempdir().unwrap(),
            address,
            port,
            keys: SshKeys::generate().unwrap(),
            server: None,
        };
        sshd.install_host_key(sshd.keys.expose_host_private());
        sshd.authorize(sshd.keys.client_public());
        sshd.configure("");
        sshd
    }

    pub(crate) fn started() -> Self {
        let mut sshd = Self::new();
        sshd.start();
        sshd
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn install_host_key(&self, private: &str) {
        // sshd refuses a key that other users can read.
        let path = self.path("host_key");
        let _ = fs::remove_file(&path);
        let mut file =
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).unwrap();
        file.write_all(private.as_bytes()).unwrap();
    }

    pub(crate) fn authorize(&self, line: &str) {
        fs::write(self.path("authorized_keys"), format!("{line}\n")).unwrap();
    }

    /// Forces this command, which finds the requested one in `$SSH_ORIGINAL_COMMAND`.
    pub(crate) fn force(&self, command: &str) {
        let wrapper = self.path("wrapper");
        fs::write(&wrapper, format!("#!/bin/sh\n{command}\n")).unwrap();
        fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).unwrap();
        self.configure(&format!("ForceCommand {}", wrapper.display()));
    }

    pub(crate) fn configure(&self, more: &str) {
        let (dir, address) = (self.dir.path().display(), self.address);
        let config = format!(
            "ListenAddress {address}\nHostKey {dir}/host_key\n\
             AuthorizedKeysFile {dir}/authorized_keys\nPidFile none\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nMaxStartups 100\nPerSourceMaxStartups none\n{more}\n"
        );
        fs::write(self.path("sshd_config"), config).unwrap();
    }

    /// Starts the server, and returns when it listens.
    pub(crate) fn start(&mut self) {
        self.start_as(SSHD);
    }

    pub(crate) fn start_as(&mut self, program: &str) {
        // Debian's sshd requires the directory when it runs as root; otherwise, its unit creates it.
        let _ = fs::create_dir_all("/run/sshd");
        let mut server = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} {MISSING}: {error}"));
        let log = BufReader::new(server.stderr.take().unwrap());
        self.server = Some(server);
        let (listening, started) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, so that sshd does not block on a full pipe.
            for line in log.lines().map_while(Result::ok) {
                let _ = listening.send(line);
            }
        });
        let mut said = String::new();
        loop {
            match started.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if line.contains("Server listening on") => return,
                Ok(line) => said.push_str(&line),
                Err(error) => panic!("sshd does not start ({error}): {said}"),
            }
        }
    }

    /// Kills the sessions without notifying the client; the server continues.
    pub(crate) fn kill_sessions(&self) {
        processes::kill_sshd_below(self.server.as_ref().unwrap().id());
    }

    pub(crate) fn sessions(&self) -> usize {
        processes::sshd_below(self.server.as_ref().unwrap().id()).len()
    }

    /// Kills server and sessions.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Stopped first, so that no new session starts.
            processes::stop(server.id());
            processes::kill_sshd_below(server.id());
            server.kill().unwrap();
            server.wait().unwrap();
        }
        processes::kill_mentioning(self.dir.path());
    }

    /// Creates a channel to the server, with files in its directory.
    pub(crate) fn channel(&self) -> SshChannel {
        self.channel_with(&self.keys)
    }

    pub(crate) fn channel_with(&self, keys: &SshKeys) -> SshChannel {
        SshChannel::new(keys, [LOOPBACK])
            .unwrap()
            .port(self.port)
            .user(user())
            .events_file(text(&self.events()))
            .context_file(text(&self.context()))
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.path("cloudd/events")
    }

    pub(crate) fn context(&self) -> PathBuf {
        self.path("cloudd/context.tar.gz")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Receives until `bytes` bytes have arrived.
pub(crate) async fn receive(channel: &mut SshChannel, bytes: usize) -> Vec<u8> {
    let mut received = Vec::new();
    while received.len() < bytes {
        received.extend(within(60, channel.receive()).await.unwrap().unwrap());
    }
    received
}

/// Waits for a short operation, with a deadline that suits busy machines.
pub(crate) async fn within<T>(seconds: u64, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), future)
        .await
        .unwrap_or_else(|_| panic!("not done within {seconds} s"))
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Returns the user who runs the tests: the only one who can log in at an sshd that the user runs.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Returns an unused port outside the kernel's range of ephemeral ports: a client that connects to an
/// unused ephemeral port may connect to itself.
pub(crate) fn free_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    (first..32_000)
        .chain(20_000..first)
        .find(|port| TcpListener::bind((LOOPBACK, *port)).is_ok() && claimed(*port))
        .expect("a free port")
}

/// Reserves the port. `false` if this process has reserved it before.
fn claimed(port: u16) -> bool {
    static TAKEN: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap();
    let new = !taken.contains(&port);
    taken.push(port);
    new
}
