//! New files in the place of old ones: all of them, or as it was.
//!
//! Everything is a rename within one file system. What was there is moved aside, not
//! deleted; where a rename fails, those before it are undone.

use std::io;
use std::path::{Path, PathBuf};

/// What SQLite keeps beside a database. A new database beside an old one's would be damaged
/// by it.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// One file or folder that is to be put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Where it is now, on the file system of `to`.
    pub(super) from: PathBuf,
    /// Where it is to be.
    pub(super) to: PathBuf,
    /// Whether SQLite keeps files beside it.
    pub(super) is_database: bool,
}

impl Step {
    /// Everything that is there and would be in the way.
    pub(super) fn occupied(&self) -> Vec<PathBuf> {
        let mut places = vec![self.to.clone()];
        if self.is_database {
            places.extend(COMPANIONS.map(|end| {
                let mut name = self.to.as_os_str().to_owned();
                name.push(end);
                PathBuf::from(name)
            }));
        }
        // A link that leads nowhere is in the way, too.
        places.retain(|path| path.symlink_metadata().is_ok());
        places
    }
}

/// Takes every step, in order. What is in the way goes to `aside` of its own folder, which
/// gives its name for a folder. An error is told with the path where it came up.
pub(super) fn swap(
    steps: &[Step],
    aside: impl Fn(&Path) -> io::Result<PathBuf>,
) -> Result<(), (PathBuf, io::Error)> {
    let mut done: Vec<(PathBuf, PathBuf)> = Vec::new();
    let outcome = steps
        .iter()
        .try_for_each(|step| take(step, &aside, &mut done));
    if outcome.is_err() {
        for (from, to) in done.iter().rev() {
            // The first error is the one to tell; what was moved aside is still there.
            let _ = std::fs::rename(to, from);
        }
    }
    outcome
}

fn take(
    step: &Step,
    aside: &impl Fn(&Path) -> io::Result<PathBuf>,
    done: &mut Vec<(PathBuf, PathBuf)>,
) -> Result<(), (PathBuf, io::Error)> {
    let mut rename = |from: &Path, to: &Path| -> io::Result<()> {
        std::fs::rename(from, to)?;
        done.push((from.to_owned(), to.to_owned()));
        Ok(())
    };
    for old in step.occupied() {
        let (Some(folder), Some(name)) = (old.parent(), old.file_name()) else {
            return Err((old.clone(), io::ErrorKind::InvalidInput.into()));
        };
        aside(folder)
            .and_then(|aside| rename(&old, &aside.join(name)))
            .map_err(|error| (old.clone(), error))?;
    }
    rename(&step.from, &step.to).map_err(|error| (step.to.clone(), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn content(dir: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let name = path.strip_prefix(dir).unwrap().display().to_string();
                        found.insert(name, std::fs::read_to_string(path).unwrap());
                    }
                }
            }
        }
        found
    }

    fn steps(dir: &Path, names: &[&str]) -> Vec<Step> {
        let step = |name: &&str| Step {
            from: dir.join("stage").join(name),
            to: dir.join(name),
            is_database: name.ends_with(".db"),
        };
        names.iter().map(step).collect()
    }

    fn aside(folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder.join("aside"))?;
        Ok(folder.join("aside"))
    }

    fn filled() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("stage")).unwrap();
        for (name, text) in [
            ("a.db", "old"),
            ("a.db-wal", "old log"),
            ("b.db-journal", "old"),
            ("c.json-wal", "not SQLite's"),
            ("stage/a.db", "new"),
            ("stage/b.db", "new"),
            ("stage/c.json", "new"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn old_files_go_aside_with_what_belongs_to_them() {
        let dir = filled();
        let steps = steps(dir.path(), &["a.db", "b.db", "c.json"]);
        assert_eq!(steps.iter().flat_map(Step::occupied).count(), 3);
        swap(&steps, aside).unwrap();
        let found = content(dir.path());
        let found: Vec<(&str, &str)> = found.iter().map(|(n, t)| (&**n, &**t)).collect();
        assert_eq!(
            found,
            [
                ("a.db", "new"),
                ("aside/a.db", "old"),
                ("aside/a.db-wal", "old log"),
                ("aside/b.db-journal", "old"),
                ("b.db", "new"),
                ("c.json", "new"),
                ("c.json-wal", "not SQLite's"),
            ]
        );
    }

    #[test]
    fn where_one_step_fails_all_of_them_are_undone() {
        let dir = filled();
        let before = content(dir.path());
        let (path, _) = swap(&steps(dir.path(), &["a.db", "b.db", "none"]), aside).unwrap_err();
        assert_eq!(path, dir.path().join("none"));
        assert_eq!(content(dir.path()), before);
    }
}
