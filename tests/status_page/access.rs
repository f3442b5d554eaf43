//! Who is told what: everybody that it works, the admin token whose runs they are, and pages
//! elsewhere nothing.

use super::{FLOW, ask, holds_no_secret, page, run, text};
use crate::support::{Claims, Setup, Sidecar, alice, token};
use serde_json::{Value, json};

#[tokio::test]
async fn browsers_are_told_to_keep_it_to_themselves() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    for target in ["/", "/status.json", "/runs/x.json"] {
        let got = ask(&sidecar, target).send().await;
        for (name, expected) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(got.header(name), expected, "{name} of {target}");
        }
        let policy = got.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("script"),
            "{policy}"
        );
    }
    let (one, other) = (
        ask(&sidecar, "/").send().await,
        ask(&sidecar, "/").send().await,
    );
    assert_eq!(one.header("content-type"), "text/html; charset=utf-8");
    let nonce = |policy: &str| {
        let (_, rest) = policy.split_once("style-src 'nonce-").unwrap();
        rest.split('\'').next().unwrap().to_owned()
    };
    let (first, second) = (
        nonce(one.header("content-security-policy")),
        nonce(other.header("content-security-policy")),
    );
    assert!(first.len() >= 32 && first != second);
    assert!(text(&one).contains(&format!("<style nonce=\"{first}\">")));
    let posted = crate::support::Ask::new("POST", &format!("http://{}/", sidecar.admin));
    assert_eq!(posted.send().await.status, 405, "it is for reading");
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_told_nothing() {
    let setup = Setup::default().file("[admin]\nhosts = [\"ops.example\"]\n");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let id = run(&sidecar).await;
    for target in [
        "/",
        "/status.json",
        "/?matrix=x",
        &format!("/runs/{id}.json"),
    ] {
        let with = |host: &str| {
            let ask = ask(&sidecar, target).with("Host", host);
            ask.bearer(Sidecar::ADMIN_TOKEN).send()
        };
        for host in ["evil.example", "127.0.0.1.evil.example", "ops.example.evil"] {
            let got = with(host).await;
            assert_eq!(
                (got.status, got.code()),
                (403, "admin_host_not_allowed".to_owned()),
                "{target} at {host}"
            );
            assert_eq!(got.header("cache-control"), "no-store");
        }
        for host in ["localhost:9150", "OPS.example", "[::1]:9150"] {
            assert_eq!(with(host).await.status, 200, "{target} at {host}");
        }
    }
    let page = text(
        &ask(&sidecar, "/")
            .with("Host", "ops.example:8443")
            .send()
            .await,
    );
    assert!(page.contains("http://ops.example:8443/runs/$run.json"));
    let odd = text(
        &ask(&sidecar, "/")
            .with("Host", "localhost:`id`")
            .send()
            .await,
    );
    assert!(!odd.contains("`id`"), "it is pasted into shells");
}

#[tokio::test]
async fn names_need_the_admin_token_and_a_wrong_one_is_refused() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    run(&sidecar).await;
    for target in ["/", "/status.json"] {
        let open = text(&ask(&sidecar, target).send().await);
        for name in ["Acme", "mornings", "Analyst", "Every morning"] {
            assert!(!open.contains(name), "{name} in {target}");
        }
        let wrong = ask(&sidecar, target).bearer("wrong").send().await;
        assert_eq!(
            (wrong.status, wrong.code()),
            (401, "admin_token_wrong".to_owned())
        );
        // Of a proxy in front, and not for us.
        let basic = ask(&sidecar, target).with("Authorization", "Basic b3BzOnB3");
        assert_eq!(basic.send().await.status, 200);
    }
    let named = ask(&sidecar, "/status.json")
        .bearer(Sidecar::ADMIN_TOKEN)
        .send()
        .await
        .json();
    let run = &named["runs"]["newest"][0]["named"];
    assert_eq!(
        (&named["runs"]["named"], &run["flow"]),
        (&json!(true), &json!(FLOW))
    );
    assert_eq!(run["steps"][1]["label"], "Ads of <b>Acme</b>");
    let page = text(&ask(&sidecar, "/").bearer(Sidecar::ADMIN_TOKEN).send().await);
    assert!(page.contains("Acme's &lt;script&gt;alert(1)"), "{page}");
    assert!(
        !page.contains("<script") && !page.contains("<b>Acme"),
        "{page}"
    );
    holds_no_secret(&page, &[]);
}

#[tokio::test]
async fn a_run_is_downloaded_with_the_admin_token_alone() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let id = run(&sidecar).await;
    let get = |file: &str| ask(&sidecar, &format!("/runs/{file}"));
    for (ending, kind) in [
        ("json", "application/json"),
        ("csv", "text/csv; charset=utf-8"),
    ] {
        let file = format!("{id}.{ending}");
        for ask in [
            get(&file),
            get(&file).bearer("wrong"),
            get(&file).bearer(&alice()),
        ] {
            let got = ask.send().await;
            assert_eq!(
                (got.status, got.code()),
                (401, "admin_token_wrong".to_owned())
            );
        }
        let got = get(&file).bearer(Sidecar::ADMIN_TOKEN).send().await;
        assert_eq!((got.status, got.header("content-type")), (200, kind));
        let name = format!("attachment; filename=\"run-{file}\"");
        assert_eq!(got.header("content-disposition"), name);
        assert!(String::from_utf8(got.body).unwrap().contains(&id));
    }
    let got = get(&format!("{id}.json"))
        .bearer(Sidecar::ADMIN_TOKEN)
        .send()
        .await
        .json();
    assert_eq!(
        (&got["schema"], &got["run"]["flow_name"]),
        (&json!("camarad.run-trace"), &json!(FLOW))
    );
    for none in [
        "0198c0de-0000-7000-8000-000000000000.json",
        "x.xml",
        "..%2Fruns.db",
        "%22.json",
    ] {
        let got = get(none).bearer(Sidecar::ADMIN_TOKEN).send().await;
        assert_eq!(
            (got.status, got.code()),
            (404, "run_not_found".to_owned()),
            "{none}"
        );
    }
}

#[tokio::test]
async fn without_an_admin_token_no_run_can_be_downloaded() {
    let setup = Setup::default().set("SIDECAR_ADMIN_TOKEN", "");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let id = run(&sidecar).await;
    let got = ask(&sidecar, &format!("/runs/{id}.json"))
        .bearer("")
        .send()
        .await;
    assert_eq!(
        (got.status, got.code()),
        (403, "admin_token_not_set".to_owned())
    );
    assert!(page(&sidecar).await.contains(&id));
}

#[tokio::test]
async fn nobody_is_named_and_nothing_is_a_secret() {
    let (sidecar, coolbits, legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    // Numbers that nothing else on the page can be.
    let claims = Claims::new(7_001_234, &[8_005_678]);
    let somebody = token(claims);
    for client in ["9009876", "9009877"] {
        let got = sidecar
            .ads(&somebody, client, "campaigns?account=5551234")
            .await;
        assert_eq!(got.code(), "client_not_allowed");
    }
    sidecar.ads(&alice(), "10", "campaigns").await;
    let json = text(&ask(&sidecar, "/status.json").send().await);
    let page = page(&sidecar).await;
    let signature = somebody.rsplit('.').next().unwrap();
    for told in [&json, &page] {
        holds_no_secret(told, &[&somebody, &alice(), signature]);
        for id in ["7001234", "8005678", "9009876", "9009877", "5551234"] {
            assert!(!told.contains(id), "{id} in\n{told}");
        }
        let hosts = [coolbits.address.to_string(), legacy.address.to_string()];
        assert!(hosts.iter().all(|host| !told.contains(host)));
    }
    let told: Value = serde_json::from_str(&json).unwrap();
    let newest = &told["refusals"]["newest"];
    assert_eq!(newest[0]["user"], newest[1]["user"], "one user");
    assert_ne!(newest[0]["client"], newest[1]["client"], "two clients");
}
