//! Backups: where they go, and how long they are kept.

use super::{Checker, MINUTE};
use crate::checked::Backup;
use crate::settings::BackupSettings;
use std::path::{Path, PathBuf};

pub(super) fn check_backup(c: &mut Checker, settings: BackupSettings, state_dir: &str) -> Backup {
    let BackupSettings {
        directory,
        app_database,
        keep,
        keep_for,
    } = settings;
    let (hour, day) = (60 * MINUTE, 24 * 60 * MINUTE);
    Backup {
        directory: match directory.as_str() {
            "" => Path::new(state_dir).join("backups"),
            _ => directory.into(),
        },
        app_database: (!app_database.is_empty()).then(|| PathBuf::from(app_database)),
        keep: c.within("backup.keep", keep, 1, 10_000) as usize,
        keep_for: c.within("backup.keep_for", keep_for.0, hour, 3650 * day),
    }
}
