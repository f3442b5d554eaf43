//! Owner and mode of what is restored: those of what it replaces.
//!
//! Nothing here is in its place yet; what cannot be given its owner is not put there.

use super::swap::Step;
use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The folder itself, or what there is of the way to it.
pub(super) fn nearest(folder: &Path) -> &Path {
    let found = folder.ancestors().find(|folder| folder.is_dir());
    found.unwrap_or(Path::new("."))
}

/// Gives what is to be renamed owner and mode of what it replaces, or else of the folder and
/// this mode, and has it on the disk.
pub(super) fn settle(step: &Step, default_mode: u32) -> io::Result<()> {
    let old = std::fs::metadata(&step.to).ok();
    let folder = nearest(step.to.parent().unwrap_or(Path::new(".")));
    let like = match &old {
        Some(old) => old.clone(),
        None => std::fs::metadata(folder)?,
    };
    let mode = match &old {
        Some(old) if old.is_file() => old.mode() & 0o777,
        _ => default_mode,
    };
    settle_below(&step.from, &like, mode)
}

fn settle_below(path: &Path, like: &Metadata, mode: u32) -> io::Result<()> {
    own(path, like)?;
    if path.is_dir() {
        std::fs::set_permissions(path, Permissions::from_mode(0o750))?;
        for entry in std::fs::read_dir(path)? {
            settle_below(&entry?.path(), like, mode)?;
        }
    } else {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    File::open(path)?.sync_all()
}

/// Gives a file the owner that another one has; who is not root owns what they make.
pub(super) fn own(path: &Path, like: &Metadata) -> io::Result<()> {
    match rustix::process::geteuid().is_root() {
        true => std::os::unix::fs::chown(path, Some(like.uid()), Some(like.gid())),
        false => Ok(()),
    }
}
