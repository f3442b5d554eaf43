//! The processes that are measured, and what they cost.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const SECRET: &str = "the secret of the bench, longer than 32 bytes";

/// The release binary beside this one.
fn binary() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("camarad-sidecar");
    match binary.exists() {
        true => Ok(binary),
        false => Err(io::Error::other(format!(
            "{} is not built; use `make bench`",
            binary.display()
        ))),
    }
}

/// A stand-in process; ends with this one.
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    _child: Child,
}

impl StandIn {
    pub(crate) async fn start(which: &str) -> io::Result<Self> {
        let mut child = Command::new(binary()?)
            .args(["mock", which, "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let address = line.trim().rsplit(' ').next().and_then(|a| a.parse().ok());
        Ok(Self {
            address: address.ok_or_else(|| io::Error::other(line))?,
            _child: child,
        })
    }
}

/// The sidecar process; ends with this one.
pub(crate) struct Sidecar {
    pub(crate) address: SocketAddr,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Sidecar {
    pub(crate) async fn start(legacy: &StandIn, coolbits: &StandIn) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut child = Command::new(binary()?)
            .arg("run")
            .env_clear()
            .env("SIDECAR_LISTEN", "127.0.0.1:0")
            .env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0")
            .env("SIDECAR_STATE_DIR", dir.path())
            .env("SIDECAR_ACCESS_LOG", "off")
            .env("SIDECAR_JWT_SECRET", SECRET)
            .env("SIDECAR_JWT_USER_CLAIM", "uid")
            .env("COOLBITS_GATEWAY_ENABLED", "on")
            .env("COOLBITS_URL", format!("http://{}", coolbits.address))
            .env("LEGACY_URL", format!("http://{}", legacy.address))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            let value: Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(address) = value["address"].as_str().and_then(|a| a.parse().ok()) {
                return Ok(Self {
                    address,
                    child,
                    _dir: dir,
                });
            }
        }
        Err(io::Error::other("the sidecar did not start"))
    }

    /// CPU time used so far, user and system.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        let id = self.child.id().ok_or(io::ErrorKind::NotFound)?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // Fields 14 and 15, counted after the name, which may hold anything (proc(5)).
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|f| f.parse::<u64>().ok())
            .sum();
        // Linux counts these in hundredths of a second on every machine we know.
        Ok(Duration::from_millis(ticks * 10))
    }
}

/// A token of user 1 with client 10.
pub(crate) fn token() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let claims = json!({"uid": 1, "clients": [10], "exp": now + 3600});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap_or_default()
}
