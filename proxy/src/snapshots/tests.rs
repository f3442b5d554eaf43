use super::*;
use camarad_config::{Inputs, load};
use std::sync::Arc;
use std::time::Duration;

fn config(file: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sidecar.toml");
    std::fs::write(&path, file).unwrap();
    let environment = [
        ("SIDECAR_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("SIDECAR_JWT_USER_CLAIM", "uid"),
    ];
    let environment = environment.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let inputs = Inputs {
        file: Some(path),
        environment: environment.into(),
    };
    let mut config = load(&inputs).unwrap();
    // The same path for each, as in life.
    if let Some((path, _)) = &mut config.source.file {
        *path = PathBuf::from("sidecar.toml");
    }
    config
}

fn workspace(name: &str) -> Config {
    config(&format!(
        "[gateway]\nworkspace = \"{name}\"\n[snapshots]\nkeep = 4\n"
    ))
}

fn by(reason_is_same: bool) -> Applied<'static> {
    Applied {
        order: None,
        is_same: reason_is_same,
        changed: Vec::new(),
    }
}

#[test]
fn each_application_is_a_line_and_each_content_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Snapshots::of(dir.path());
    assert!(matches!(kept.entries(), Err(SnapshotsError::Empty(_))));
    let (a, b) = (workspace("a"), workspace("b"));
    let first = kept.applied(&a, "start", by(false)).unwrap();
    let second = kept.applied(&b, "SIGHUP", by(false)).unwrap();
    let third = kept.applied(&a, "SIGHUP", by(false)).unwrap();
    assert_eq!(first.id, third.id);
    assert_ne!(first.id, second.id);
    // Read again, and nothing new.
    assert_eq!(kept.applied(&a, "SIGHUP", by(true)).unwrap(), third);
    assert_eq!(
        kept.entries().unwrap(),
        [first.clone(), second.clone(), third]
    );
    assert_eq!(kept.find("previous").unwrap().id, second.id);
    assert_eq!(kept.find("latest").unwrap().id, first.id);
    assert_eq!(kept.find(&first.id[..6]).unwrap().id, first.id);
    for name in ["", "abc", "zzzz", "../.."] {
        assert!(
            matches!(kept.find(name), Err(SnapshotsError::Unknown(_))),
            "{name}"
        );
    }
    let snapshot = kept.read(&second.id).unwrap();
    assert_eq!(snapshot.settings["gateway.workspace"], "b");
    let object = dir
        .path()
        .join(format!("snapshots/objects/{}.json", second.id));
    let text = std::fs::read_to_string(&object).unwrap();
    std::fs::write(&object, text.replace("\"b\"", "\"c\"")).unwrap();
    assert!(matches!(
        kept.read(&second.id),
        Err(SnapshotsError::Changed(_))
    ));
}

#[test]
fn the_oldest_go_and_take_what_nobody_names_any_more_along() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Snapshots::of(dir.path());
    let names = ["a", "b", "c", "a", "d", "e"];
    let all: Vec<Entry> = names
        .map(|name| kept.applied(&workspace(name), "start", by(false)).unwrap())
        .into();
    assert_eq!(kept.entries().unwrap(), all[2..]);
    let objects = std::fs::read_dir(dir.path().join("snapshots/objects")).unwrap();
    assert_eq!(objects.count(), 4);
    assert!(kept.read(&all[0].id).is_ok());
    assert!(matches!(
        kept.read(&all[1].id),
        Err(SnapshotsError::File(..))
    ));
}

#[test]
fn going_back_is_known_as_long_as_it_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Snapshots::of(dir.path());
    let (a, b) = (workspace("a"), workspace("b"));
    let first = kept.applied(&a, "start", by(false)).unwrap();
    kept.applied(&b, "SIGHUP", by(false)).unwrap();
    let order = Order {
        to: first.id.clone(),
        nonce: "n".into(),
    };
    kept.order(&order).unwrap();
    assert_eq!(kept.take_order(), Some(order.clone()));
    assert_eq!(kept.take_order(), None);
    let ordered = |config: &Config| {
        let how = Applied {
            order: Some(&order),
            is_same: false,
            changed: vec!["gateway.workspace".into()],
        };
        kept.applied(config, "SIGHUP", how).unwrap()
    };
    let back = ordered(&a);
    assert!(back.rolled_back);
    assert_eq!(back.reason, format!("rollback to {}", short(&first.id)));
    // A restart on it is still one; another file is not, and neither is a false order.
    assert!(kept.applied(&a, "start", by(false)).unwrap().rolled_back);
    assert!(!kept.applied(&b, "SIGHUP", by(false)).unwrap().rolled_back);
    assert!(!ordered(&b).rolled_back);
}

#[test]
fn a_line_that_was_cut_off_and_one_that_names_a_path_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let kept = Snapshots::of(dir.path());
    let entry = kept.applied(&workspace("a"), "start", by(false)).unwrap();
    let index = dir.path().join("snapshots/index.jsonl");
    let mut text = std::fs::read_to_string(&index).unwrap();
    text += &text.replace(&entry.id, "../../../etc/passwd");
    text += "{\"id\": \"abc";
    std::fs::write(&index, text).unwrap();
    assert_eq!(kept.entries().unwrap(), [entry]);
}

#[test]
fn a_file_that_hangs_holds_nothing_up_and_is_left_out() {
    let (let_go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let read = move |path: &Path| {
        if path.starts_with("/hangs") {
            gate.lock().unwrap().recv().map_err(io::Error::other)?;
        }
        Ok(format!("listen 80; # {}", path.display()))
    };
    let (each, all) = (Duration::from_millis(20), Duration::from_secs(60));
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Snapshots::of(dir.path());
    kept.files = Files::read_by(Arc::new(read), each, all);
    let include = |rest: &str| {
        config(&format!(
            "[snapshots]\ninclude = [\"/hangs/a.conf\", \"/good.conf\"]\n{rest}"
        ))
    };
    for why in ["start", "SIGHUP"] {
        let entry = kept.applied(&include(""), why, by(false)).unwrap();
        let included = kept.read(&entry.id).unwrap().included;
        let paths: Vec<&str> = included.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["/good.conf"], "{why}");
    }
    // What a file of secrets says is not known, so no other is kept.
    let mut silent = include("");
    silent.settings.admin.token_file = "/hangs/token".into();
    assert!(kept.taken(&silent).included.is_empty());
    drop(let_go);
}
