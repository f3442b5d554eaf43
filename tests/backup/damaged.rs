//! Archives with which something is wrong: each has its own words, and nothing is changed.

use super::archives::{self, Member, member, replace, tarred, tell, zipped};
use super::{House, everything};
use rusqlite::Connection;
use serde_json::json;
use tar::EntryType;

/// Bytes of an archive, and what is to be said of them.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    words: &'static str,
}

/// A SQLite file with a row less than `bytes` has.
fn poorer(house: &House, bytes: &[u8]) -> Vec<u8> {
    let path = house.at("poorer.db");
    std::fs::write(&path, bytes).unwrap();
    let file = Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA journal_mode = DELETE; DELETE FROM clients WHERE id = 11")
        .unwrap();
    file.close().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    bytes
}

fn cases(house: &House, good: &[Member], packed: &[u8]) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name, words, bytes: Vec<u8>| cases.push(Case { name, bytes, words });
    let changed = |change: &dyn Fn(&mut Vec<Member>)| {
        let mut members = good.to_vec();
        change(&mut members);
        zipped(&tarred(&members))
    };
    case("empty", "it is not an archive", Vec::new());
    case("text", "it is not an archive", b"hello".to_vec());
    case("zipped text", "it is not an archive", zipped(&[b'x'; 2000]));
    case("tar alone", "it is not an archive", tarred(good));
    let half = packed[..packed.len() / 2].to_vec();
    case("half of it", "it is cut off: it ends in the middle", half);
    let most = packed[..packed.len() - 4].to_vec();
    case("without its end", "it is cut off", most);
    case(
        "another content",
        "it is damaged: app/app.db: its SHA-256",
        changed(&|all| member(all, "app/app.db").content[5000] ^= 1),
    );
    case(
        "another length",
        "it is damaged: state/sessions.json: 5 bytes; the manifest says",
        changed(&|all| member(all, "state/sessions.json").content = b"12345".to_vec()),
    );
    case(
        "a bomb",
        "it is damaged: state/sessions.json: 50000000 bytes; the manifest says",
        changed(&|all| member(all, "state/sessions.json").content = vec![0; 50_000_000]),
    );
    case(
        "more than there is room for",
        "no room: it needs",
        changed(&|all| tell(all, |told| told["members"][0]["size"] = json!(1u64 << 60))),
    );
    case(
        "a member less",
        "a member is missing: state/sessions.json",
        changed(&|all| all.retain(|one| one.path != "state/sessions.json")),
    );
    case(
        "a member more",
        "there is too much in it: \"state/audit.jsonl\"",
        changed(&|all| all.push(Member::file("state/audit.jsonl", b"{}"))),
    );
    case(
        "a member twice",
        "there is too much in it: \"state/sessions.json\"",
        changed(&|all| {
            let again = member(all, "state/sessions.json").clone();
            all.push(again);
        }),
    );
    for (name, path) in [
        ("a step up", "state/../../escaped"),
        ("an absolute path", "/tmp/camarad-escaped"),
    ] {
        case(
            name,
            "leads out of its directory",
            changed(&|all| all.push(Member::file(path, b"x"))),
        );
        case(
            name,
            "leads out of its directory",
            changed(&|all| {
                all.push(Member::file(path, b"x"));
                let entry = json!({"path": path, "size": 1, "sha256": archives::hash(b"x")});
                tell(all, |told| {
                    told["members"].as_array_mut().unwrap().push(entry)
                });
            }),
        );
    }
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Fifo,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::GNUSparse,
    ] {
        case(
            "no plain file",
            "is not a plain file",
            changed(&|all| {
                let mut odd = Member::file("state/snapshots/odd", b"");
                odd.kind = kind;
                all.insert(1, odd);
            }),
        );
    }
    case(
        "another format",
        "it is not an archive of camarad-sidecar: its format is \"other\"",
        changed(&|all| tell(all, |told| told["format"] = json!("other"))),
    );
    case(
        "no manifest",
        "it is not an archive of camarad-sidecar: its first member",
        changed(&|all| drop(all.remove(0))),
    );
    case(
        "a newer version",
        "it was written by a newer version (format 7",
        changed(&|all| tell(all, |told| told["version"] = json!(7))),
    );
    case(
        "text for a database",
        "app/app.db is not a SQLite file",
        changed(&|all| replace(all, "app/app.db", b"not SQLite at all")),
    );
    case(
        "a damaged database",
        "damaged",
        changed(&|all| {
            let mut bytes = member(all, "app/app.db").content.clone();
            bytes[4096..].fill(0x5a);
            replace(all, "app/app.db", &bytes);
        }),
    );
    case(
        "a row less",
        "clients: 1 rows, 2 when it was taken",
        changed(&|all| {
            let bytes = poorer(house, &member(all, "app/app.db").content);
            replace(all, "app/app.db", &bytes);
        }),
    );
    case(
        "another schema",
        "differs from when it was taken",
        changed(&|all| {
            tell(all, |told| {
                told["members"][0]["database"]["schema_sha256"] = json!("00")
            })
        }),
    );
    cases
}

#[tokio::test]
async fn each_has_its_own_words_and_changes_nothing() {
    let house = House::new();
    std::fs::write(house.at("state/sessions.json"), "{}").unwrap();
    std::fs::write(
        house.at("state/restore-drill.json"),
        "{\"succeeded_at\": 7}",
    )
    .unwrap();
    let archive = house.backup().await;
    let (good, packed) = (archives::read(&archive), std::fs::read(&archive).unwrap());
    std::fs::remove_file(archive).unwrap();
    let bad = house.text("bad.tar.gz");
    for Case { name, bytes, words } in cases(&house, &good, &packed) {
        std::fs::write(&bad, bytes).unwrap();
        let before = everything(house.0.path());
        let drilled = house.says(&["restore-drill", "--archive", &bad]).await;
        assert_eq!(drilled.code, Some(1), "{name}: {drilled:?}");
        assert!(drilled.out.contains(words), "{name}: {drilled:?}");
        assert!(drilled.out.contains("FAIL"), "{name}: {drilled:?}");
        let (state, app) = (house.text("state"), house.text("app.db"));
        let place = ["--state-dir", &state, "--app-db", &app, "--force"];
        let args = [&["restore", "--archive", &bad][..], &place].concat();
        let restored = house.says(&args).await;
        assert_eq!(restored.code, Some(1), "{name}: {restored:?}");
        assert!(restored.err.contains(words), "{name}: {restored:?}");
        assert!(everything(house.0.path()) == before, "{name}: it changed");
        assert!(house.names("tmp").is_empty(), "{name}");
        let left = house.names("state").into_iter();
        let left: Vec<String> = left.filter(|name| name.starts_with('.')).collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
    assert!(!std::path::Path::new("/tmp/camarad-escaped").exists());
    // The same, put together by us without a change, is good.
    std::fs::write(&bad, zipped(&tarred(&good))).unwrap();
    let drilled = house.says(&["restore-drill", "--archive", &bad]).await;
    assert_eq!(drilled.code, Some(0), "{drilled:?}");
}
