//! `backup`, `restore-drill`, `restore`: real archives of real SQLite files.

mod archives;
mod damaged;
mod drills;
mod restoring;
mod taking;
mod units;

use crate::support::{SECRET, command};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A machine: the app's database, a state directory, a configuration file, archives.
struct House(tempfile::TempDir);

/// What a command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl House {
    /// With an app's database, and nothing in the state directory.
    fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        for folder in ["state", "backups", "tmp"] {
            std::fs::create_dir(house.at(folder)).unwrap();
        }
        let file = format!(
            "[backup]\ndirectory = {:?}\napp_database = {:?}\n",
            house.at("backups"),
            house.at("app.db")
        );
        std::fs::write(house.at("sidecar.toml"), file).unwrap();
        let app = Connection::open(house.at("app.db")).unwrap();
        app.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE clients (id INTEGER PRIMARY KEY, name TEXT);
             INSERT INTO clients VALUES (10, 'ten'), (11, 'eleven');",
        )
        .unwrap();
        house
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    async fn says(&self, args: &[&str]) -> Said {
        self.says_with(args, &[]).await
    }

    fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = command();
        command
            .args(args)
            .env("SIDECAR_CONFIG", self.at("sidecar.toml"))
            .env("SIDECAR_STATE_DIR", self.at("state"))
            .env("SIDECAR_JWT_SECRET", SECRET)
            .env("SIDECAR_JWT_USER_CLAIM", "uid")
            .env("TMPDIR", self.at("tmp"));
        command
    }

    async fn says_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = self.command(args);
        command.envs(environment.iter().copied());
        let output = command.output().await.unwrap();
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Takes a backup, and gives the archive.
    async fn backup(&self) -> PathBuf {
        let said = self.says(&["backup"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let path = said.out.lines().next().unwrap();
        path.split_once(": ").unwrap().0.into()
    }

    /// The names in one of its folders.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// Every file below a folder, with its content.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let content = std::fs::read(&path).unwrap();
                    found.insert(path, content);
                }
            }
        }
    }
    found
}
