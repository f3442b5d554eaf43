//! The machine: what it is, and whether others were busy on it during a round.

use serde_json::{Value, json};
use std::io;
use std::process::Command;

/// CPU time of the whole machine so far, in hundredths of a second.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// User, nice and system; interrupts are nobody's.
    busy: u64,
    steal: u64,
    all: u64,
}

impl Times {
    /// Now.
    pub(crate) fn now() -> io::Result<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat")?)
            .ok_or_else(|| io::Error::other("/proc/stat is not as proc(5) says"))
    }

    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let fields: Vec<u64> = line
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        let [user, nice, system, _, _, _, _, steal, ..] = fields[..] else {
            return None;
        };
        // Guests' time is in user's already.
        Some(Self {
            busy: user + nice + system,
            steal,
            all: fields[..8].iter().sum(),
        })
    }

    /// Share of the machine's CPU time between two moments that neither was idle nor ours;
    /// `ours` in seconds.
    pub(crate) fn others(self, later: Self, ours: f64) -> f64 {
        let all = later.all.saturating_sub(self.all) as f64 / 100.0;
        let busy = later.busy.saturating_sub(self.busy) + later.steal.saturating_sub(self.steal);
        if all > 0.0 {
            ((busy as f64 / 100.0 - ours) / all).max(0.0)
        } else {
            0.0
        }
    }
}

/// The load average over the last minute.
pub(crate) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or_default()
}

/// What the results name: CPU, cores, memory, kernel, commit.
pub(crate) fn describe() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned());
        value.unwrap_or_default()
    };
    json!({
        "cpu": field(&read("/proc/cpuinfo"), "model name"),
        "cores": super::process::cores(),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "commit": git(&["rev-parse", "--short=12", "HEAD"]),
        "uncommitted_changes": !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty(),
    })
}

fn git(arguments: &[&str]) -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_use_is_what_is_neither_idle_nor_ours() {
        let times = |text| Times::parse(text).expect("a cpu line");
        let before = times("cpu  100 0 100 800 0 0 0 0 0 0\n");
        // Two seconds of CPU time: 0.9 s busy and 0.1 s stolen.
        let after = times("cpu  150 10 130 890 5 2 3 10 0 0\n");
        assert!((before.others(after, 0.9) - 0.05).abs() < 1e-9);
        assert!((before.others(after, 0.0) - 0.5).abs() < 1e-9);
        // Counted a little later than the machine's own clock: not less than nothing.
        assert!(before.others(after, 1.1).abs() < 1e-9);
        assert!(Times::parse("intr 1 2 3\n").is_none());
    }
}
