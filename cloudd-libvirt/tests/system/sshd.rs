//! An sshd on loopback with keys of its own, as the way to a remote libvirt.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Sshd {
    process: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        for key in ["host_key", "key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(file(key))
                .status();
            assert!(made.unwrap().success());
        }
        // The port was free a moment ago; no other test takes ports at random.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| file(name).to_str().unwrap().to_owned();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             PermitRootLogin prohibit-password\n",
            path("host_key"),
            path("key.pub"),
        );
        std::fs::write(file("sshd_config"), config).unwrap();
        let host_key = std::fs::read_to_string(file("host_key.pub")).unwrap();
        std::fs::write(file("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        let program = format!(
            "#!/bin/sh\nexec ssh -F none -i {} -o UserKnownHostsFile={} -o BatchMode=yes \"$@\"\n",
            path("key"),
            path("known_hosts"),
        );
        std::fs::write(file("ssh"), program).unwrap();
        std::fs::set_permissions(file("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
        // Needed by an sshd of root; a container that never ran one lacks it.
        let _ = std::fs::create_dir("/run/sshd");
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(file("sshd_config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self { process, dir, port };
        sshd.wait_until_it_listens();
        sshd
    }

    fn wait_until_it_listens(&self) {
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "sshd does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The libvirt of this machine, by way of ssh.
    pub(crate) fn uri(&self) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        let ssh = self.dir.path().join("ssh");
        format!(
            "qemu+ssh://{}@127.0.0.1:{}/system?command={}",
            user.trim(),
            self.port,
            Path::new(&ssh).display()
        )
    }

    /// Sends a signal to all that serves connections, and not to what accepts new ones. Gives the
    /// number of processes.
    pub(crate) fn signal_connections(&self, signal: &str) -> usize {
        let listed = Command::new("ps").args(["-e", "-o", "pid=,ppid="]).output().unwrap().stdout;
        let listed = String::from_utf8(listed).unwrap();
        let processes: Vec<(u32, u32)> = listed
            .lines()
            .filter_map(|line| {
                let mut numbers = line.split_whitespace().map(str::parse);
                Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
            })
            .collect();
        let mut family = vec![self.process.id()];
        let mut next = 0;
        while let Some(parent) = family.get(next).copied() {
            family.extend(processes.iter().filter(|(_, p)| *p == parent).map(|(child, _)| *child));
            next += 1;
        }
        for process in &family[1..] {
            let _ = Command::new("kill").args([signal, &process.to_string()]).output();
        }
        family.len() - 1
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal_connections("-KILL");
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
