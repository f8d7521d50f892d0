//! One VM: a QEMU process and the metadata service beside it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::super::clock::Time;
use super::super::Boot;
use super::command::{Hardware, arguments};
use super::disks::{cannot_run, on};
use super::files::QemuFiles;
use super::metadata::{self, MetadataService};

/// How long QEMU may take until its monitor answers; a second or two, when others use the machine.
const COMES_UP: Duration = Duration::from_secs(30);

/// A machine that was powered on. Dropping it cuts the power.
#[derive(Debug)]
pub(super) struct Machine {
    process: Arc<Process>,
    monitor: ChildStdin,
    keeper: Option<JoinHandle<()>>,
    /// One moment by both clocks.
    started: (Time, Instant),
    _metadata: MetadataService,
}

#[derive(Debug)]
struct Process {
    child: Mutex<Child>,
    ended: Mutex<Option<(ExitStatus, Instant)>>,
}

impl Machine {
    pub(super) fn start(
        boot: Boot,
        hardware: &Hardware,
        files: &QemuFiles,
        now: Time,
    ) -> Result<Self, String> {
        let folder = files.server(boot.server);
        let answers = metadata::Answers::of(&boot);
        let service = MetadataService::start(answers).map_err(|error| error.to_string())?;
        let (said, errors) = (folder.join("monitor"), folder.join("errors"));
        // The kernel ends QEMU with the thread that started it, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        command.args(arguments(&boot, hardware, files, service.port()));
        command.current_dir(files.directory()).stdin(Stdio::piped());
        command.stdout(File::create(&said).map_err(on(&said))?);
        command.stderr(File::create(&errors).map_err(on(&errors))?);

        let (sender, spawned) = channel();
        let keeper = thread::spawn(move || keep(command, &sender));
        let (process, monitor) = spawned.recv().map_err(|gone| gone.to_string())??;
        let mut machine = Self {
            process,
            monitor,
            keeper: Some(keeper),
            started: (now, Instant::now()),
            _metadata: service,
        };
        machine.comes_up(&said, &errors)?;
        Ok(machine)
    }

    /// Returns when the machine runs: with all its devices, its place on the network included.
    fn comes_up(&mut self, said: &Path, errors: &Path) -> Result<(), String> {
        self.ask(r#"{"execute":"qmp_capabilities"} {"execute":"query-status"}"#);
        let begun = Instant::now();
        while !fs::read_to_string(said).is_ok_and(|said| said.contains("\"running\": true")) {
            let ended = self.ended();
            // It may have finished before the first query.
            if ended.is_some_and(|(status, _)| status.success()) {
                return Ok(());
            }
            if ended.is_some() || begun.elapsed() > COMES_UP {
                let words = fs::read_to_string(errors).unwrap_or_default();
                let how =
                    ended.map_or("does not answer".to_owned(), |(status, _)| status.to_string());
                return Err(format!("QEMU: {how}: {}", words.trim()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Presses the power button.
    pub(super) fn press_power(&mut self) {
        self.ask(r#"{"execute":"system_powerdown"}"#);
    }

    fn ask(&mut self, what: &str) {
        // A machine that has just gone off hears nothing, and that is all there is to it.
        writeln!(self.monitor, "{what}").unwrap_or_default();
    }

    /// How and when it went off, if it did.
    pub(super) fn ended(&self) -> Option<(ExitStatus, Instant)> {
        *lock(&self.process.ended)
    }

    /// When its system powered it off, if it did, on the clock that says `now`: however fast that runs,
    /// it has run evenly since the start.
    pub(super) fn ended_at(&self, now: Time) -> Option<Time> {
        let (_, ended) = self.ended()?;
        let (simulated, real) = self.started;
        let share = (ended - real).as_secs_f64() / real.elapsed().as_secs_f64();
        Some(simulated.after(now.since(simulated).mul_f64(share.min(1.0))))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // An error says that it has ended already.
        lock(&self.process.child).kill().unwrap_or_default();
        if let Some(keeper) = self.keeper.take() {
            keeper.join().unwrap_or_default();
        }
    }
}

type Spawned = Result<(Arc<Process>, ChildStdin), String>;

/// Starts a process and stays until it has ended.
fn keep(mut command: Command, started: &Sender<Spawned>) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            started.send(Err(cannot_run(&command, &error))).unwrap_or_default();
            return;
        }
    };
    let monitor = child.stdin.take().expect("stdin is a pipe");
    let process = Arc::new(Process { child: Mutex::new(child), ended: Mutex::new(None) });
    if started.send(Ok((Arc::clone(&process), monitor))).is_err() {
        return;
    }
    loop {
        // Not `wait`, which would keep the child from being killed.
        let status = lock(&process.child).try_wait();
        if let Ok(Some(status)) = status {
            *lock(&process.ended) = Some((status, Instant::now()));
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
