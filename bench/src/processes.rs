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
/// For what the soak reads and changes on the admin listener.
pub(crate) const ADMIN_TOKEN: &str = "the admin token of the bench";

/// This binary.
pub(crate) fn own_binary() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// The sidecar's binary beside this one.
pub(crate) fn sidecar_binary() -> io::Result<PathBuf> {
    let binary = own_binary()?.with_file_name("camarad-sidecar");
    match binary.exists() {
        true => Ok(binary),
        false => Err(io::Error::other(
            "camarad-sidecar is not built; use `make bench`",
        )),
    }
}

/// A process that listens; ends with this one.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Process {
    fn id(&self) -> io::Result<String> {
        let id = self.child.id().ok_or(io::ErrorKind::NotFound)?;
        Ok(id.to_string())
    }

    /// CPU time used so far, user and system.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        cpu_of(&self.id()?)
    }

    /// Resident memory, KiB.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> io::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.id()?))?.count())
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it, and comes back when it has ended.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

/// CPU time of a process, `self` for this one.
pub(crate) fn cpu_of(id: &str) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // Fields 14 and 15, counted after the name, which may hold anything (proc(5)).
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields = after.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    // Linux counts these in hundredths of a second on every machine we know.
    Ok(Duration::from_millis(ticks * 10))
}

/// A stand-in process.
pub(crate) struct StandIn {
    pub(crate) process: Process,
    which: &'static str,
}

impl StandIn {
    pub(crate) async fn start(which: &'static str) -> io::Result<Self> {
        Self::start_on(which, "127.0.0.1:0").await
    }

    async fn start_on(which: &'static str, listen: &str) -> io::Result<Self> {
        let mut child = Command::new(sidecar_binary()?)
            .args(["mock", which, "--until-stdin-closes", "--listen", listen])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let address = line.trim().rsplit(' ').next().and_then(|a| a.parse().ok());
        let address = address.ok_or_else(|| io::Error::other(line))?;
        let process = Process { address, child };
        Ok(Self { process, which })
    }

    /// Ends it and starts it again where it was.
    pub(crate) async fn restart(&mut self) -> io::Result<()> {
        self.process.end().await?;
        *self = Self::start_on(self.which, &self.process.address.to_string()).await?;
        Ok(())
    }
}

/// The sidecar's process.
pub(crate) struct Sidecar {
    pub(crate) process: Process,
    pub(crate) admin: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Sidecar {
    pub(crate) async fn start(legacy: &StandIn, coolbits: &StandIn) -> io::Result<Self> {
        Self::start_with(legacy, coolbits, "").await
    }

    /// The same with lines of a configuration file.
    pub(crate) async fn start_with(
        legacy: &StandIn,
        coolbits: &StandIn,
        file: &str,
    ) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let settings = dir.path().join("sidecar.toml");
        std::fs::write(&settings, file)?;
        let mut child = Command::new(sidecar_binary()?)
            .arg("run")
            .env_clear()
            .env("SIDECAR_CONFIG", &settings)
            // Refusals are measured too, and so many would be limited.
            .env("SIDECAR__LIMITS__REFUSALS", "0")
            .env("SIDECAR_LISTEN", "127.0.0.1:0")
            .env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0")
            .env("SIDECAR_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("SIDECAR_STATE_DIR", dir.path())
            .env("SIDECAR_ACCESS_LOG", "off")
            .env("SIDECAR_LOG", "info,pingora_core=off,pingora_proxy=off")
            .env("SIDECAR_JWT_SECRET", SECRET)
            .env("SIDECAR_JWT_USER_CLAIM", "uid")
            // A hanging upstream must not be most of a soak.
            .env("SIDECAR__GATEWAY__DEADLINE", "1500ms")
            .env("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "1s")
            .env("SIDECAR__LEGACY__READ_TIMEOUT", "1500ms")
            .env("COOLBITS_GATEWAY_ENABLED", "on")
            .env(
                "COOLBITS_URL",
                format!("http://{}", coolbits.process.address),
            )
            .env("LEGACY_URL", format!("http://{}", legacy.process.address))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            let value: Value = serde_json::from_str(&line).unwrap_or_default();
            let at = |name: &str| value[name].as_str().and_then(|a| a.parse().ok());
            if let (Some(address), Some(admin)) = (at("address"), at("admin")) {
                // Read on, or its log would fill the pipe and stop it.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                let process = Process { address, child };
                return Ok(Self {
                    process,
                    admin,
                    _dir: dir,
                });
            }
        }
        Err(io::Error::other("the sidecar did not start"))
    }
}

/// A bare Pingora in front of the app.
pub(crate) struct PassThrough {
    pub(crate) process: Process,
}

impl PassThrough {
    pub(crate) async fn start(legacy: &StandIn) -> io::Result<Self> {
        // Pingora's server cannot tell which port 0 became, so one is picked before.
        let free = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await?
            .local_addr()?;
        let child = Command::new(own_binary()?)
            .args([
                "pass-through",
                &free.to_string(),
                &legacy.process.address.to_string(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let process = Process {
            address: free,
            child,
        };
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(free).await.is_ok() {
                return Ok(Self { process });
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(io::Error::other("the pass-through did not start"))
    }
}

/// A token of user 1 with client 10.
pub(crate) fn token() -> String {
    token_of(1, 10)
}

/// A token of this user with this client.
pub(crate) fn token_of(user: u64, client: u64) -> String {
    signed(json!({"uid": user, "clients": [client]}))
}

/// A token of this user that names no clients: the app's own list of them counts.
pub(crate) fn token_of_user(user: u64) -> String {
    signed(json!({"uid": user}))
}

fn signed(mut claims: Value) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    claims["exp"] = json!(now.as_secs() + 7200);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap_or_default()
}
