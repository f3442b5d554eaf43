//! Configurations that were applied, and the way back to them, by the command line beside a
//! sidecar that serves.

mod kept_along;

use crate::support::{SECRET, Setup, Sidecar, StandIn, alice, command, eventually};
use serde_json::json;
use std::path::Path;

/// A secret that stands in the file itself.
const INLINE: &str = "the inline secret of an issuer, 32 bytes and more";

fn file(rest: &str) -> String {
    format!(
        "# ours\n[[issuers]]\nname = \"app\"\nsecret = \"{INLINE}\" # {INLINE}\nuser_claim = \"uid\"\n\
         [[issuers]]\nname = \"tests\"\nsecret = \"{SECRET}\"\nuser_claim = \"uid\"\n{rest}"
    )
}

async fn started(rest: &str) -> (Sidecar, StandIn, StandIn) {
    Sidecar::with_stand_ins(Setup::default().file(&file(rest))).await
}

struct Said {
    code: i32,
    out: String,
    err: String,
}

/// `camarad-sidecar config …`, in the environment of an operator's shell.
async fn config(sidecar: &Sidecar, args: &[&str]) -> Said {
    let output = command()
        .arg("config")
        .args(args)
        .env("SIDECAR_CONFIG", sidecar.config_file())
        .env("SIDECAR_STATE_DIR", sidecar.state_dir())
        .env("SIDECAR_ADMIN_TOKEN", Sidecar::ADMIN_TOKEN)
        .output()
        .await
        .unwrap();
    let said = Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    for secret in [INLINE, SECRET, Sidecar::ADMIN_TOKEN] {
        assert!(!said.out.contains(secret), "{args:?}: {}", said.out);
        assert!(!said.err.contains(secret), "{args:?}: {}", said.err);
    }
    said
}

async fn done(sidecar: &Sidecar, args: &[&str]) -> String {
    let said = config(sidecar, args).await;
    assert_eq!(said.code, 0, "{args:?}: {}", said.err);
    said.out
}

fn write(sidecar: &Sidecar, rest: &str) {
    std::fs::write(sidecar.config_file(), file(rest)).unwrap();
}

fn present(sidecar: &Sidecar) -> String {
    std::fs::read_to_string(sidecar.config_file()).unwrap()
}

async fn reload(sidecar: &Sidecar) {
    let got = sidecar.control("/config/reload", json!({})).await;
    assert_eq!(got.status, 200, "{got:?}");
}

/// Which of the two is left to the mock, as callers see it.
async fn mocked(sidecar: &Sidecar) -> &'static str {
    let token = alice();
    let mut found = Vec::new();
    for name in ["campaigns", "keywords"] {
        let got = sidecar.ads(&token, "10", name).await.json();
        if got["gateway"]["reason"] == "mock_only" {
            found.push(name);
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found[0]
}

const FIRST: &str = "[gateway]\nmock_only = [\"google-ads.campaigns\"]\n";
const SECOND: &str = "[gateway]\nmock_only = [\"google-ads.keywords\"]\n";

#[tokio::test]
async fn a_rollback_is_applied_and_shows_as_long_as_it_lasts() {
    let (sidecar, _coolbits, _legacy) = started(FIRST).await;
    write(&sidecar, SECOND);
    reload(&sidecar).await;
    assert_eq!(mocked(&sidecar).await, "keywords");
    let list = done(&sidecar, &["list"]).await;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    assert!(
        lines[0].contains("in force")
            && lines[0].contains("POST /config/reload  gateway.mock_only"),
        "{list}"
    );
    assert!(lines[1].ends_with("start"), "{list}");
    let diff = done(&sidecar, &["diff", "previous", "latest"]).await;
    assert!(
        diff.contains("gateway.mock_only: [\"google-ads.campaigns\"] -> [\"google-ads.keywords\"]"),
        "{diff}"
    );
    assert_eq!(sidecar.metric("sidecar_config_rolled_back").await, 0.0);

    let said = done(&sidecar, &["rollback", "previous"]).await;
    let id = lines[1].split(' ').next().unwrap();
    let words = format!("{id} is in force again, as generation 3, after ");
    assert!(said.starts_with(&words), "{said}");
    // With its secrets, though they were kept nowhere.
    let expected = file(FIRST).replace(&format!("# {INLINE}"), "# ***");
    assert_eq!(present(&sidecar), expected);
    assert_eq!(mocked(&sidecar).await, "campaigns");
    assert_eq!(sidecar.metric("sidecar_config_rolled_back").await, 1.0);
    sidecar
        .says("a configuration from before is in force")
        .await;
    let list = done(&sidecar, &["list"]).await;
    let first = list.lines().next().unwrap();
    assert!(
        first.contains("in force, rolled back") && first.contains(&format!("rollback to {id}")),
        "{list}"
    );
    no_secret_in(&sidecar.state_dir().join("snapshots"));
    private(&sidecar.state_dir().join("snapshots"));
    // Read again it is still the same one, and another one ends it.
    reload(&sidecar).await;
    assert_eq!(sidecar.metric("sidecar_config_rolled_back").await, 1.0);
    write(&sidecar, SECOND);
    reload(&sidecar).await;
    assert_eq!(sidecar.metric("sidecar_config_rolled_back").await, 0.0);
}

/// Nobody else may read what is kept.
fn private(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for found in std::fs::read_dir(dir).unwrap() {
        let path = found.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
        if path.is_dir() {
            private(&path);
        }
    }
}

fn no_secret_in(dir: &Path) {
    let mut files = 0;
    for found in std::fs::read_dir(dir).unwrap() {
        let path = found.unwrap().path();
        if path.is_dir() {
            no_secret_in(&path);
            continue;
        }
        files += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        for secret in [INLINE, SECRET, Sidecar::ADMIN_TOKEN] {
            assert!(!text.contains(secret), "{}", path.display());
        }
    }
    assert!(files > 0, "{}", dir.display());
}

#[tokio::test]
async fn a_broken_file_is_gone_back_from() {
    let (sidecar, _coolbits, _legacy) = started(FIRST).await;
    std::fs::write(sidecar.config_file(), "colour = [").unwrap();
    let got = sidecar.control("/config/reload", json!({})).await;
    assert_eq!(got.status, 409);
    let said = config(&sidecar, &["rollback", "latest"]).await;
    assert_eq!(said.code, 1);
    assert!(said.err.contains("--state-dir DIR"), "{}", said.err);
    let state = sidecar.state_dir().display().to_string();
    let back = ["rollback", "latest", "--state-dir", &state];
    // What the file has not got cannot be taken over from it, and is asked for.
    let said = config(&sidecar, &back).await;
    assert_eq!(said.code, 1);
    assert!(
        said.err
            .contains("issuers[app].secret, issuers[tests].secret"),
        "{}",
        said.err
    );
    write(&sidecar, "colour = 1\n");
    let said = done(&sidecar, &back).await;
    assert!(said.contains("is in force again"), "{said}");
    assert!(present(&sidecar).ends_with(FIRST));
    assert_eq!(sidecar.metric("sidecar_config_refused").await, 0.0);
}

#[tokio::test]
async fn what_is_refused_is_undone_and_what_takes_a_restart_is_written_only() {
    let (sidecar, _coolbits, _legacy) = started(FIRST).await;
    let other = "[server]\nthreads = 3\n[ledger]\nrequired = false\n";
    write(&sidecar, other);
    let kept = done(&sidecar, &["snapshot", "--reason", "for\nlater"]).await;
    let id = kept.trim().strip_prefix("kept as ").unwrap().to_owned();
    let list = done(&sidecar, &["list"]).await;
    assert!(
        list.lines().next().unwrap().ends_with("for later"),
        "{list}"
    );
    write(&sidecar, FIRST);
    let said = config(&sidecar, &["rollback", &id]).await;
    assert_eq!(said.code, 1);
    for part in [
        "undone after",
        "the sidecar refused it",
        "ledger.required: a change of it takes a restart",
        "server.threads: a change of it takes a restart",
    ] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert_eq!(present(&sidecar), file(FIRST));
    assert_eq!(sidecar.metric("sidecar_config_refused").await, 0.0);
    assert_eq!(sidecar.metric("sidecar_config_rolled_back").await, 0.0);
    assert_eq!(mocked(&sidecar).await, "campaigns");
    let list = done(&sidecar, &["list"]).await;
    assert!(
        list.lines().next().unwrap().contains("rollback undone"),
        "{list}"
    );
    let said = done(&sidecar, &["rollback", &id, "--write-only"]).await;
    assert!(said.contains("written, and not applied"), "{said}");
    assert!(present(&sidecar).ends_with(other));
}

#[tokio::test]
async fn a_sidecar_that_says_nothing_is_given_up_and_nobody_is_no_error() {
    let (mut sidecar, _coolbits, _legacy) = started(FIRST).await;
    write(&sidecar, SECOND);
    reload(&sidecar).await;
    sidecar.signal("-STOP");
    let said = config(&sidecar, &["rollback", "previous", "--wait", "300ms"]).await;
    sidecar.signal("-CONT");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("said nothing"), "{}", said.err);
    assert_eq!(present(&sidecar), file(SECOND));
    eventually("it reads what is there", || async {
        mocked(&sidecar).await == "keywords"
    })
    .await;
    sidecar.child.start_kill().unwrap();
    sidecar.child.wait().await.unwrap();
    // The file with its process id is still there.
    let said = done(&sidecar, &["rollback", "previous"]).await;
    assert!(said.contains("no sidecar runs"), "{said}");
    assert!(present(&sidecar).ends_with(FIRST));
}

#[tokio::test]
async fn two_at_once_and_an_edit_meanwhile_lose_nothing() {
    let (sidecar, _coolbits, _legacy) = started(FIRST).await;
    write(&sidecar, SECOND);
    reload(&sidecar).await;
    sidecar.signal("-STOP");
    let long = ["rollback", "previous", "--wait", "3s"];
    let one = config(&sidecar, &long);
    let meanwhile = async {
        eventually("the first wrote the file", || async {
            present(&sidecar).ends_with(FIRST)
        })
        .await;
        let other = config(&sidecar, &["rollback", "latest"]).await;
        assert_eq!(other.code, 1);
        assert!(
            other.err.contains("another rollback is under way"),
            "{}",
            other.err
        );
        std::fs::write(sidecar.config_file(), "# mine\n").unwrap();
    };
    let (one, ()) = tokio::join!(one, meanwhile);
    sidecar.signal("-CONT");
    assert_eq!(one.code, 1);
    assert!(
        one.err.contains("said nothing") && one.err.contains("not undone: "),
        "{}",
        one.err
    );
    assert_eq!(present(&sidecar), "# mine\n");
}

#[tokio::test]
async fn a_second_sidecar_that_cannot_serve_takes_nothing_from_the_first() {
    let (sidecar, _coolbits, _legacy) = started(FIRST).await;
    let pid = sidecar.state_dir().join("sidecar.pid");
    let before = std::fs::read_to_string(&pid).unwrap();
    let output = command()
        .arg("run")
        .env("SIDECAR_CONFIG", sidecar.config_file())
        .env("SIDECAR_STATE_DIR", sidecar.state_dir())
        .env("SIDECAR_LISTEN", sidecar.address.to_string())
        .env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("server.listen"), "{said}");
    assert_eq!(std::fs::read_to_string(&pid).unwrap(), before);
    // And one without its process id is still noticed.
    std::fs::remove_file(&pid).unwrap();
    let back = config(&sidecar, &["rollback", "latest"]).await;
    assert!(
        back.err.contains("sidecar.pid does not say which"),
        "{}",
        back.err
    );
}

/// As under PM2, which has no umask of its own.
#[tokio::test]
async fn what_is_made_is_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let (sidecar, _coolbits, _legacy) = started(FIRST).await;
    let state = sidecar.state_dir();
    for name in [
        "",
        "runs.db",
        "owners.db",
        "audit.jsonl",
        "snapshots/index.jsonl",
    ] {
        let mode = std::fs::metadata(state.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o027, 0, "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn what_cannot_be_found_or_read_is_told() {
    let (sidecar, _coolbits, _legacy) = started(FIRST).await;
    let id = done(&sidecar, &["list"]).await[..12].to_owned();
    for (args, code, words) in [
        (&["show", "abc"][..], 2, "at least 4 characters of an id"),
        (&["show", "previous"], 2, "\"previous\" is no snapshot here"),
        (&["show", "ffffffffffff0"], 2, "no snapshot here"),
        (
            &["show", "latest", "--file", "/x"],
            2,
            "/x is not among what was kept along: nothing was",
        ),
        (&["diff", "latest", "zzzz"], 2, "no snapshot here"),
        (&["rollback", "zzzz"], 1, "no snapshot here"),
        (
            &["list", "--state-dir", "/nowhere"],
            2,
            "no snapshot is kept in /nowhere/snapshots",
        ),
        (
            &["rollback", "latest", "--wait", "soon"],
            2,
            "invalid value 'soon'",
        ),
    ] {
        let said = config(&sidecar, args).await;
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        assert!(said.err.contains(words), "{args:?}: {}", said.err);
    }
    let objects = sidecar.state_dir().join("snapshots/objects");
    let object = std::fs::read_dir(objects)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&object).unwrap();
    std::fs::write(
        &object,
        text.replace("google-ads.campaigns", "google-ads.keywords"),
    )
    .unwrap();
    for args in [["show", &id], ["rollback", &id]] {
        let said = config(&sidecar, &args).await;
        assert!(
            said.err.contains("it was changed since it was kept"),
            "{}",
            said.err
        );
        assert_eq!(present(&sidecar), file(FIRST));
    }
}
