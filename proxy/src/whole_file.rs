//! A file that is there whole or not at all, and on the disk when [`write()`] returns.
//!
//! One writer at a time: two would share the name beside it. Its user alone may read it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes these bytes in the place of whatever the file held.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut new = options.open(&beside)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    std::fs::rename(&beside, file)?;
    match file.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Returns once the names in a folder are on the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // The parent of a plain name is the empty path.
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    File::open(folder)?.sync_all()
}
