//! What is in an archive, and which archives stay.

use super::archives::{self, hash, manifest};
use super::{House, everything};
use crate::support::{SECRET, command};
use rusqlite::Connection;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Writes as fast as it can until it is told to stop: a row in each of two tables, always in
/// one transaction. Gives how many.
fn write_until(path: &Path, stop: &AtomicBool, written: &AtomicU64) {
    let mut app = Connection::open(path).unwrap();
    app.busy_timeout(Duration::from_secs(30)).unwrap();
    while !stop.load(Ordering::SeqCst) {
        let change = app.transaction().unwrap();
        change
            .execute(
                "INSERT INTO debits (text) VALUES (hex(randomblob(500)))",
                [],
            )
            .unwrap();
        change
            .execute(
                "INSERT INTO credits (text) VALUES (hex(randomblob(500)))",
                [],
            )
            .unwrap();
        change.commit().unwrap();
        written.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_copy_is_whole_while_the_app_writes_as_fast_as_it_can() {
    for mode in ["WAL", "DELETE"] {
        let house = House::new();
        let path = house.at("app.db");
        let app = Connection::open(&path).unwrap();
        let tables = format!(
            "PRAGMA journal_mode = {mode}; PRAGMA synchronous = OFF;
             CREATE TABLE debits (id INTEGER PRIMARY KEY, text TEXT);
             CREATE TABLE credits (id INTEGER PRIMARY KEY, text TEXT);"
        );
        app.execute_batch(&tables).unwrap();
        drop(app);
        let (stop, written) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let writer = {
            let (path, stop, written) = (path.clone(), stop.clone(), written.clone());
            std::thread::spawn(move || write_until(&path, &stop, &written))
        };
        crate::support::eventually("the app writes", || async {
            written.load(Ordering::SeqCst) > 50
        })
        .await;
        for round in 0..3 {
            let before = written.load(Ordering::SeqCst);
            let archive = house.backup().await;
            let after = written.load(Ordering::SeqCst);
            assert!(after > before, "{mode}: nobody wrote meanwhile");
            let mut members = archives::read(&archive);
            let copy = house.at("copy.db");
            let content = &archives::member(&mut members, "app/app.db").content;
            std::fs::write(&copy, content).unwrap();
            let file = Connection::open(&copy).unwrap();
            let check: String = file
                .pragma_query_value(None, "integrity_check", |row| row.get(0))
                .unwrap();
            assert_eq!(check, "ok", "{mode}");
            let count = |table: &str| -> u64 {
                let sql = format!("SELECT count(*) FROM {table}");
                file.query_row(&sql, [], |row| row.get::<_, i64>(0))
                    .unwrap() as u64
            };
            let (debits, credits) = (count("debits"), count("credits"));
            assert_eq!(debits, credits, "{mode}: half of a transaction");
            // Committed before it began, and not after it had ended; one may be under way.
            assert!((before..=after + 1).contains(&debits), "{mode}");
            assert_eq!(
                manifest(&members)["members"][0]["database"]["rows"]["debits"],
                debits
            );
            file.close().unwrap();
            std::fs::remove_file(&copy).unwrap();
            // The next one is of another second.
            let old = format!("backups/camarad-2026010{round}T000000Z.tar.gz");
            std::fs::rename(archive, house.at(&old)).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        writer.join().unwrap();
    }
}

#[tokio::test]
async fn an_archive_holds_what_a_restore_needs_and_says_what() {
    let house = House::new();
    std::fs::create_dir_all(house.at("state/snapshots/2026")).unwrap();
    std::fs::write(house.at("state/snapshots/2026/a.json"), "[1]").unwrap();
    std::fs::write(house.at("state/sessions.json"), "{}").unwrap();
    std::fs::write(house.at("state/audit.jsonl"), "{}").unwrap();
    std::fs::write(house.at("state/jwt"), SECRET).unwrap();
    for name in ["runs.db", "owners.db"] {
        let file = Connection::open(house.at("state").join(name)).unwrap();
        file.execute_batch("CREATE TABLE runs (id); PRAGMA user_version = 2")
            .unwrap();
    }
    let archive = house.backup().await;
    let mode = std::fs::metadata(&archive).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let members = archives::read(&archive);
    let paths: Vec<&str> = members.iter().map(|member| &*member.path).collect();
    assert_eq!(
        paths,
        [
            "manifest.json",
            "app/app.db",
            "state/runs.db",
            "state/owners.db",
            "state/sessions.json",
            "state/snapshots/2026/a.json",
            "config/sidecar.toml",
        ]
    );
    let told = manifest(&members);
    assert_eq!(
        (&told["format"], &told["version"], &told["holds_secrets"]),
        (&json!("camarad-backup"), &json!(1), &json!(false))
    );
    assert_eq!(told["versions"]["sidecar"], env!("CARGO_PKG_VERSION"));
    let name = archive.file_name().unwrap().to_str().unwrap();
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    assert_eq!(digits(told["created_at"].as_str().unwrap()), digits(name));
    for (entry, member) in told["members"]
        .as_array()
        .unwrap()
        .iter()
        .zip(&members[1..])
    {
        assert_eq!(entry["path"], *member.path);
        assert_eq!(entry["size"], member.content.len());
        assert_eq!(entry["sha256"], hash(&member.content));
        let is_database = member.path.ends_with(".db");
        assert_eq!(entry["database"].is_object(), is_database, "{entry}");
        let secret = SECRET.as_bytes();
        let mut windows = member.content.windows(secret.len());
        assert!(windows.all(|window| window != secret), "{}", member.path);
    }
    let app = &told["members"][0]["database"];
    assert_eq!(app["rows"], json!({"clients": 2}));
    assert_eq!(
        (&app["integrity"], &app["user_version"]),
        (&json!("ok"), &json!(0))
    );
    assert_eq!(told["members"][1]["database"]["user_version"], 2);
    assert_eq!(app["schema_sha256"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_configuration_file_with_secrets_is_kept_and_it_is_said() {
    let house = House::new();
    let text = std::fs::read_to_string(house.at("sidecar.toml")).unwrap();
    let text = format!("{text}[sessions]\nseal_key = \"{SECRET}\"\n");
    std::fs::write(house.at("sidecar.toml"), &text).unwrap();
    let said = house.says(&["backup"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("holds secrets itself"), "{said:?}");
    assert!(!said.err.contains(SECRET) && !said.out.contains(SECRET));
    let archive = house.names("backups").pop().unwrap();
    let members = archives::read(&house.at("backups").join(archive));
    assert_eq!(manifest(&members)["holds_secrets"], true);
    assert_eq!(members.last().unwrap().content, text.as_bytes());
}

#[tokio::test]
async fn old_archives_go_after_a_backup_that_succeeded_and_no_other_file_does() {
    let house = House::new();
    let text = std::fs::read_to_string(house.at("sidecar.toml")).unwrap();
    let text = format!("{text}keep = 3\nkeep_for = \"1000d\"\n");
    std::fs::write(house.at("sidecar.toml"), text).unwrap();
    let old = |day: u32| format!("camarad-2026010{day}T000000Z.tar.gz");
    let others = [
        "camarad-20260101T000000Z.tar.gz.gpg",
        "notes.txt",
        "camarad-latest.tar.gz",
    ];
    let all = [
        old(1),
        old(2),
        old(3),
        "camarad-20010101T000000Z.tar.gz".into(),
    ];
    for name in all.iter().map(String::as_str).chain(others) {
        std::fs::write(house.at("backups").join(name), name).unwrap();
    }
    let before = everything(&house.at("backups"));
    let nowhere = house.text("none.db");
    let said = house.says(&["backup", "--app-db", &nowhere]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(everything(&house.at("backups")), before, "it failed");
    let made = house.backup().await;
    let name = made.file_name().unwrap().to_str().unwrap().to_owned();
    let mut kept: Vec<String> = others.map(str::to_owned).into();
    kept.extend([old(2), old(3), name.clone()]);
    kept.sort();
    assert_eq!(house.names("backups"), kept);

    // By age: all but the one that was just made.
    let text = std::fs::read_to_string(house.at("sidecar.toml")).unwrap();
    std::fs::write(house.at("sidecar.toml"), text.replace("1000d", "1h")).unwrap();
    std::fs::rename(&made, house.at("backups").join(old(1))).unwrap();
    let made = house.backup().await;
    let names = house.names("backups");
    let archives = names.iter().filter(|name| !others.contains(&name.as_str()));
    let archives: Vec<&str> = archives.map(String::as_str).collect();
    assert_eq!(archives, [made.file_name().unwrap().to_str().unwrap()]);
}

#[tokio::test]
async fn what_cannot_be_backed_up_says_why_and_leaves_nothing_behind() {
    let house = House::new();
    let (none, file) = (house.text("none.db"), house.text("sidecar.toml"));
    let under_a_file = house.text("sidecar.toml/backups");
    let app = house.text("app.db");
    std::fs::write(house.at("empty.db"), "").unwrap();
    let empty = house.text("empty.db");
    let held = house.at("held.db");
    let holder = Connection::open(&held).unwrap();
    holder
        .execute_batch("CREATE TABLE a (b); BEGIN EXCLUSIVE")
        .unwrap();
    let held = house.text("held.db");
    let outcome = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let house = &house;
        async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            house.says(&args).await
        }
    };
    for (args, code, words) in [
        (
            &["backup", "--app-db", &none][..],
            1,
            "the app's database, NONE: there is no such file",
        ),
        (
            &["backup", "--app-db", &file],
            1,
            "sidecar.toml: it is not a SQLite file",
        ),
        (
            &["backup", "--app-db", &empty],
            1,
            "empty.db: it is not a SQLite file",
        ),
        (
            &["backup", "--app-db", &held, "--wait", "50ms"],
            1,
            "held.db: somebody held it locked for 50ms",
        ),
        (
            &["backup", "--out", &under_a_file],
            1,
            "sidecar.toml/backups: it cannot be written",
        ),
        (
            &["backup", "--app-db", &app, "--no-app-db"],
            2,
            "cannot be used with",
        ),
        (&["backup", "--wait", "soon"], 2, "--wait"),
    ] {
        let said = outcome(args).await;
        let words = words.replace("NONE", &none);
        assert_eq!(said.code, Some(code), "{args:?} {said:?}");
        assert!(said.err.contains(&words), "{args:?} {said:?}");
        assert!(house.names("backups").is_empty(), "{args:?}");
    }
    std::fs::write(house.at("sidecar.toml"), "").unwrap();
    let said = house.says(&["backup"]).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("set backup.app_database"), "{said:?}");
    // Without it there is something to keep all the same.
    let out = house.text("backups");
    let said = house.says(&["backup", "--no-app-db", "--out", &out]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("runs.db is not there"), "{said:?}");
}

#[tokio::test]
async fn where_no_space_is_left_there_is_no_half_of_an_archive() {
    let house = House::new();
    std::fs::create_dir(house.at("state/snapshots")).unwrap();
    std::fs::write(house.at("state/snapshots/large"), vec![7; 1 << 20]).unwrap();
    let mut shell = tokio::process::Command::new("/bin/sh");
    // Files end at some hundred KiB, as they do where a disk does.
    let limited = "trap '' XFSZ; ulimit -f 200; exec \"$0\" backup --no-app-db";
    shell
        .args(["-c", limited, env!("CARGO_BIN_EXE_camarad-sidecar")])
        .env_clear()
        .env("SIDECAR_CONFIG", house.at("sidecar.toml"))
        .env("SIDECAR_STATE_DIR", house.at("state"))
        .env("SIDECAR_JWT_SECRET", SECRET)
        .env("SIDECAR_JWT_USER_CLAIM", "uid");
    let output = shell.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("backups: no space is left"), "{said}");
    assert!(house.names("backups").is_empty());
    let help = command().args(["backup", "--help"]).output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("--app-db") && help.contains("--out"),
        "{help}"
    );
}
