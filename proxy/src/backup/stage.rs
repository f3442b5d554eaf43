//! Where the members of an archive are gathered before it is written.
//!
//! What is told of a member (size, hash, what a database holds) is told of its copy here,
//! which nobody changes any more.

use super::database::{self, DatabaseError};
use super::manifest::Entry;
use super::take::{BackupError, target};
use camarad_policies::backup::Member;
use camarad_policies::hex::hex;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where members are gathered, so that each is told as it is in the archive.
pub(super) struct Stage<'a> {
    pub(super) dir: &'a Path,
    pub(super) out: &'a Path,
    pub(super) wait: Duration,
    pub(super) members: Vec<Entry>,
    pub(super) warnings: Vec<String>,
}

impl Stage<'_> {
    pub(super) fn absent(&mut self, path: &Path) {
        let words = format!("{} is not there, and not in the archive", path.display());
        self.warnings.push(words);
    }

    /// The place of a member, with the folder above it.
    fn place(&self, path: &str) -> Result<PathBuf, BackupError> {
        let to = self.dir.join(path);
        let folder = to.parent().unwrap_or(self.dir);
        std::fs::create_dir_all(folder).map_err(|error| target(self.out, error))?;
        Ok(to)
    }

    pub(super) fn database(
        &mut self,
        member: Member,
        what: &'static str,
        from: &Path,
    ) -> Result<(), BackupError> {
        let to = self.place(member.path())?;
        let facts = database::copy(from, &to, self.wait).map_err(|error| match error {
            DatabaseError::NoSpace => BackupError::NoSpace(self.out.to_owned()),
            error => BackupError::Database {
                what,
                path: from.to_owned(),
                error,
            },
        })?;
        let (size, sha256) = digest(&to).map_err(|error| target(self.out, error))?;
        self.members.push(Entry {
            path: member.path().to_owned(),
            size,
            sha256,
            database: Some(facts),
        });
        Ok(())
    }

    pub(super) fn file(&mut self, path: &str, from: &Path) -> Result<(), BackupError> {
        let to = self.place(path)?;
        let mut source =
            File::open(from).map_err(|error| BackupError::Source(from.to_owned(), error))?;
        let failed = |error| target(self.out, error);
        let mut copy = File::create_new(&to).map_err(failed)?;
        io::copy(&mut source, &mut copy).map_err(failed)?;
        let (size, sha256) = digest(&to).map_err(failed)?;
        self.members.push(Entry {
            path: path.to_owned(),
            size,
            sha256,
            database: None,
        });
        Ok(())
    }

    /// Plain files of a folder and of those in it; one that goes meanwhile was old.
    pub(super) fn snapshots(&mut self, folder: &Path, path: &str) -> Result<(), BackupError> {
        let unreadable = |error| BackupError::Source(folder.to_owned(), error);
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let (from, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
            let name = entry.file_name();
            let path = name.to_str().map(|name| format!("{path}/{name}"));
            let path = path
                .filter(|path| Member::of(path).is_some())
                .ok_or_else(|| BackupError::Name(from.clone()))?;
            match (kind.is_dir(), kind.is_file()) {
                (true, _) => self.snapshots(&from, &path)?,
                (_, true) => match self.file(&path, &from) {
                    Err(BackupError::Source(_, error))
                        if error.kind() == io::ErrorKind::NotFound => {}
                    outcome => outcome?,
                },
                (false, false) => {
                    let words = "is neither a file nor a folder, and not in the archive";
                    self.warnings.push(format!("{} {words}", from.display()));
                }
            }
        }
        Ok(())
    }
}

/// Size and SHA-256 of a file.
fn digest(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hash, mut size) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, hex(&hash.finalize()))),
            Ok(read) => {
                hash.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
