//! Settings of what is kept of configurations that were applied.

use super::Checker;
use crate::checked::Snapshots;
use crate::settings::SnapshotsSettings;
use std::path::PathBuf;

/// Files that are kept along.
const MOST: usize = 20;

pub(super) fn check_snapshots(c: &mut Checker, settings: SnapshotsSettings) -> Snapshots {
    const INCLUDE: &str = "snapshots.include";
    let SnapshotsSettings { include, keep } = settings;
    if include.len() > MOST {
        let message = format!("{} files: expected at most {MOST}", include.len());
        c.problem(INCLUDE, message);
    }
    for path in include.iter().filter(|path| !path.starts_with('/')) {
        c.problem(
            INCLUDE,
            format!("{path:?}: expected the whole path of a file, such as \"/etc/nginx/conf.d/camarad.conf\""),
        );
    }
    Snapshots {
        include: include.into_iter().map(PathBuf::from).collect(),
        keep: c.within("snapshots.keep", keep, 2, 10_000),
    }
}
