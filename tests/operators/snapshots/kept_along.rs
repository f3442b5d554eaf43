//! Other people's files that are kept along: nginx's, PM2's.

use super::{done, reload, started};
use serde_json::{Value, json};

#[tokio::test]
async fn what_would_have_to_be_waited_for_is_not_kept_along() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let path = pipe.display().to_string();
    let (sidecar, _coolbits, _legacy) =
        started(&format!("[snapshots]\ninclude = [{path:?}]\n")).await;
    reload(&sidecar).await;
    sidecar.says("it is no plain file").await;
}

#[tokio::test]
async fn settings_and_files_that_are_kept_along_are_shown_without_their_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let nginx = dir.path().join("camarad.conf");
    std::fs::write(
        &nginx,
        "listen 80;\nproxy_set_header X-Token \"word of mine\";\nset $seal words-of-a-file-that-only-a-setting-names;\n",
    )
    .unwrap();
    let seal = dir.path().join("seal").display().to_string();
    std::fs::write(&seal, "words-of-a-file-that-only-a-setting-names\n").unwrap();
    let path = nginx.display().to_string();
    let include =
        format!("[snapshots]\ninclude = [{path:?}]\n[sessions]\nseal_key_file = {seal:?}\n");
    let (sidecar, _coolbits, _legacy) = started(&include).await;
    let shown = done(&sidecar, &["show", "latest", "--file", &path]).await;
    assert_eq!(
        shown,
        "listen 80;\nproxy_set_header X-Token \"***\";\nset $seal ***;\n"
    );
    let shown = done(&sidecar, &["show", "latest"]).await;
    for part in [
        ": start",
        "# kept along: ",
        "secret = \"***\" # ***",
        "environment: LEGACY_URL=http",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    std::fs::write(&nginx, "listen 81;\n").unwrap();
    let diff = done(&sidecar, &["diff", "latest"]).await;
    assert!(
        diff.contains("-listen 80;\n") && diff.contains("+listen 81;"),
        "{diff}"
    );
    reload(&sidecar).await;
    let same = done(&sidecar, &["list"]).await;
    assert_eq!(
        same.lines().count(),
        2,
        "what is kept along is another one: {same}"
    );
    let printed = done(&sidecar, &["print"]).await;
    assert!(printed.starts_with("# ours\n[[issuers]]"), "{printed}");
    let printed = done(&sidecar, &["print", "--effective"]).await;
    for line in [
        "cache.capacity_bytes = 67108864  # default",
        &format!(
            "snapshots.include = [{path:?}]  # {}",
            sidecar.config_file().display()
        ),
        "admin.token = \"***\"  # SIDECAR_ADMIN_TOKEN",
        "issuers[0].secret = \"***\"  # ",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    let printed = done(&sidecar, &["print", "--effective", "--json"]).await;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        printed["admin.token"],
        json!({"value": "***", "origin": "SIDECAR_ADMIN_TOKEN"})
    );
    let json = done(&sidecar, &["show", "latest", "--json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["included"][0]["path"], json!(path));
}

#[tokio::test]
async fn of_other_peoples_files_only_what_is_known_to_be_no_secret_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let pm2 = file(
        "ecosystem.config.cjs",
        "module.exports = { apps: [{\n  name: \"api\u{1b}[2J\",\n  env: {\n    PORT: 80,\n    MINE: `hunter\n      of two lines`,\n    // OLD: 'hunter too'\n  },\n}] };\n",
    );
    let nginx = file(
        "camarad.conf",
        "listen 80;\nmap $http_x $who {\n  default 0;\n  hunter 1;\n}\nset $mine \"hunter\n  of two lines\";\n",
    );
    let (sidecar, _coolbits, _legacy) =
        started(&format!("[snapshots]\ninclude = [{pm2:?}, {nginx:?}]\n")).await;
    let shown = done(&sidecar, &["show", "latest", "--file", &pm2]).await;
    assert_eq!(
        shown,
        "module.exports = { apps: [{\n  name: \"api\\u001b[2J\",\n  env: {\n    PORT: 80,\n    MINE: `***`,\n    // OLD: '***'\n  },\n}] };\n"
    );
    let shown = done(&sidecar, &["show", "latest", "--file", &nginx]).await;
    assert_eq!(
        shown,
        "listen 80;\nmap $http_x $who {\n  default 0;\n  *** 1;\n}\nset $mine \"***\";\n"
    );
    let all = done(&sidecar, &["show", "latest", "--json"]).await;
    assert!(
        !all.contains("hunter") && !all.contains("two lines"),
        "{all}"
    );
}
