//! Writing an archive: everything from a staging directory, under its name only once it is
//! whole and on the disk.

use super::manifest::{self, Manifest};
use crate::whole_file::sync_folder;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// How files begin that are not whole yet, and staging directories. What a backup that was
/// killed leaves behind has this name.
pub(super) const UNFINISHED: &str = ".camarad-backup-";

/// Writes the archive `name` into `dir`, with mode 0600, of files below `from`.
pub(super) fn pack(
    dir: &Path,
    name: &str,
    manifest: &Manifest,
    from: &Path,
) -> io::Result<PathBuf> {
    // With mode 0600 from the start.
    let file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(dir)?;
    let packer = GzEncoder::new(BufWriter::new(file), Compression::new(6));
    let mut archive = Builder::new(packer);
    let seconds = u64::try_from(manifest.created_at.unix_timestamp()).unwrap_or(0);
    let text = serde_json::to_vec_pretty(manifest)?;
    let size = text.len() as u64;
    append(&mut archive, manifest::PATH, size, seconds, text.as_slice())?;
    for entry in &manifest.members {
        let file = File::open(from.join(&entry.path))?;
        append(&mut archive, &entry.path, entry.size, seconds, file)?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    let file = file.into_inner().map_err(|error| error.into_error())?;
    file.as_file().sync_all()?;
    let path = dir.join(name);
    file.persist_noclobber(&path)?;
    sync_folder(dir)?;
    Ok(path)
}

fn append(
    archive: &mut Builder<impl Write>,
    path: &str,
    size: u64,
    seconds: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_mtime(seconds);
    header.set_size(size);
    header.set_cksum();
    archive.append(&header, content)
}
