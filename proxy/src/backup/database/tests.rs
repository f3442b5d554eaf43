use super::*;

fn made(dir: &Path, name: &str, sql: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    let file = Connection::open(&path).unwrap();
    // As in an app that does not turn them on.
    file.pragma_update(None, "foreign_keys", "OFF").unwrap();
    file.execute_batch(sql).unwrap();
    path
}

const SQL: &str = "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, \"b\"\"c\" TEXT);
    CREATE TABLE \"odd \"\" name\" (a REFERENCES a (id));
    INSERT INTO a (id) VALUES (1), (2); INSERT INTO \"odd \"\" name\" VALUES (1), (7);
    CREATE INDEX i ON a (id); PRAGMA user_version = 5";

#[test]
fn a_copy_says_the_same_as_its_source_in_every_journal_mode() {
    for mode in ["WAL", "DELETE", "TRUNCATE"] {
        let dir = tempfile::tempdir().unwrap();
        let from = made(
            dir.path(),
            "from.db",
            &format!("PRAGMA journal_mode = {mode}; {SQL}"),
        );
        let to = dir.path().join("to.db");
        let copied = copy(&from, &to, Duration::ZERO).unwrap();
        assert_eq!(copied.rows["a"], 2, "{mode}");
        assert_eq!(copied.rows["odd \" name"], 2, "{mode}");
        assert_eq!(copied.rows.len(), 2, "{mode}");
        assert_eq!((copied.user_version, copied.foreign_key_violations), (5, 1));
        let found = Facts::read(&to).unwrap();
        assert_eq!(found, copied, "{mode}");
        assert!(copied.compare(&found).iter().all(|(_, seen)| seen.is_ok()));
    }
}

#[test]
fn whatever_differs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let told = Facts::read(&made(dir.path(), "a.db", SQL)).unwrap();
    for (change, name, words) in [
        ("DELETE FROM a WHERE id = 2", "rows", "a: 1 rows, 2 when"),
        (
            "CREATE TABLE d (x); INSERT INTO d VALUES (1)",
            "rows",
            "d: 1 rows, none when",
        ),
        ("DROP INDEX i", "schema", "differs"),
        ("PRAGMA user_version = 6", "schema", "version 6, and 5"),
        (
            "DELETE FROM \"odd \"\" name\" WHERE a = 7; INSERT INTO \"odd \"\" name\" VALUES (1)",
            "foreign keys",
            "0 rows name",
        ),
    ] {
        let path = made(dir.path(), "b.db", SQL);
        made(dir.path(), "b.db", change);
        let compared = told.compare(&Facts::read(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        let (_, seen) = compared.iter().find(|(what, _)| *what == name).unwrap();
        let seen = seen.as_ref().unwrap_err();
        assert!(seen.contains(words), "{change}: {seen}");
    }
    // Only how it is written differs.
    let spaced = SQL.replace("CREATE INDEX i ON", "CREATE INDEX i\n  ON");
    let path = made(dir.path(), "c.db", &spaced);
    let compared = told.compare(&Facts::read(&path).unwrap());
    assert!(
        compared.iter().all(|(_, seen)| seen.is_ok()),
        "{compared:?}"
    );
}

#[test]
fn what_cannot_be_copied_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to.db");
    let missing = copy(&dir.path().join("none.db"), &to, Duration::ZERO);
    assert!(matches!(missing, Err(DatabaseError::Missing)));
    let text = dir.path().join("text.db");
    std::fs::write(&text, "not SQLite at all").unwrap();
    let text = copy(&text, &to, Duration::ZERO);
    assert!(matches!(text, Err(DatabaseError::NotSqlite)));
    let held = made(dir.path(), "held.db", SQL);
    let holder = Connection::open(&held).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let locked = copy(&held, &to, Duration::from_millis(1));
    assert!(matches!(locked, Err(DatabaseError::Locked(_))));
    assert_eq!(std::fs::metadata(&to).map_or(0, |file| file.len()), 0);
    // Pages overwritten in the middle.
    let sql = format!(
        "{SQL}; WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000)
         INSERT INTO a (\"b\"\"c\") SELECT hex(randomblob(20)) FROM n"
    );
    let broken = made(dir.path(), "broken.db", &sql);
    let mut bytes = std::fs::read(&broken).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0x5a);
    std::fs::write(&broken, bytes).unwrap();
    let broken = copy(&broken, &dir.path().join("to2.db"), Duration::ZERO);
    assert!(
        matches!(broken, Err(DatabaseError::Damaged(_))),
        "{broken:?}"
    );
}
