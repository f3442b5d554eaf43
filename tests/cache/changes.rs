//! What a request changes shows at once in everything of its user that hangs on it,
//! and in nothing of anybody else's.

use super::{CLIENTS, Caller, FLOWS, HIT, LIST, STORED, callers, told};
use crate::support::{Got, Setup, Sidecar, unlimited};
use serde_json::json;

const CREATE: &str = "POST /api/flows";
const NEW_FLOW: &str = r#"{"name": "Fresh", "flow": {"nodes": [], "connections": []}}"#;

#[tokio::test]
async fn what_is_made_renamed_and_deleted_shows_at_once() {
    let (sidecar, coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (alice, bob) = callers(&sidecar);
    let ads = "/api/connectors/google-ads/campaigns";
    alice.warm(ads).await;
    for target in [ads, FLOWS, CLIENTS] {
        bob.warm(target).await;
    }
    let own = "Flow of u1.c10";
    assert_eq!(alice.anew(FLOWS, "name").await, [own]);
    let made = alice.send(CREATE, NEW_FLOW).await.json();
    let id = made["flow_id"].as_u64().unwrap();
    assert_eq!(alice.anew(FLOWS, "name").await.len(), 2);
    let one = format!("/api/flows/{id}");
    alice
        .send(&format!("PUT {one}"), r#"{"name": "Second"}"#)
        .await;
    let names = alice.anew(FLOWS, "name").await;
    assert!(
        names[1].as_str().unwrap().starts_with("Second"),
        "{names:?}"
    );
    alice.send(&format!("POST {one}/duplicate"), "").await;
    assert_eq!(alice.anew(FLOWS, "name").await.len(), 3);
    alice.send(&format!("DELETE {one}"), "").await;
    let ids = alice.anew(FLOWS, "id").await;
    assert!(ids.len() == 2 && !ids.contains(&json!(id)), "{ids:?}");
    // Flows are no figures: those of Coolbits stay.
    assert_eq!(told(&alice.read(ads).await), HIT);

    // Clients, with a token that is told of all of them.
    let whole = Caller {
        sidecar: &sidecar,
        token: unlimited(),
        client: "",
    };
    assert_eq!(whole.anew(CLIENTS, "id").await, [10, 11]);
    let made = whole
        .send("POST /api/clients", r#"{"name": "Litware"}"#)
        .await;
    let id = made.json()["id"].as_u64().unwrap();
    assert_eq!(whole.anew(CLIENTS, "id").await, [10, 11, id]);
    // Which clients there are decides on everything of the user's.
    assert_eq!(told(&alice.read(ads).await), STORED);
    let one = format!("/api/clients/{id}");
    whole
        .send(&format!("PATCH {one}"), r#"{"name": "Litware Shop"}"#)
        .await;
    assert_eq!(whole.anew(CLIENTS, "name").await[2], "Litware Shop");
    let gone = whole.send(&format!("DELETE {one}"), "").await;
    assert_eq!(gone.status, 200);
    assert_eq!(whole.anew(CLIENTS, "id").await, [10, 11]);

    // Of somebody else's, nothing was dropped.
    for target in [ads, FLOWS, CLIENTS] {
        assert_eq!(told(&bob.read(target).await), HIT, "{target}");
    }
    assert_eq!(coolbits.calls_to("/report").await.len(), 3);
}

#[tokio::test]
async fn whose_accounts_are_linked_decides_on_what_was_read_of_them() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (alice, bob) = callers(&sidecar);
    let targets = [
        "/api/connectors/google-ads/campaigns",
        "/api/connectors/google-ads/metrics?account_id=123-456-7890",
        "/api/connectors/ga4/overview",
        LIST,
    ];
    for target in targets {
        alice.warm(target).await;
        bob.read(target.split('?').next().unwrap()).await;
    }
    let link = json!({"client_id": 10, "connector_slug": "stripe", "account_id": "acct_1"});
    let made = alice
        .send("POST /api/client_connectors", &link.to_string())
        .await;
    assert_eq!(made.status, 200, "{made:?}");
    let id = made.json()["id"].clone();
    for target in targets {
        assert_eq!(told(&alice.read(target).await), STORED, "{target}");
    }
    let linked = |got: &Got| {
        got.json()
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["id"] == id)
    };
    assert!(linked(&alice.read(LIST).await));
    let status = r#"{"status": "disconnected"}"#;
    let changed = alice
        .send(&format!("PATCH /api/client_connectors/{id}"), status)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    for target in targets {
        assert_eq!(told(&alice.read(target).await), STORED, "{target}");
        let theirs = target.split('?').next().unwrap();
        assert_eq!(told(&bob.read(theirs).await), HIT, "{theirs}");
    }
    let list = alice.read(LIST).await.json();
    let rows = list.as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == id).unwrap();
    assert_eq!(row["status"], "disconnected");
}

#[tokio::test]
async fn a_chosen_property_ends_what_left_the_choice_open() {
    let setup = Setup::default().set("SIDECAR__TENANCY__BIND_ACCOUNTS", "false");
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(setup).await;
    let (alice, bob) = callers(&sidecar);
    let (open, named) = (
        "/api/connectors/ga4/overview",
        "/api/connectors/ga4/overview?property_id=G-ABC123DEF4",
    );
    for route in [
        "POST /api/connectors/ga4",
        "POST /api/connectors/ga4/property",
    ] {
        for target in [open, named, LIST] {
            alice.warm(target).await;
            bob.warm(target).await;
        }
        let body = json!({
            "propertyId": "G-NEW0000001",
            "status": "connected",
            "config": {"property_id": "G-NEW0000001"},
        });
        let chosen = alice.send(route, &body.to_string()).await;
        assert_eq!(chosen.status, 200, "{route}: {chosen:?}");
        let got = alice.read(open).await;
        assert_eq!(told(&got), STORED, "{route}");
        // The client's own settings count before what Coolbits has selected.
        assert_eq!(got.json()["property_id"], "G-NEW0000001", "{route}");
        assert_eq!(told(&alice.read(named).await), HIT, "{route}");
        assert_eq!(told(&alice.read(LIST).await), STORED, "{route}");
        for target in [open, named, LIST] {
            assert_eq!(told(&bob.read(target).await), HIT, "{route} {target}");
        }
    }
}

#[tokio::test]
async fn a_session_that_begins_or_ends_drops_everything_of_its_user() {
    let (sidecar, _coolbits, _legacy) = Sidecar::with_stand_ins(Setup::default()).await;
    let (alice, bob) = callers(&sidecar);
    let targets = [FLOWS, CLIENTS, LIST, "/api/connectors/google-ads/campaigns"];
    for (route, body, ends) in [
        ("POST /api/auth/logout", "{}", true),
        (
            "POST /api/auth/session",
            r#"{"token": "session-of-user-1"}"#,
            true,
        ),
        // To look is to change nothing.
        ("GET /api/auth/status", "", false),
    ] {
        for target in targets {
            alice.warm(target).await;
            bob.read(target).await;
        }
        let got = alice.send(route, body).await;
        assert_eq!(got.status, 200, "{route}: {got:?}");
        for target in targets {
            let told = told(&alice.read(target).await);
            assert_eq!(told != HIT, ends, "{route} {target}: {told}");
            assert_eq!(
                super::told(&bob.read(target).await),
                HIT,
                "{route} {target}"
            );
        }
    }
}
