//! `doctor`: what it says of installations that are good, and of each way in which
//! one is not.

mod house;

use crate::support::{Claims, SECRET, StandIn, alice, bob, fault, now, token, unlimited};
use house::{House, free_addresses};
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};

/// A token of the house's issuer.
fn good(user: u64, clients: &[u64]) -> String {
    token(ours(Claims::new(user, clients)))
}

fn ours(claims: Claims) -> Claims {
    claims
        .with("iss", json!("us"))
        .with("aud", json!("camarad"))
}

#[tokio::test]
async fn a_good_installation_passes_every_gate_before_its_start() {
    let house = House::new().await;
    let told = house.with(&good(1, &[10, 11]), &[]).await;
    assert_eq!(told.gates(), ["PASS", "PASS", "PASS"], "{}", told.stdout);
    assert_eq!(told.code, Some(0));
    told.assert("callers' address", "PASS", "can be bound");
    told.assert("state directory", "PASS", "can be made");
    told.assert("clients", "PASS", "clients 10, 11");
    told.assert("client", "PASS", "client 10 is tried");
    told.assert("account links", "PASS", "ga4 1, google-ads 1");
    told.assert(
        "foreign client",
        "PASS",
        "a sidecar started for this check refuses",
    );
    told.assert("google-ads accounts", "PASS", "1 account from Coolbits");
    told.assert(
        "google-ads campaigns",
        "PASS",
        "3 campaigns of 123-456-7890 from Coolbits",
    );
    told.assert("ga4 overview", "PASS", "of G-ABC123DEF4 from Coolbits");
    assert!(!house.state().exists(), "it makes nothing");
    let writes = house.legacy.writes().await;
    assert!(writes.is_empty(), "it writes nothing: {writes:?}");
}

#[tokio::test]
async fn a_good_installation_passes_every_gate_while_it_runs() {
    let mut house = House::new().await;
    let sidecar = house.run().await;
    let told = house.with(&good(1, &[10, 11]), &["--client", "11"]).await;
    assert_eq!(told.gates(), ["PASS", "PASS", "PASS"], "{}", told.stdout);
    assert_eq!(told.code, Some(0));
    told.assert("callers' address", "PASS", "the sidecar answers");
    told.assert("operators' address", "PASS", "is ready");
    told.assert("cache", "PASS", "it holds");
    told.assert(
        "own client",
        "PASS",
        "the sidecar that runs lets the token into client 11",
    );
    told.assert("foreign client", "PASS", "404");
    told.assert("without a token", "PASS", "401");
    told.assert(
        "google-ads campaigns",
        "PASS",
        "of 234-567-8901 from Coolbits",
    );
    // It was asked, and not one of the doctor's own.
    assert!(sidecar.metric("sidecar_cache_bytes").await > 0.0);
    let again = house.with(&good(1, &[10, 11]), &["--client", "11"]).await;
    again.assert("ga4 pages", "PASS", "from Coolbits");
}

#[tokio::test]
async fn json_says_what_the_text_says() {
    let mut house = House::new().await;
    house.set("COOLBITS_GATEWAY_ENABLED", "off");
    let token = good(1, &[10]);
    let text = house.with(&token, &["--client", "20"]).await;
    let told = house.with(&token, &["--client", "20", "--json"]).await;
    assert_eq!((text.code, told.code), (Some(1), Some(1)));
    let value: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert!(value["checked_at"].as_str().unwrap().ends_with('Z'));
    let gates: Vec<String> = ["A", "B", "C"]
        .iter()
        .map(|gate| value["gates"][gate].as_str().unwrap().to_uppercase())
        .collect();
    assert_eq!(text.gates(), gates);
    let checks = value["checks"].as_array().unwrap();
    assert!(checks.len() > 25, "{}", told.stdout);
    for check in checks {
        let outcome = check["outcome"].as_str().unwrap();
        text.assert(check["name"].as_str().unwrap(), &outcome.to_uppercase(), "");
        let todo = check["do"].as_str();
        assert_eq!(todo.is_none(), outcome == "pass", "{check}");
        assert!(
            todo.is_none_or(|todo| text.stdout.contains(todo)),
            "{check}"
        );
    }
}

#[tokio::test]
async fn without_a_token_what_needs_one_is_not_looked_at() {
    let house = House::new().await;
    let told = house.ask(&[], "").await;
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    assert_eq!(told.gates(), ["PASS", "WARN", "WARN"]);
    for name in [
        "token",
        "clients",
        "own client",
        "ga4 pages",
        "google-ads campaigns",
    ] {
        told.assert(name, "SKIP", "--token-stdin");
    }
    told.assert("without a token", "PASS", "401");
    told.assert("keys of tests", "PASS", "1 key");
    let asked = house.coolbits.calls_to("/api/").await;
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_all_told() {
    let mut house = House::new().await;
    house.set("COOLBITS_GATEWAY_ENABLED", "maybe");
    house.set("SIDECAR_LISTEN", "here");
    for args in [&[][..], &["--json"]] {
        let told = house.ask(args, "").await;
        assert_eq!((told.code, &told.stdout[..]), (Some(2), ""));
        for word in ["COOLBITS_GATEWAY_ENABLED", "server.listen: \"here\""] {
            assert!(told.stderr.contains(word), "{word}: {}", told.stderr);
        }
    }
    let told = house.ask(&["--token-stdin", "--client", "none"], "").await;
    assert_eq!(told.code, Some(2));
    assert!(
        told.stderr.contains("a client id such as 10"),
        "{}",
        told.stderr
    );
}

#[tokio::test]
async fn warnings_of_the_settings_are_told() {
    let mut house = House::new().await;
    std::fs::write(&house.settings["SIDECAR_CONFIG"], "").unwrap();
    house.set("SIDECAR_JWT_SECRET", SECRET);
    house.set("SIDECAR_JWT_USER_CLAIM", "uid");
    let told = house.with(&alice(), &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    assert_eq!(told.gates(), ["WARN", "PASS", "WARN"]);
    told.assert("settings", "WARN", "no issuer is set");
    assert!(
        told.stdout.contains("no audience is set"),
        "{}",
        told.stdout
    );
    let mock = "google-search-console, google-tag-manager, stripe";
    told.assert("answered by the mock", "WARN", mock);
}

#[tokio::test]
async fn an_app_that_is_down_fails_what_depends_on_it() {
    let mut house = House::new().await;
    house.legacy.stop().await;
    let told = house.with(&good(1, &[10]), &[]).await;
    assert_eq!(told.code, Some(1));
    assert_eq!(told.gates(), ["FAIL", "FAIL", "FAIL"], "{}", told.stdout);
    told.assert("app alive", "FAIL", "refuses the connection");
    told.assert("app database", "SKIP", "start the app");
    told.assert("token", "PASS", "is good");
    told.assert("clients", "FAIL", "GET /api/clients");
    told.assert("own client", "FAIL", "502");
    told.assert("without a token", "PASS", "401");
}

#[tokio::test]
async fn an_app_in_a_bad_way_is_told_apart() {
    let house = House::new().await;
    let faults = |fault: &str, only: &str, status: u16, error: &str| json!({"fault": fault, "only": only, "status": status, "error": error});
    for (faults, check, words) in [
        (faults("status", "/readyz", 503, ""), "app ready", "503"),
        (
            faults("recognised", "/api/users", 500, "no such table: users"),
            "app database",
            "initialise",
        ),
        (faults("debugger", "", 200, ""), "app debugger", "DEBUG=0"),
        (
            faults("html", "/healthz", 200, ""),
            "app alive",
            "LEGACY_URL",
        ),
        (faults("status", "/api/clients", 500, ""), "clients", "500"),
    ] {
        house.legacy.faults(faults).await;
        let told = house.with(&good(1, &[10]), &[]).await;
        assert_eq!(told.code, Some(1));
        told.assert(check, "FAIL", words);
    }
    // Its page is not the debugger's style sheet.
    house.legacy.faults(fault("none")).await;
    let told = house.ask(&[], "").await;
    told.assert("app debugger", "PASS", "off");
}

/// The address by which this machine is known to others, if it is at all.
fn outward() -> Option<SocketAddr> {
    // Nothing is sent: a datagram socket only looks for a way.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    socket.local_addr().ok().filter(|at| !at.ip().is_loopback())
}

#[tokio::test]
async fn an_app_that_can_be_reached_around_the_sidecar_fails() {
    let mut house = House::new().await;
    let open = StandIn::open("legacy").await;
    house.set(
        "LEGACY_URL",
        format!("http://127.0.0.1:{}", open.address.port()),
    );
    let told = house.ask(&[], "").await;
    let name = "app only through the sidecar";
    match outward() {
        Some(address) => {
            assert_eq!(told.code, Some(1), "{}", told.stdout);
            told.assert(name, "FAIL", "set HOST=127.0.0.1");
            told.assert(name, "FAIL", &address.ip().to_string());
            house.set(
                "LEGACY_URL",
                format!("http://{}:{}", address.ip(), open.address.port()),
            );
            let told = house.ask(&[], "").await;
            told.assert(name, "WARN", "no loopback address");
        }
        None => told.assert(name, "PASS", "loopback addresses only"),
    }
}

#[tokio::test]
async fn coolbits_that_fails_is_told_with_what_to_do() {
    let mut house = House::new().await;
    let token = good(1, &[10]);
    for (fault, words) in [
        ("unauthorized", "sign in again"),
        ("not_connected", "connect the account in Coolbits"),
        ("html", "gateway.table"),
        ("status", "log of Coolbits"),
    ] {
        house
            .coolbits
            .faults(json!({"fault": fault, "only": "/api/"}))
            .await;
        let told = house.with(&token, &[]).await;
        assert_eq!(
            (told.code, told.gates()),
            (Some(1), vec!["PASS", "PASS", "FAIL"])
        );
        told.assert("coolbits", "PASS", "answers (200)");
        told.assert("google-ads campaigns", "FAIL", words);
        told.assert("ga4 pages", "FAIL", words);
    }
    house.coolbits.faults(fault("empty_rows")).await;
    let told = house.with(&token, &[]).await;
    told.assert("google-ads campaigns", "WARN", "empty");
    house.coolbits.stop().await;
    let told = house.with(&token, &[]).await;
    assert_eq!(
        (told.code, told.gates()),
        (Some(1), vec!["WARN", "PASS", "FAIL"])
    );
    told.assert("coolbits", "FAIL", "COOLBITS_URL");
    told.assert("coolbits clock", "SKIP", "does not answer");
    told.assert("ga4 overview", "FAIL", "unreachable");
}

#[tokio::test]
async fn an_issuer_whose_tokens_coolbits_may_not_see_is_told() {
    let house = House::new().await;
    let file = std::fs::read_to_string(&house.settings["SIDECAR_CONFIG"]).unwrap();
    let file = file.replace("forward_to_coolbits = true", "forward_to_coolbits = false");
    std::fs::write(&house.settings["SIDECAR_CONFIG"], file).unwrap();
    let told = house.with(&good(1, &[10]), &[]).await;
    told.assert("google-ads campaigns", "FAIL", "forward_to_coolbits = true");
}

#[tokio::test]
async fn a_gateway_that_is_off_is_a_warning() {
    let mut house = House::new().await;
    house.set("COOLBITS_GATEWAY_ENABLED", "off");
    let told = house.with(&good(1, &[10]), &[]).await;
    assert_eq!(
        (told.code, told.gates()),
        (Some(0), vec!["PASS", "PASS", "WARN"])
    );
    told.assert("gateway", "WARN", "COOLBITS_GATEWAY_ENABLED=on");
    told.assert("ga4 pages", "WARN", "made up");
    // One that runs is believed, and not the settings.
    let sidecar = house.run().await;
    sidecar.switch(true).await;
    let told = house.with(&good(1, &[10]), &[]).await;
    told.assert("ga4 pages", "PASS", "from Coolbits");
}

#[tokio::test]
async fn tokens_that_do_not_pass_are_told_why_and_never_repeated() {
    let house = House::new().await;
    let expired = token(ours(Claims::new(1, &[10])).with("exp", json!(now() - 3600)));
    let endless = token(ours(Claims::new(1, &[10])).without("exp"));
    let forged = good(1, &[10]) + "AAAA";
    for (token, code) in [
        (&expired[..], "token_expired"),
        (&endless, "token_claims_invalid"),
        (&forged, "token_bad_signature"),
        (&bob(), "token_wrong_issuer"),
        ("a-token-that-is-none", "token_malformed"),
    ] {
        let told = house.with(token, &[]).await;
        assert_eq!(told.code, Some(1));
        told.assert("token", "FAIL", code);
        told.assert("ga4 pages", "SKIP", "the token did not pass");
        told.assert("without a token", "PASS", "401");
    }
    let told = house.with("", &[]).await;
    told.assert("token", "FAIL", "empty");
    let soon = token(ours(Claims::new(1, &[10])).with("exp", json!(now() + 60)));
    let told = house.with(&soon, &[]).await;
    told.assert("token", "WARN", "take a new one");
}

#[tokio::test]
async fn a_client_that_is_not_theirs_fails_and_is_not_read_for() {
    let house = House::new().await;
    for (token, client, words, foreign) in [
        (
            good(2, &[20]),
            "10",
            "not in the token's clients claim",
            "client 10, which",
        ),
        (
            good(1, &[10]),
            "11",
            "not in the token's clients claim",
            "client 11, which",
        ),
        // What the claim grants is let in, so another one is tried.
        (
            good(1, &[20]),
            "20",
            "not in the app's list",
            "client 1, which",
        ),
        (
            token(ours(Claims::new(1, &[]).without("clients"))),
            "20",
            "not in the app's list",
            "client 20, which",
        ),
    ] {
        house.coolbits.forget().await;
        let told = house.with(&token, &["--client", client]).await;
        assert_eq!(told.code, Some(1));
        told.assert("client", "FAIL", words);
        told.assert("google-ads campaigns", "SKIP", "no client of theirs");
        told.assert("foreign client", "PASS", foreign);
        assert!(house.coolbits.calls_to("/api/").await.is_empty());
    }
}

#[tokio::test]
async fn tenancy_that_only_reports_is_not_enforced() {
    let mut house = House::new().await;
    house.set("SIDECAR__TENANCY__MODE", "report");
    let told = house.with(&good(1, &[10]), &["--client", "20"]).await;
    told.assert("foreign client", "FAIL", "tenancy.mode");
    told.assert("settings", "WARN", "tenancy.mode");
}

#[tokio::test]
async fn a_sidecar_with_other_keys_or_another_address_is_told() {
    let mut house = House::new().await;
    let _sidecar = house.run().await;
    let other = house.dir.path().join("other");
    std::fs::write(&other, "another secret, and as long as the first one").unwrap();
    let file = std::fs::read_to_string(&house.settings["SIDECAR_CONFIG"]).unwrap();
    let secret = house.dir.path().join("secret").display().to_string();
    let file = file.replace(&secret, other.to_str().unwrap());
    std::fs::write(&house.settings["SIDECAR_CONFIG"], file).unwrap();
    let told = house.with(&good(1, &[10]), &[]).await;
    told.assert("token", "FAIL", "token_bad_signature");
    let [other] = free_addresses();
    house.set("SIDECAR_ADMIN_LISTEN", other);
    let told = house.ask(&[], "").await;
    assert_eq!(told.code, Some(1));
    told.assert("operators' address", "FAIL", "not with this admin.listen");
}

#[tokio::test]
async fn addresses_that_something_else_has_are_told() {
    let mut house = House::new().await;
    let legacy = house.legacy.address;
    house.set("SIDECAR_LISTEN", legacy);
    house.set("SIDECAR_ADMIN_LISTEN", legacy);
    let told = house.ask(&[], "").await;
    assert_eq!(told.code, Some(1));
    told.assert("callers' address", "FAIL", "is no sidecar");
    told.assert("operators' address", "FAIL", "are both");
}

#[tokio::test]
async fn the_login_says_whose_a_token_without_a_user_is() {
    let house = House::new().await;
    let file = "[gateway]\nmock_only = []\n[[issuers]]\nname = \"coolbits\"\nkind = \"coolbits\"\n\
                forward_to_coolbits = true\n";
    std::fs::write(&house.settings["SIDECAR_CONFIG"], file).unwrap();
    let told = house.ask(&[], "").await;
    told.assert("login", "PASS", "answers");
    let told = house.with("session-of-user-1", &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    told.assert("user", "PASS", "the app's login says");
    told.assert("google-ads campaigns", "PASS", "from Coolbits");
    let told = house.with("nobody-knows-it", &[]).await;
    told.assert("user", "FAIL", "Coolbits does not know the token");
}

#[tokio::test]
async fn published_keys_are_fetched_now() {
    let mut house = House::new().await;
    std::fs::write(&house.settings["SIDECAR_CONFIG"], "").unwrap();
    house.set("SIDECAR_JWT_USER_CLAIM", "uid");
    house.set(
        "SIDECAR_JWKS_URL",
        format!("{}/no-such-set?key=hush", house.legacy.url()),
    );
    let told = house.with(&unlimited(), &[]).await;
    told.assert("keys of default", "FAIL", "answers 404");
    told.assert("token", "FAIL", "keys_unavailable");
    assert!(!told.stdout.contains("hush"));
}

#[tokio::test]
async fn a_host_that_is_answered_for_is_named() {
    let mut house = House::new().await;
    house.set("SIDECAR__SERVER__ALLOWED_HOSTS", "app.example");
    let _sidecar = house.run().await;
    let told = house.with(&good(1, &[10]), &[]).await;
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    told.assert("own client", "PASS", "the sidecar that runs");
}
