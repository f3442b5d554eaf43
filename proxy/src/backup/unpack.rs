//! Reading an archive into an empty directory, and holding it to its manifest.
//!
//! An archive may come from anywhere: names are checked before anything is opened, only plain
//! files are written, nothing is written over, and no more than the manifest says, which is
//! held against the room that there is. When [`unpack`] returns, every member is there with
//! its size and hash, and nothing else. What databases hold is for [`super::database`].

use super::database::is_sqlite;
use super::manifest::{self, Entry, Manifest, ManifestError};
use camarad_policies::backup::{Member, is_inside};
use camarad_policies::hex::hex;
use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tar::Archive;

/// Zeros after the last member that are read; writers fill up their last block.
const LONGEST_END: u64 = 1 << 20;

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    #[error("it is not an archive: expected a .tar.gz that `backup` wrote")]
    NotAnArchive,
    #[error("it is cut off: it ends in the middle, {0}")]
    CutOff(String),
    #[error("it is damaged: {member}: {why}")]
    Damaged { member: String, why: String },
    #[error("a member is missing: {0} is in the manifest and not in the archive")]
    Missing(String),
    #[error("there is too much in it: {0}")]
    TooMuch(String),
    #[error("it is refused: {0:?} leads out of its directory")]
    LeadsOut(String),
    #[error("it is refused: {0:?} is not a plain file")]
    NotAFile(String),
    #[error("{0}")]
    Manifest(ManifestError),
    #[error("{0} is not a SQLite file")]
    NotSqlite(String),
    #[error("no room: it needs {needed} bytes in {dir}, and {free} are free")]
    NoRoom { needed: u64, free: u64, dir: String },
    #[error("{}: it cannot be unpacked here: {why}", .0.display(), why = .1)]
    Write(PathBuf, io::Error),
}

impl From<ManifestError> for ArchiveError {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::LeadsOut(path) => Self::LeadsOut(path),
            other => Self::Manifest(other),
        }
    }
}

/// Unpacks `archive` into `dir`, which has to be empty.
pub(crate) fn unpack(archive: &Path, dir: &Path) -> Result<Manifest, ArchiveError> {
    let mut packed = BufReader::new(File::open(archive).map_err(ArchiveError::Read)?);
    if !packed
        .fill_buf()
        .map_err(ArchiveError::Read)?
        .starts_with(&[0x1f, 0x8b])
    {
        return Err(ArchiveError::NotAnArchive);
    }
    let mut archive = Archive::new(GzDecoder::new(packed));
    // Raw: what extends names or sizes is a member of its own that is refused.
    let mut entries = archive
        .entries()
        .map_err(ArchiveError::Read)?
        .raw(true)
        .map(|entry| entry.map(|entry| (entry.path_bytes().into_owned(), entry)));
    let manifest = match entries.next() {
        None => return Err(ArchiveError::NotAnArchive),
        Some(Err(error)) => {
            return Err(match broken("at its very beginning", error) {
                cut @ ArchiveError::CutOff(_) => cut,
                _ => ArchiveError::NotAnArchive,
            });
        }
        Some(Ok((path, entry))) => {
            let is_manifest = path == manifest::PATH.as_bytes()
                && entry.header().entry_type().is_file()
                && entry.size() <= manifest::LARGEST;
            if !is_manifest {
                let words = format!("its first member is not {}", manifest::PATH);
                return Err(ManifestError::Foreign(words).into());
            }
            let mut text = Vec::new();
            let mut entry = entry.take(manifest::LARGEST);
            entry
                .read_to_end(&mut text)
                .map_err(|error| broken(manifest::PATH, error))?;
            Manifest::parse(&text)?
        }
    };
    has_room(dir, manifest.bytes())?;
    let mut wanted: BTreeMap<&str, &Entry> = manifest
        .members
        .iter()
        .map(|entry| (entry.path.as_str(), entry))
        .collect();
    let mut last = manifest::PATH.to_owned();
    for entry in &mut entries {
        let (path, mut entry) = entry.map_err(|error| broken(&format!("after {last}"), error))?;
        let path = String::from_utf8(path).map_err(|bad| {
            ArchiveError::LeadsOut(String::from_utf8_lossy(bad.as_bytes()).into())
        })?;
        if !is_inside(&path) {
            return Err(ArchiveError::LeadsOut(path));
        }
        if !entry.header().entry_type().is_file() {
            return Err(ArchiveError::NotAFile(path));
        }
        let Some(told) = wanted.remove(path.as_str()) else {
            let words = format!("{path:?} is not in the manifest, or there twice");
            return Err(ArchiveError::TooMuch(words));
        };
        if entry.size() != told.size {
            let why = format!("{} bytes; the manifest says {}", entry.size(), told.size);
            return Err(ArchiveError::Damaged { member: path, why });
        }
        write(&mut entry, told, dir)?;
        last = path;
    }
    drop(entries);
    at_end(archive.into_inner(), &last)?;
    if let Some(path) = wanted.into_keys().next() {
        return Err(ArchiveError::Missing(path.to_owned()));
    }
    for entry in &manifest.members {
        let is_database = Member::of(&entry.path).is_some_and(Member::is_database);
        let path = dir.join(&entry.path);
        let failed = |error| ArchiveError::Write(path.clone(), error);
        if is_database && !is_sqlite(&path).map_err(failed)? {
            return Err(ArchiveError::NotSqlite(entry.path.clone()));
        }
    }
    Ok(manifest)
}

fn has_room(dir: &Path, needed: u64) -> Result<(), ArchiveError> {
    let Ok(told) = rustix::fs::statvfs(dir) else {
        // A file system that does not say: writing will.
        return Ok(());
    };
    let free = told.f_bavail.saturating_mul(told.f_frsize);
    match needed > free {
        true => Err(ArchiveError::NoRoom {
            needed,
            free,
            dir: dir.display().to_string(),
        }),
        false => Ok(()),
    }
}

/// Writes one member, whose size was compared, and compares its hash.
fn write(from: &mut impl Read, told: &Entry, dir: &Path) -> Result<(), ArchiveError> {
    let path = dir.join(&told.path);
    let failed = |error| ArchiveError::Write(path.clone(), error);
    if let Some(folder) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(folder).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    let (mut buffer, mut hash, mut left) = (vec![0; 64 << 10], Sha256::new(), told.size);
    while left > 0 {
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = match from.read(&mut buffer[..most]) {
            Ok(0) => return Err(ArchiveError::CutOff(format!("in {}", told.path))),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(&format!("in {}", told.path), error)),
        };
        hash.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(failed)?;
        left -= read as u64;
    }
    match hex(&hash.finalize()) == told.sha256 {
        true => Ok(()),
        false => Err(ArchiveError::Damaged {
            member: told.path.clone(),
            why: "its SHA-256 is not the one in the manifest".to_owned(),
        }),
    }
}

/// Nothing follows, and the checksum of the whole is right.
fn at_end(mut packed: GzDecoder<BufReader<File>>, last: &str) -> Result<(), ArchiveError> {
    let too_much = || ArchiveError::TooMuch(format!("there is more after {last}"));
    let mut rest = Vec::new();
    packed
        .by_ref()
        .take(LONGEST_END)
        .read_to_end(&mut rest)
        .map_err(|error| broken(&format!("after {last}"), error))?;
    if rest.len() as u64 == LONGEST_END || rest.iter().any(|byte| *byte != 0) {
        return Err(too_much());
    }
    let mut file = packed.into_inner();
    match file.fill_buf().map_err(ArchiveError::Read)?.is_empty() {
        true => Ok(()),
        false => Err(too_much()),
    }
}

/// What an error of decompressing or of tar means.
fn broken(place: &str, error: io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::CutOff(place.to_owned()),
        _ => ArchiveError::Damaged {
            member: place.to_owned(),
            why: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests;
