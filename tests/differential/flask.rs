//! A real Flask, installed by pip into a directory of the build, once.

use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

const REQUIREMENTS: &str = include_str!("requirements.txt");
const ROUTES: &str = include_str!("routes.txt");

/// Methods and patterns of the real app.
pub fn routes() -> Vec<(&'static str, &'static str)> {
    ROUTES
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .collect()
}

/// A Flask process; ends with the test.
pub struct Flask {
    address: SocketAddr,
    _child: Child,
}

impl Flask {
    pub async fn start(server: &str) -> Self {
        let python = tokio::task::spawn_blocking(python).await.unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/differential");
        let mut child = tokio::process::Command::new(python)
            .arg(folder.join("app.py"))
            .arg(server)
            .arg(folder.join("routes.txt"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).await.unwrap();
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("{server} did not start: {line:?}"));
        Self {
            address: address.parse().unwrap(),
            _child: child,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it read since it was asked last.
    pub async fn seen<T: DeserializeOwned>(&self) -> Vec<T> {
        let url = format!("{}/_seen", self.url());
        let answer = crate::support::caller().get(url).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

/// The interpreter of an environment with what `requirements.txt` pins.
fn python() -> PathBuf {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(REQUIREMENTS);
    let name: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("flask-{name}"));
    // Tests run side by side; one of them installs, the others wait.
    let lock = std::fs::File::create(home.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let python = home.join("bin/python");
    let done = home.join("installed");
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&home);
        let pins = home.with_extension("txt");
        std::fs::write(&pins, REQUIREMENTS).unwrap();
        run(Command::new("python3").args(["-m", "venv"]).arg(&home));
        let install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ];
        run(Command::new(&python).args(install).arg(&pins));
        std::fs::write(&done, "").unwrap();
    }
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `make needs-test` installs Python or says how")
    });
    assert!(
        output.status.success(),
        "{command:?}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
