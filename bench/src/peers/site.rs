//! What all peers are given: the upstream, keys, and where their files go; and the tokens.

use super::process::{Running, cpus, free_address};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// The HS256 secret of every peer.
pub(crate) const SECRET: &str = "the-secret-of-the-bench-longer-than-32-bytes";

/// The surroundings of one run.
pub(crate) struct Site {
    pub(crate) upstream: Running,
    /// Public key for RS256, PEM.
    pub(crate) public_key: PathBuf,
    private_key: Vec<u8>,
    dir: tempfile::TempDir,
}

impl Site {
    /// Starts the upstream and makes a key pair.
    pub(crate) fn new() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (private, public) = (
            dir.path().join("private.pem"),
            dir.path().join("public.pem"),
        );
        openssl(
            Command::new("openssl")
                .args(["genrsa", "-out"])
                .arg(&private)
                .arg("2048"),
        )?;
        let mut extract = Command::new("openssl");
        extract
            .args(["rsa", "-pubout", "-in"])
            .arg(&private)
            .arg("-out")
            .arg(&public);
        openssl(&mut extract)?;
        let address = free_address()?;
        let mut command = Command::new(crate::processes::own_binary()?);
        command.args(["upstream", &address.to_string()]);
        let upstream = Running::start(&command, address, cpus().1, dir.path())?;
        Ok(Self {
            upstream,
            public_key: public,
            private_key: std::fs::read(private)?,
            dir,
        })
    }

    /// A new folder for one peer's files. What an ended process left in one of this name is gone:
    /// a cache on disk would answer before the upstream is asked.
    pub(crate) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.dir.path().join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// How many requests the upstream was asked so far.
    pub(crate) fn asked(&self) -> io::Result<u64> {
        let request = b"GET /bench/count HTTP/1.1\r\nHost: bench\r\n\r\n";
        let (_, body) = super::http::once(self.upstream.address, request)?;
        let text = String::from_utf8_lossy(&body);
        text.parse().map_err(io::Error::other)
    }

    pub(crate) fn upstream_address(&self) -> SocketAddr {
        self.upstream.address
    }

    /// A token good for two hours, changed by `change`.
    pub(crate) fn token(
        &self,
        algorithm: Algorithm,
        change: impl FnOnce(&mut Value),
    ) -> io::Result<String> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut claims = json!({"uid": 1, "clients": [10], "exp": now.as_secs() + 7200});
        change(&mut claims);
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(&self.private_key),
            _ => Ok(EncodingKey::from_secret(SECRET.as_bytes())),
        };
        let signed =
            key.and_then(|key| jsonwebtoken::encode(&Header::new(algorithm), &claims, &key));
        signed.map_err(io::Error::other)
    }
}

fn openssl(command: &mut Command) -> io::Result<()> {
    let output = command.output().map_err(|error| {
        io::Error::other(format!(
            "openssl makes the key pair for RS256, and does not run: {error}"
        ))
    })?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )),
    }
}
