//! `restore`: what it refuses, what it keeps, and what is known after it.

use super::archives::{self, tarred, tell, zipped};
use super::{House, everything};
use crate::runs::{HISTORY, ran};
use crate::support::{Setup, StandIn, alice};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;

fn clients(path: &Path) -> i64 {
    let app = Connection::open(path).unwrap();
    app.query_row("SELECT count(*) FROM clients", [], |row| row.get(0))
        .unwrap()
}

fn ended(house: &House) -> Value {
    serde_json::from_slice(&std::fs::read(house.at("state/sessions.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_there_is_refused_and_with_force_replaced_and_kept() {
    let house = House::new();
    let (coolbits, legacy) = tokio::join!(StandIn::start("coolbits"), StandIn::start("legacy"));
    let setup = || Setup::default().set("SIDECAR_STATE_DIR", house.at("state").display());
    let mut sidecar = setup().start(&coolbits, &legacy).await;
    let run = ran(&sidecar).await;
    let run_id = run["run_id"].as_str().unwrap();
    sidecar.revoke(json!({"user": 5})).await;
    let archive = house.backup().await.display().to_string();
    // After the backup: a run, a client, somebody who was ended.
    let later = ran(&sidecar).await;
    sidecar.revoke(json!({"user": 7})).await;
    sidecar
        .revoke(json!({"token_sha256": "ab".repeat(32)}))
        .await;
    let app = Connection::open(house.at("app.db")).unwrap();
    app.execute("INSERT INTO clients VALUES (12, 'twelve')", [])
        .unwrap();

    let (state, app_db) = (house.text("state"), house.text("app.db"));
    let plain = [
        "restore",
        "--archive",
        &archive,
        "--state-dir",
        &state,
        "--app-db",
        &app_db,
    ];
    let force = [&plain[..], &["--force"]].concat();
    let process = sidecar.child.id().unwrap();
    let before = everything(house.0.path());
    let said = house.says(&force).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let words = format!("a sidecar runs on {state} (process {process}): stop it first");
    assert!(said.err.contains(&words), "{said:?}");
    assert_eq!(everything(house.0.path()).len(), before.len());

    // Killed: what it left behind names a process that is gone.
    sidecar.child.kill().await.unwrap();
    assert!(house.at("state/sidecar.pid").exists());
    let before = everything(house.0.path());
    let said = house.says(&plain).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    for name in ["runs.db", "owners.db", "sessions.json"] {
        assert!(said.err.contains(&format!("{state}/{name}")), "{said:?}");
    }
    assert!(said.err.contains(&app_db) && said.err.contains("app.db-wal"));
    assert!(said.err.contains("--force"), "{said:?}");
    assert!(everything(house.0.path()) == before, "it changed something");

    let old = ended(&house);
    let said = house.says(&force).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    drop(app);
    assert_eq!(clients(&house.at("app.db")), 2);
    assert!(said.out.contains("what was there is in"), "{said:?}");
    let kept = |folder: &str| {
        let names = house.names(folder);
        let name = names.iter().find(|name| name.starts_with("replaced-"));
        house.at(folder).join(name.unwrap())
    };
    assert_eq!(
        clients(&kept(".").join("app.db")),
        3,
        "it is kept, log and all"
    );
    assert!(kept("state").join("runs.db").exists());
    // What was ended before and after is; seals of then are not good any more.
    let new = ended(&house);
    assert_eq!(new["users"], old["users"], "{new}");
    assert_eq!(new["users"].as_object().unwrap().len(), 2);
    assert_eq!(new["tokens"], old["tokens"]);
    assert_eq!(new["all"], json!({"number": 1, "at": 0}), "{old}");
    assert_eq!(
        std::fs::read(house.at("state/restored-sidecar.toml")).unwrap(),
        std::fs::read(house.at("sidecar.toml")).unwrap()
    );

    let sidecar = setup().start(&coolbits, &legacy).await;
    let listed = house.says(&["runs", "list"]).await.out;
    assert!(listed.contains(run_id), "{listed}");
    assert!(
        !listed.contains(later["run_id"].as_str().unwrap()),
        "{listed}"
    );
    let whole = format!("GET {HISTORY}/{}", run["execution_id"]);
    let got = sidecar.route(&alice(), "10", &whole, "").await.json();
    assert_eq!(got["run_id"], run_id);
    let left = house.names("state").into_iter().chain(house.names("."));
    let left: Vec<String> = left.filter(|name| name.starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn on_an_empty_machine_everybody_signs_in_again() {
    let house = House::new();
    std::fs::write(
        house.at("state/sessions.json"),
        "{\"all\": {\"number\": 3, \"at\": 5}}",
    )
    .unwrap();
    let archive = house.backup().await.display().to_string();
    let (state, app_db) = (house.text("new/state"), house.text("new.db"));
    let args = ["restore", "--archive", &archive, "--state-dir", &state];
    let began = crate::support::now();
    let said = house
        .says(&[&args[..], &["--app-db", &app_db]].concat())
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("everybody signs in again"), "{said:?}");
    assert_eq!(clients(&house.at("new.db")), 2);
    assert_eq!(
        house.names("new/state"),
        ["restored-sidecar.toml", "sessions.json", "sidecar.lock"]
    );
    let text = std::fs::read(house.at("new/state/sessions.json")).unwrap();
    let ended: Value = serde_json::from_slice(&text).unwrap();
    // Tokens from before are refused: whose were ended since the backup is not known.
    let at = ended["all"]["at"].as_u64().unwrap();
    assert!((began..=crate::support::now()).contains(&at));
    assert!(ended["all"]["number"].as_u64().unwrap() >= at);

    // Without a place for it, the app's database is left alone, and that is said.
    let state = house.text("newer");
    let args = ["restore", "--archive", &archive, "--state-dir", &state];
    let said = house.says(&args).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("the app's database was not restored"),
        "{said:?}"
    );
}

#[tokio::test]
async fn an_archive_without_the_apps_database_cannot_restore_it() {
    let house = House::new();
    let said = house.says(&["backup", "--no-app-db"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let archive = house.text(&format!("backups/{}", house.names("backups")[0]));
    let (state, app_db) = (house.text("new"), house.text("app.db"));
    let args = ["restore", "--archive", &archive, "--state-dir", &state];
    let before = everything(house.0.path());
    let said = house
        .says(&[&args[..], &["--app-db", &app_db, "--force"]].concat())
        .await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("the archive has no app database"),
        "{said:?}"
    );
    assert!(everything(house.0.path()) == before);
}

#[tokio::test]
async fn what_an_earlier_restore_kept_is_not_written_over() {
    let house = House::new();
    let archive = house.backup().await.display().to_string();
    let (state, app_db) = (house.text("state"), house.text("app.db"));
    for rows in 3..6 {
        let app = Connection::open(house.at("app.db")).unwrap();
        for row in 3..=rows {
            app.execute("INSERT INTO clients VALUES (?1, 'later')", [row])
                .unwrap();
        }
        drop(app);
        let args = ["--archive", &archive, "--state-dir", &state];
        let place = ["--app-db", &app_db, "--force"];
        let said = house
            .says(&[&["restore"], &args[..], &place].concat())
            .await;
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(clients(&house.at("app.db")), 2);
    }
    let names = house.names(".").into_iter();
    let kept = names.filter(|name| name.starts_with("replaced-"));
    let mut rows: Vec<i64> = kept
        .map(|name| clients(&house.at(&name).join("app.db")))
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, [3, 4, 5]);
}

#[tokio::test]
async fn a_state_directory_that_was_begun_anew_knows_nothing_of_what_was_ended() {
    let house = House::new();
    let file = Connection::open(house.at("state/runs.db")).unwrap();
    file.execute_batch("CREATE TABLE runs (id)").unwrap();
    drop(file);
    let archive = house.backup().await;
    let state = house.text("state");
    let restore = async || {
        let text = archive.display().to_string();
        let args = ["restore", "--archive", &text, "--state-dir", &state];
        house.says(&[&args[..], &["--force"]].concat()).await
    };
    // Its ledger was there at the backup: nobody has been ended.
    let said = restore().await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.out.contains("everybody signs in"), "{said:?}");
    assert_eq!(ended(&house)["all"], json!({"number": 1, "at": 0}));
    // A ledger that is younger than the backup is another directory's.
    let mut members = archives::read(&archive);
    tell(&mut members, |told| {
        told["created_at"] = json!("2020-01-01T00:00:00Z");
    });
    std::fs::write(&archive, zipped(&tarred(&members))).unwrap();
    std::fs::remove_file(house.at("state/sessions.json")).unwrap();
    let said = restore().await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("everybody signs in"), "{said:?}");
    assert!(ended(&house)["all"]["at"].as_u64().unwrap() > 0);
}
