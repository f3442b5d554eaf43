use super::*;
use camarad_policies::ids::{ClientId, UserId};
use camarad_policies::run::{Source, Status};
use serde_json::json;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const RETENTION: Retention = Retention {
    runs_per_client: 3,
    user_bytes: 1 << 20,
    age_ms: 90 * DAY_MS,
    bytes: 64 << 20,
};

fn user(id: u64) -> UserId {
    UserId::parse(&id.to_string()).unwrap()
}

fn client(id: u64) -> ClientId {
    ClientId::parse(&id.to_string()).unwrap()
}

fn open(dir: &Path) -> Ledger {
    Ledger::open(dir, RETENTION, 0).unwrap().0
}

fn run(id: &str, of: u64, at: i64) -> NewRun {
    NewRun {
        run_id: id.to_owned(),
        user: user(1),
        client: client(of),
        flow_id: Some(2),
        flow_name: "Morning".to_owned(),
        flow: json!({"nodes": [{"id": "a", "y": 1.5}]}),
        request_hash: "hash".to_owned(),
        findings: json!([{"code": "no_trigger"}]),
        replay_of: None,
        started_ms: at,
        handles: [(format!("handle of {id}"), "G-1".to_owned())].into(),
        once: None,
    }
}

fn done(execution_id: u64) -> Completion {
    Completion {
        status: Status::Warning,
        execution_id: Some(execution_id),
        trace_execution_id: Some("t-1".to_owned()),
        sources: vec![Source {
            node_id: "a".to_owned(),
            connector: "ga4".to_owned(),
            source: "mock".to_owned(),
            account: Some("G-1".to_owned()),
            gateway: Some(json!({"enabled": true})),
        }],
        answer: Some(r#"{"success": true}"#.to_owned()),
        answered: Some((200, "told".to_owned())),
        finished_ms: 5_000,
    }
}

async fn written(ledger: &Ledger, run: NewRun) {
    assert_eq!(ledger.begin(run, None).await.unwrap(), Begun::Written);
}

const ALL: Filter = Filter {
    client: None,
    user: None,
    status: None,
    since_ms: i64::MIN,
    most: 100,
};

fn stored(dir: &Path) -> Vec<(String, Status)> {
    let runs = Reader::open(dir).unwrap().list(ALL).unwrap();
    runs.into_iter()
        .map(|run| (run.run_id, run.status))
        .collect()
}

#[tokio::test]
async fn what_was_written_is_read_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    written(&ledger, run("r1", 10, 1_700_000_000_123)).await;
    ledger.complete("r1".to_owned(), done(7)).await.unwrap();
    let found = ledger.find(user(1), client(10), 7).await.unwrap().unwrap();
    assert_eq!(found.started_at, "2023-11-14T22:13:20.123Z");
    assert_eq!(
        found.finished_at.as_deref(),
        Some("1970-01-01T00:00:05.000Z")
    );
    assert_eq!(found.flow, json!({"nodes": [{"id": "a", "y": 1.5}]}));
    assert_eq!(found.findings, json!([{"code": "no_trigger"}]));
    assert_eq!(found.answer, Some(json!({"success": true})));
    assert_eq!((found.status, found.flow_id), (Status::Warning, Some(2)));
    assert_eq!(found.sources, done(7).sources);
    assert_eq!(
        Reader::open(dir.path()).unwrap().find("r1").unwrap(),
        Some(found)
    );
}

#[tokio::test]
async fn a_run_is_found_by_its_own_user_and_client_alone_and_the_latest_of_an_id() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    for (id, at) in [("old", 1), ("new", 2)] {
        written(&ledger, run(id, 10, at)).await;
        ledger.complete(id.to_owned(), done(7)).await.unwrap();
    }
    let find = |of, within, id| {
        let ledger = ledger.clone();
        async move {
            let found = ledger.find(user(of), client(within), id).await.unwrap();
            found.map(|run| run.run_id)
        }
    };
    assert_eq!(find(1, 10, 7).await.as_deref(), Some("new"));
    assert_eq!(find(2, 10, 7).await, None);
    assert_eq!(find(1, 11, 7).await, None);
    assert_eq!(find(1, 10, 8).await, None);
    let all = ledger.find_all(user(1), vec![(10, 7), (11, 7), (10, 9)]);
    let all = all.await.unwrap();
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), [(10, 7)]);
    // The app gives the id out again once the client is gone.
    ledger.forget(user(1), Some(client(11))).await.unwrap();
    assert_eq!(find(1, 10, 7).await.as_deref(), Some("new"));
    ledger.forget(user(1), Some(client(10))).await.unwrap();
    assert_eq!(find(1, 10, 7).await, None);
}

#[tokio::test]
async fn what_ran_when_the_process_ended_is_interrupted_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    written(&ledger, run("ended", 10, 1)).await;
    ledger.complete("ended".to_owned(), done(1)).await.unwrap();
    written(&ledger, run("lost", 10, 2)).await;
    let blocked = Some((400, "told".to_owned()));
    ledger.begin(run("blocked", 10, 3), blocked).await.unwrap();
    drop(ledger);
    // Operators look first: that changes nothing.
    assert_eq!(stored(dir.path())[1], ("lost".to_owned(), Status::Running));
    let (_ledger, interrupted) = Ledger::open(dir.path(), RETENTION, 9_000).unwrap();
    assert_eq!(interrupted, 1);
    let expected = [
        ("blocked", Status::Blocked),
        ("lost", Status::Interrupted),
        ("ended", Status::Warning),
    ];
    assert_eq!(
        stored(dir.path()),
        expected.map(|(id, status)| (id.to_owned(), status))
    );
    let lost = Reader::open(dir.path())
        .unwrap()
        .find("lost")
        .unwrap()
        .unwrap();
    assert_eq!(
        lost.finished_at.as_deref(),
        Some("1970-01-01T00:00:09.000Z")
    );
}

#[tokio::test]
async fn room_is_made_by_age_and_within_the_client_and_never_of_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let now = 1000 * DAY_MS;
    written(&ledger, run("still running", 10, now - 30 * 60 * 1000)).await;
    for (id, of, at) in [
        ("too old", 11, now - 91 * DAY_MS),
        ("of another client", 11, now - 89 * DAY_MS),
        ("a", 10, now - 3),
        ("b", 10, now - 2),
        ("c", 10, now - 1),
    ] {
        written(&ledger, run(id, of, at)).await;
        ledger.complete(id.to_owned(), done(1)).await.unwrap();
    }
    written(&ledger, run("d", 10, now)).await;
    let kept: Vec<String> = stored(dir.path()).into_iter().map(|(id, _)| id).collect();
    assert_eq!(kept, ["d", "c", "b", "still running", "of another client"]);
}

#[tokio::test]
async fn a_key_is_not_pushed_out_within_its_day() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let first = NewRun {
        once: Some([7; 32]),
        ..run("keyed", 10, 1)
    };
    written(&ledger, first).await;
    ledger.complete("keyed".to_owned(), done(1)).await.unwrap();
    let later = async |id: &str, at| {
        written(&ledger, run(id, 10, at)).await;
        ledger.complete(id.to_owned(), done(2)).await.unwrap();
    };
    for (id, at) in [("a", 2), ("b", 3), ("c", 4), ("d", 5)] {
        later(id, at).await;
    }
    let kept = || {
        stored(dir.path())
            .into_iter()
            .map(|(id, _)| id)
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(), ["d", "c", "b", "keyed"]);
    later("e", DAY_MS + 5).await;
    assert_eq!(kept(), ["e", "d", "c"]);
}

#[tokio::test]
async fn whoever_fills_the_ledger_pushes_out_their_own_runs_alone() {
    let dir = tempfile::tempdir().unwrap();
    let small = Retention {
        bytes: 1 << 20,
        user_bytes: 400 << 10,
        runs_per_client: 100,
        ..RETENTION
    };
    let (ledger, _) = Ledger::open(dir.path(), small, 0).unwrap();
    let large = |id: String, of: u64, at| NewRun {
        user: user(of),
        flow: json!("x".repeat(100 << 10)),
        ..run(&id, at as u64 + 1, at)
    };
    let make = async |id: String, of, at| {
        written(&ledger, large(id.clone(), of, at)).await;
        ledger.complete(id, done(1)).await.unwrap();
    };
    make("modest".to_owned(), 9, 0).await;
    // One user, a client for each run: they share what a user may hold.
    for n in 0..20 {
        make(format!("a{n:02}"), 1, n).await;
    }
    let of = |prefix: &str| {
        let runs = stored(dir.path()).into_iter().map(|(id, _)| id);
        runs.filter(|id| id.starts_with(prefix)).collect::<Vec<_>>()
    };
    assert_eq!(of("a"), ["a19", "a18", "a17", "a16"]);
    // Many users fill the file: room is made of those who hold most.
    for n in 0..4 {
        for other in 2..6 {
            make(format!("u{other}-{n}"), other, 100 + n).await;
        }
    }
    assert_eq!(of("modest"), ["modest"]);
    assert_eq!(of("u5-3"), ["u5-3"], "the newest is written");
    let size = std::fs::metadata(dir.path().join(FILE)).unwrap().len();
    assert!(size <= 1 << 20, "{size}");
}

#[tokio::test]
async fn the_same_key_is_one_run_for_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let digest = [7; 32];
    let keyed = |id: &str, at| NewRun {
        once: Some(digest),
        ..run(id, 10, at)
    };
    let past = |hash: &'static str, now| {
        let ledger = ledger.clone();
        async move {
            let once = Once {
                digest,
                request_hash: hash,
            };
            ledger.past(once, now).await.unwrap()
        }
    };
    assert_eq!(past("hash", 0).await, Past::Go);
    written(&ledger, keyed("first", 0)).await;
    assert_eq!(past("hash", 1).await, Past::InProgress);
    let second = ledger.begin(keyed("second", 1), None).await.unwrap();
    assert_eq!(second, Begun::Past(Past::InProgress));
    ledger.complete("first".to_owned(), done(7)).await.unwrap();
    assert_eq!(
        past("hash", DAY_MS - 1).await,
        Past::Again(200, "told".to_owned())
    );
    assert_eq!(past("other", 2).await, Past::OtherBody);
    assert_eq!(past("other", DAY_MS + 1000).await, Past::Go);
    written(&ledger, keyed("a day later", DAY_MS + 1000)).await;
    assert_eq!(past("hash", DAY_MS + 1000).await, Past::InProgress);
    // What became of it is not known after this.
    let unanswered = Completion {
        answered: None,
        ..done(8)
    };
    ledger
        .complete("a day later".to_owned(), unanswered)
        .await
        .unwrap();
    assert_eq!(past("hash", DAY_MS + 2000).await, Past::Lost);
}

#[tokio::test]
async fn delivered_metrics_are_known_after_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let seen = Delivered::from([("ga4".to_owned(), ["sessions".to_owned()].into())]);
    ledger.learn(seen.clone()).await.unwrap();
    ledger.learn(seen.clone()).await.unwrap();
    assert_eq!(ledger.delivered(), seen);
    drop(ledger);
    assert_eq!(open(dir.path()).delivered(), seen);
}

#[tokio::test]
async fn a_disk_that_is_read_only_or_full_is_an_error_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    written(&ledger, run("before", 10, 1)).await;
    ledger.make_read_only().await.unwrap();
    assert!(ledger.begin(run("after", 10, 2), None).await.is_err());
    drop(ledger);
    let small = Retention {
        bytes: 256 << 10,
        ..RETENTION
    };
    let (ledger, _) = Ledger::open(dir.path(), small, 3).unwrap();
    let large = NewRun {
        flow: json!("x".repeat(300 << 10)),
        ..run("too large", 10, 4)
    };
    let full = ledger.begin(large, None).await.unwrap_err();
    assert!(full.to_string().contains("full"), "{full}");
    written(&ledger, run("small", 10, 5)).await;
    let kept: Vec<String> = stored(dir.path()).into_iter().map(|(id, _)| id).collect();
    assert_eq!(kept, ["small", "before"]);
}

#[tokio::test]
async fn a_file_of_another_kind_or_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    std::fs::write(&path, vec![b'x'; 5000]).unwrap();
    assert!(Ledger::open(dir.path(), RETENTION, 0).is_err());
    assert_eq!(std::fs::read(&path).unwrap().len(), 5000);
    std::fs::remove_file(&path).unwrap();
    let file = Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    let Err(newer) = Ledger::open(dir.path(), RETENTION, 0) else {
        panic!("it opened a newer file");
    };
    assert!(
        newer.to_string().contains("newer version (layout 99)"),
        "{newer}"
    );
    let Err(newer) = Reader::open(dir.path()) else {
        panic!("it read a newer file");
    };
    assert!(matches!(newer, LedgerError::Newer(99)), "{newer}");
}

#[tokio::test]
async fn a_run_whose_end_was_never_written_is_interrupted_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let hour = 60 * 60 * 1000;
    written(&ledger, run("lost", 10, 0)).await;
    written(&ledger, run("recent", 11, hour - 1)).await;
    written(&ledger, run("next", 12, hour + 1)).await;
    let expected = [
        ("next", Status::Running),
        ("recent", Status::Running),
        ("lost", Status::Interrupted),
    ];
    let expected = expected.map(|(id, status)| (id.to_owned(), status));
    assert_eq!(stored(dir.path()), expected);
}
