//! Backups: what an archive is called, what may be in one, and which archives go.
//!
//! Times are in the names, in a form that sorts as it reads; nothing here knows what time it
//! is. Not here: reading and writing archives.
//!
//! What goes wrong if misused: a path that is written to without [`Member::of`] may lead out
//! of its directory; an archive that is deleted without [`expired`] may be the last one.

/// Begin and end of an archive's name.
const BEGIN: &str = "camarad-";
const END: &str = ".tar.gz";
/// Longest path of a member, in bytes; archives have no room for more.
const LONGEST_PATH: usize = 100;

/// The name of the archive that was begun at this time, `YYYYMMDDTHHMMSSZ`.
pub fn archive_name(stamp: &str) -> String {
    format!("{BEGIN}{stamp}{END}")
}

/// The time in an archive's name, `YYYYMMDDTHHMMSSZ`; `None` where the name is not one of ours.
pub fn stamp_of(name: &str) -> Option<&str> {
    let stamp = name.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let fits = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    (stamp.len() == 16 && stamp.bytes().enumerate().all(fits)).then_some(stamp)
}

/// Which of these names are to be deleted after the archive `made` was written: those beyond
/// the newest `keep`, and those from before `oldest` (a time as in names). What is not an
/// archive's name is not ours to delete; `made` and the newest stay, whatever their age.
pub fn expired<'a>(names: &[&'a str], made: &str, keep: usize, oldest: &str) -> Vec<&'a str> {
    let mut archives: Vec<(&str, &'a str)> = names
        .iter()
        .filter_map(|name| Some((stamp_of(name)?, *name)))
        .collect();
    archives.sort_unstable();
    archives.dedup();
    let surplus = archives.len().saturating_sub(keep.max(1));
    let newest = archives.last().map(|(_, name)| *name);
    archives
        .iter()
        .enumerate()
        .filter(|(at, (stamp, _))| *at < surplus || *stamp < oldest)
        .map(|(_, (_, name))| *name)
        .filter(|name| *name != made && Some(*name) != newest)
        .collect()
}

/// What a member of an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// The app's SQLite file.
    AppDatabase,
    /// The configuration file that was in use.
    Configuration,
    /// What operators ended.
    Sessions,
    /// The ledger of runs.
    Ledger,
    /// Whose conversations are.
    Owners,
    /// A file of `snapshots/` in the state directory.
    Snapshot,
}

impl Member {
    /// The members that have one path each.
    pub const SINGLE: [Member; 5] = [
        Self::AppDatabase,
        Self::Configuration,
        Self::Sessions,
        Self::Ledger,
        Self::Owners,
    ];

    /// Its path in an archive; of snapshots, the folder that they are in.
    pub fn path(self) -> &'static str {
        match self {
            Self::AppDatabase => "app/app.db",
            Self::Configuration => "config/sidecar.toml",
            Self::Sessions => "state/sessions.json",
            Self::Ledger => "state/runs.db",
            Self::Owners => "state/owners.db",
            Self::Snapshot => "state/snapshots",
        }
    }

    /// What a path is; `None` for one that leads elsewhere, or that no archive of ours has.
    pub fn of(path: &str) -> Option<Self> {
        if !is_inside(path) {
            return None;
        }
        let single = Self::SINGLE.into_iter().find(|one| one.path() == path);
        let below = path
            .strip_prefix(Self::Snapshot.path())
            .is_some_and(|rest| rest.starts_with('/'));
        single.or(below.then_some(Self::Snapshot))
    }

    /// Whether it is a SQLite file.
    pub fn is_database(self) -> bool {
        match self {
            Self::AppDatabase | Self::Ledger | Self::Owners => true,
            Self::Configuration | Self::Sessions | Self::Snapshot => false,
        }
    }
}

/// Whether a path stays inside of the directory that it is taken from: relative, plain names
/// only, and none of them a step up.
pub fn is_inside(path: &str) -> bool {
    let is_name = |part: &str| {
        let plain = |c: char| !c.is_control() && c != '\\';
        !part.is_empty() && part != "." && part != ".." && part.chars().all(plain)
    };
    path.len() <= LONGEST_PATH && path.split('/').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_names_of_ours_are_archives() {
        for (name, stamp) in [
            ("camarad-20261126T033347Z.tar.gz", Some("20261126T033347Z")),
            ("camarad-20261126T033347Z.tar.gz.1", None),
            ("camarad-20261126T033347.tar.gz", None),
            ("camarad-2026-1126T03334Z.tar.gz", None),
            ("camarad-20261126 033347Z.tar.gz", None),
            (".camarad-20261126T033347Z.tar.gz", None),
            ("other-20261126T033347Z.tar.gz", None),
            ("camarad-.tar.gz", None),
            ("", None),
        ] {
            assert_eq!(stamp_of(name), stamp, "{name}");
        }
        let name = archive_name("20261126T033347Z");
        assert_eq!(stamp_of(&name), Some("20261126T033347Z"));
    }

    #[test]
    fn what_is_too_many_or_too_old_goes_and_the_last_one_stays() {
        let day = |n: u32| archive_name(&format!("202611{n:02}T000000Z"));
        let days: Vec<String> = (1..=9).map(day).collect();
        let check = |kept: &[u32], made: u32, keep: usize, oldest: &str, gone: &[u32]| {
            let names: Vec<&str> = kept.iter().map(|n| &*days[*n as usize - 1]).collect();
            let found = expired(&names, &days[made as usize - 1], keep, oldest);
            let gone: Vec<&str> = gone.iter().map(|n| &*days[*n as usize - 1]).collect();
            assert_eq!(found, gone, "{kept:?} {made} {keep} {oldest}");
        };
        let ever = "00000000T000000Z";
        check(&[1, 2, 3], 3, 3, ever, &[]);
        check(&[3, 1, 2], 3, 2, ever, &[1]);
        check(&[1, 2, 3], 3, 1, ever, &[1, 2]);
        check(&[1, 2, 3], 3, 9, "20261103T000000Z", &[1, 2]);
        check(&[1, 2, 3], 3, 9, "20261102T000000Z", &[1]);
        // The clock went back: what was just made is not the newest by its name.
        check(&[1, 8, 9], 1, 1, ever, &[8]);
        // Everything is too old, the only one too.
        check(&[5], 5, 1, "20270101T000000Z", &[]);
        check(&[4, 5], 5, 0, "20270101T000000Z", &[4]);
    }

    #[test]
    fn members_have_known_paths_that_lead_nowhere_else() {
        for member in Member::SINGLE {
            assert_eq!(Member::of(member.path()), Some(member));
        }
        for path in ["state/snapshots/a.json", "state/snapshots/2026/a b.json"] {
            assert_eq!(Member::of(path), Some(Member::Snapshot), "{path}");
        }
        for path in [
            "",
            "manifest.json",
            "state",
            "state/snapshots",
            "state/snapshots/",
            "state/snapshotsx/a",
            "state/snapshots/../runs.db",
            "state/snapshots/./a",
            "state/snapshots//a",
            "state/snapshots/a\\b",
            "state/snapshots/a\0",
            "state/snapshots/a\nb",
            "/state/runs.db",
            "./state/runs.db",
            "../state/runs.db",
            "state/runs.db/",
            "state/runs.db-wal",
            "state/audit.jsonl",
            "etc/passwd",
        ] {
            assert_eq!(Member::of(path), None, "{path:?}");
        }
        let long = format!("state/snapshots/{}", "a".repeat(LONGEST_PATH));
        assert_eq!(Member::of(&long), None);
    }

    proptest! {
        #[test]
        fn whatever_goes_is_an_archive_and_never_the_newest_or_the_one_just_made(
            days in proptest::collection::vec(0u32..40, 1..30),
            made in 0usize..30, keep in 0usize..10, oldest in 0u32..60,
        ) {
            let stamp = |n: &u32| format!("2026{n:04}T000000Z");
            let mut names: Vec<String> = days.iter().map(|n| archive_name(&stamp(n))).collect();
            names.push("notes.txt".into());
            let all: Vec<&str> = names.iter().map(String::as_str).collect();
            let made = all[made % days.len()];
            let gone = expired(&all, made, keep, &stamp(&oldest));
            let newest = all.iter().filter(|name| stamp_of(name).is_some()).max().unwrap();
            prop_assert!(!gone.contains(newest) && !gone.contains(&made));
            prop_assert!(gone.iter().all(|name| stamp_of(name).is_some()));
            // What stays is within both bounds, save those two.
            let stays = |name: &&&str| !gone.contains(*name) && **name != made && *name != newest;
            let rest: std::collections::BTreeSet<&&str> =
                all.iter().filter(|name| stamp_of(name).is_some()).filter(stays).collect();
            prop_assert!(rest.iter().all(|name| stamp_of(name).unwrap() >= stamp(&oldest).as_str()));
            prop_assert!(rest.len() < keep.max(1) + 1);
        }

        #[test]
        fn no_path_that_is_inside_leads_out(path in "[a./\\\\]{0,12}") {
            use std::path::{Component, Path};
            let mut parts = Path::new(&path).components();
            if is_inside(&path) {
                prop_assert!(parts.all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
