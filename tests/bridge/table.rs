//! What Coolbits is asked is data: the order of paths, and a table of one's own.

use super::{get, live};
use crate::ga4::sent;
use crate::google_ads::{asked, real};
use crate::support::{SECRET, Sidecar, alice, command};
use serde_json::json;

/// The built-in table, with one line of one endpoint after another replaced.
fn table(changes: &[(&str, &str, &str)]) -> String {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../policies/tables/gateway.toml"
    );
    let mut text = std::fs::read_to_string(path).unwrap();
    for (operation, key, line) in changes {
        let start = text.find(&format!("operation = \"{operation}\"")).unwrap();
        let at = start + text[start..].find(&format!("\n{key} = ")).unwrap() + 1;
        let end = at + text[at..].find('\n').unwrap();
        text.replace_range(at..end, line);
    }
    text
}

#[tokio::test]
async fn the_long_name_is_tried_where_the_short_one_is_not_there() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(live()).await;
    for (target, only, paths) in [
        (
            "google-search-console/properties",
            "/gsc/",
            ["gsc/properties", "google-search-console/properties"],
        ),
        (
            "google-search-console/sitemaps",
            "/gsc/",
            ["gsc/report", "google-search-console/report"],
        ),
        (
            "google-tag-manager/containers",
            "/gtm/",
            ["gtm/containers", "google-tag-manager/containers"],
        ),
        (
            "google-tag-manager/preview",
            "/gtm/",
            ["gtm/report", "google-tag-manager/report"],
        ),
        (
            "stripe/overview",
            "/stripe/overview",
            ["stripe/overview", "stripe/summary"],
        ),
    ] {
        coolbits.forget().await;
        coolbits
            .faults(json!({"fault": "status", "status": 404, "only": only}))
            .await;
        let answer = get(&sidecar, &alice(), "10", target).await.json();
        // The stand-in knows no long names.
        assert_eq!(
            (&answer["source"], &answer["gateway"]["error"]),
            (&json!("mock"), &json!("http_4xx"))
        );
        let calls = coolbits.calls().await;
        let paths = paths.map(|path| format!("GET /api/connectors/{path}"));
        assert_eq!(asked(&calls), paths, "{target}");
        assert_eq!(calls[0]["query"], calls[1]["query"], "{target}");
    }
}

#[tokio::test]
async fn a_table_of_ones_own_is_what_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let search = |report: &str| format!("google-search-console.{report}");
    let text = table(&[
        (
            &search("queries"),
            "paths",
            "paths = [\"/api/connectors/searchconsole/report\", \"/api/connectors/gsc/report\"]",
        ),
        (
            &search("queries"),
            "query",
            "query = { siteUrl = \"{account}\", from = \"{from}\", to = \"{to}\", preset = \"queries\", rowLimit = \"25\" }",
        ),
        // Rows that stand elsewhere: the countries, to be told apart.
        (
            &search("devices"),
            "query",
            "query = { siteUrl = \"{account}\", from = \"{from}\", to = \"{to}\", preset = \"countries\" }",
        ),
        (
            &search("devices"),
            "rows",
            "rows = \"/data/countries/rows\"",
        ),
    ]);
    std::fs::write(&file, text).unwrap();
    let setup = live().set("SIDECAR__GATEWAY__TABLE", file.display());
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;

    let queries = real(&get(&sidecar, &alice(), "10", "google-search-console/queries").await);
    assert_eq!(queries["gateway"]["path"], "/api/connectors/gsc/report");
    assert!(queries["queries"][0]["query"].is_string());
    let calls = coolbits.calls().await;
    assert_eq!(
        asked(&calls),
        [
            "GET /api/connectors/searchconsole/report",
            "GET /api/connectors/gsc/report"
        ]
    );
    assert_eq!(sent(&calls[0])["rowLimit"], "25");

    let devices = real(&get(&sidecar, &alice(), "10", "google-search-console/devices").await);
    let countries = real(&get(&sidecar, &alice(), "10", "google-search-console/countries").await);
    let clicks = |answer: &serde_json::Value, list: &str| {
        let rows = answer[list].as_array().unwrap().iter();
        rows.map(|row| row["clicks"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(clicks(&devices, "devices"), clicks(&countries, "countries"));
}

/// Starts with this table; the exit code and everything it said.
async fn start(file: &std::path::Path) -> (Option<i32>, String) {
    let output = command()
        .arg("run")
        .env("SIDECAR_LISTEN", "127.0.0.1:0")
        .env("SIDECAR_ADMIN_LISTEN", "127.0.0.1:0")
        .env("SIDECAR_JWT_SECRET", SECRET)
        .env("SIDECAR_JWT_USER_CLAIM", "uid")
        .env("SIDECAR__GATEWAY__TABLE", file)
        .output();
    let output = output.await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_bad_table_stops_the_start_and_tells_every_problem() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let text = table(&[
        (
            "ga4.pages",
            "paths",
            "paths = [\"api/report\", \"/api/../report\"]",
        ),
        (
            "ga4.events",
            "query",
            "query = { propertyId = \"{property}\" }",
        ),
        ("stripe.overview", "rows", "rows = \"data.overview\""),
        ("google-tag-manager.tags", "paths", "paths = []"),
    ]);
    let text = text.replace("operation = \"ga4.funnel\"", "operation = \"ga4.funel\"");
    let text = text + "\n[[endpoint]]\noperation = \"ga4.status\"\npaths = [\"/api/status\"]\n";
    std::fs::write(&file, text).unwrap();
    let (code, said) = start(&file).await;
    assert_eq!(code, Some(2), "{said}");
    for told in [
        "ga4.pages: \"api/report\"",
        "ga4.pages: \"/api/../report\"",
        "ga4.events: query.propertyId = \"{property}\"",
        "stripe.overview: rows = \"data.overview\"",
        "google-tag-manager.tags: paths is empty",
        "operation = \"ga4.funel\": expected one of",
        "ga4.funnel: missing",
        "ga4.status: stands twice",
    ] {
        let line = said.lines().find(|line| line.contains(told));
        let line = line.unwrap_or_else(|| panic!("{told} is not told:\n{said}"));
        assert!(
            line.contains("gateway.table") && line.contains("gateway.toml"),
            "{line}"
        );
    }

    for (text, told) in [
        (Some("endpoint = ["), "gateway.table"),
        (
            Some("[[endpoint]]\noperation = \"ga4.pages\"\npath = [\"/a\"]\n"),
            "unknown field `path`",
        ),
        (None, "cannot be read"),
    ] {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let (code, said) = start(&file).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(told), "{told}\n{said}");
    }
}
