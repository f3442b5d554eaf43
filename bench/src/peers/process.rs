//! Processes under measurement: started on one CPU, watched from `/proc`, ended with us.

use rustix::process::{Pid, Signal};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A tree of processes that listens; ended when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    child: Child,
    log: String,
}

/// Cores of the machine, counted before this thread is kept on one of them.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(crate::table::cores)
}

/// CPU for what is measured, and for load and upstream; the same where there is only one.
pub(crate) fn cpus() -> (usize, usize) {
    (cores().saturating_sub(1), 0)
}

/// Keeps this thread, and what it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// A port that is free now; whoever is measured cannot tell which port 0 became.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// How long what is measured may take to listen.
const PATIENCE: Duration = Duration::from_secs(15);

/// A command run by another one, which takes it as its last arguments.
pub(crate) fn wrapped(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

impl Running {
    /// Starts the command on this CPU and waits until it listens. What it says on stdout and
    /// stderr goes to a file in `dir`, and into the error if it does not come up.
    pub(crate) fn start(
        command: &Command,
        address: SocketAddr,
        cpu: usize,
        dir: &Path,
    ) -> io::Result<Self> {
        Self::start_within(command, address, cpu, dir, PATIENCE)
    }

    /// The same with a time of its own.
    pub(crate) fn start_within(
        command: &Command,
        address: SocketAddr,
        cpu: usize,
        dir: &Path,
        patience: Duration,
    ) -> io::Result<Self> {
        let log = dir.join(format!("{}.log", address.port()));
        let out = std::fs::File::create(&log)?;
        // Ends with us even if we are killed; the process id stays the command's.
        let mut outer = Command::new("setpriv");
        outer.args(["--pdeathsig", "TERM"]);
        let mut wrapped = wrapped(outer, command);
        wrapped
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        pin(cpu)?;
        let child = wrapped.spawn();
        pin(cpus().1)?;
        let mut running = Self {
            address,
            child: child?,
            log: log.display().to_string(),
        };
        let started = Instant::now();
        while started.elapsed() < patience {
            if TcpStream::connect(address).is_ok() {
                return Ok(running);
            }
            if running.child.try_wait()?.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = std::fs::read_to_string(&running.log).unwrap_or_default();
        let name = command.get_program().to_string_lossy();
        Err(io::Error::other(format!("{name} did not start: {text}")))
    }

    /// The process and its children, as they are now.
    fn tree(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|id| Some((id, stat_fields(id)?.get(1)?.parse().ok()?)))
            .collect();
        let mut at = 0;
        while at < found.len() {
            let parent = found[at];
            found.extend(
                parents
                    .iter()
                    .filter(|(_, of)| *of == parent)
                    .map(|(id, _)| *id),
            );
            at += 1;
        }
        found
    }

    /// CPU time so far, user and system, of the whole tree and of children that ended.
    pub(crate) fn cpu(&self) -> Duration {
        let mut ticks = 0;
        for (at, id) in self.tree().into_iter().enumerate() {
            let fields = stat_fields(id).unwrap_or_default();
            // utime, stime, and of the root cutime, cstime: fields 14 to 17 (proc(5)), where the state is 3.
            let of = if at == 0 { 4 } else { 2 };
            let taken = fields.iter().skip(11).take(of);
            ticks += taken
                .filter_map(|field| field.parse::<u64>().ok())
                .sum::<u64>();
        }
        Duration::from_millis(ticks * 10)
    }

    /// Resident memory of the whole tree, KiB; pages that are shared count in each.
    pub(crate) fn resident(&self) -> u64 {
        let of = |id| {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.tree().into_iter().filter_map(of).sum()
    }
}

impl Running {
    /// Asks it to end; whether it has within this time.
    pub(crate) fn end(&mut self, patience: Duration) -> bool {
        signal(self.child.id(), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < patience {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

fn signal(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process(id, signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let tree = self.tree();
        // nginx's master ends its workers when it is asked to, not when it is killed.
        if self.end(Duration::from_secs(2)) {
            return;
        }
        for id in tree {
            signal(id, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// The fields of `/proc/PID/stat` after the name, the state first.
fn stat_fields(id: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let after = stat.rsplit(')').next()?;
    Some(after.split_whitespace().map(str::to_owned).collect())
}
