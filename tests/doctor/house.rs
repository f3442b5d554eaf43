//! An installation to look at, and what was said of it.

use crate::support::{SECRET, Setup, Sidecar, StandIn, command};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// An issuer without anything to warn of, and nothing that the mock always answers.
const FILE: &str = r#"
[gateway]
mock_only = []
[[issuers]]
name = "tests"
secret_file = "SECRET"
user_claim = "uid"
issuer = "us"
audience = "camarad"
forward_to_coolbits = true
"#;

/// An installation: two stand-ins, and settings of which a test changes some.
pub(super) struct House {
    pub(super) coolbits: StandIn,
    pub(super) legacy: StandIn,
    pub(super) settings: BTreeMap<&'static str, String>,
    pub(super) dir: TempDir,
}

/// What the doctor said.
pub(super) struct Told {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl House {
    pub(super) async fn new() -> Self {
        let (coolbits, legacy) = tokio::join!(StandIn::start("coolbits"), StandIn::start("legacy"));
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("secret"), SECRET).unwrap();
        let file = FILE.replace("SECRET", &path("secret"));
        std::fs::write(path("sidecar.toml"), file).unwrap();
        let [listen, admin] = free_addresses();
        let settings = BTreeMap::from([
            ("SIDECAR_CONFIG", path("sidecar.toml")),
            ("SIDECAR_STATE_DIR", path("state")),
            ("SIDECAR_LISTEN", listen),
            ("SIDECAR_ADMIN_LISTEN", admin),
            ("LEGACY_URL", legacy.url()),
            ("COOLBITS_URL", coolbits.url()),
            ("COOLBITS_GATEWAY_ENABLED", "on".into()),
        ]);
        Self {
            coolbits,
            legacy,
            settings,
            dir,
        }
    }

    pub(super) fn set(&mut self, name: &'static str, value: impl ToString) {
        self.settings.insert(name, value.to_string());
    }

    /// The sidecar itself, with these settings.
    pub(super) async fn run(&mut self) -> Sidecar {
        let mut setup = Setup::default()
            .file(&std::fs::read_to_string(&self.settings["SIDECAR_CONFIG"]).unwrap());
        for (name, value) in &self.settings {
            let own = [
                "SIDECAR_CONFIG",
                "SIDECAR_STATE_DIR",
                "SIDECAR_LISTEN",
                "SIDECAR_ADMIN_LISTEN",
            ];
            if !own.contains(name) {
                setup = setup.set(name, value);
            }
        }
        let sidecar = setup.start_alone().await;
        self.set("SIDECAR_LISTEN", sidecar.address);
        self.set("SIDECAR_ADMIN_LISTEN", sidecar.admin);
        sidecar
    }

    /// Asks with this on standard input.
    pub(super) async fn ask(&self, args: &[&str], input: &str) -> Told {
        let mut child = command()
            .arg("doctor")
            .args(args)
            .envs(&self.settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // One that reads nothing may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let told = Told {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        let everything = format!("{}{}", told.stdout, told.stderr);
        for secret in [input.trim(), SECRET] {
            let is_told = !secret.is_empty() && everything.contains(secret);
            assert!(!is_told, "a secret is told:\n{everything}");
        }
        told
    }

    /// The text, with a token.
    pub(super) async fn with(&self, token: &str, more: &[&str]) -> Told {
        self.ask(&[&["--token-stdin"], more].concat(), &format!("{token}\n"))
            .await
    }

    pub(super) fn state(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }
}

impl Told {
    /// The line of a check: its outcome, and everything it says.
    pub(super) fn check(&self, name: &str) -> (&str, String) {
        let mut lines = self.stdout.lines();
        let of = |line: &str| {
            let (word, rest) = line.strip_prefix("  ")?.split_at_checked(4)?;
            let rest = rest.strip_prefix("  ")?;
            let is_it = rest.strip_prefix(name)?.starts_with("  ");
            is_it.then(|| (word.trim().to_owned(), rest.to_owned()))
        };
        let (word, said) = lines
            .find_map(of)
            .unwrap_or_else(|| panic!("no check {name:?}:\n{}{}", self.stdout, self.stderr));
        let todo = lines.next().filter(|line| line.contains("  do: "));
        let word = ["PASS", "WARN", "FAIL", "SKIP"]
            .into_iter()
            .find(|w| *w == word);
        (
            word.unwrap(),
            format!("{said}\n{}", todo.unwrap_or_default()),
        )
    }

    pub(super) fn assert(&self, name: &str, outcome: &str, words: &str) {
        let (word, said) = self.check(name);
        assert_eq!(word, outcome, "{name}: {said}\n{}", self.stdout);
        assert!(said.contains(words), "{name}: {said}, expected {words:?}");
    }

    /// The verdicts of the gates, in order.
    pub(super) fn gates(&self) -> Vec<&str> {
        let lines = self.stdout.lines();
        let heads = lines.filter(|line| ["A  ", "B  ", "C  "].iter().any(|g| line.starts_with(g)));
        heads
            .map(|line| line.rsplit(": ").next().unwrap())
            .collect()
    }
}

/// Addresses that were free a moment ago, each another one: all are held before one is let go.
pub(super) fn free_addresses<const N: usize>() -> [String; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = held.each_ref();
    addresses.map(|listener| listener.local_addr().unwrap().to_string())
}
