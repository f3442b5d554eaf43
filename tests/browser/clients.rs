//! The drawer of clients, and the export of the settings page.

use super::{Visitor, limited, unlimited};
use crate::support::{Ask, Claims, marks};
use serde_json::{Value, json};

impl Visitor {
    /// Waits until the client drawer has shown data for the n-th time.
    async fn drawer_loaded(&self, times: u32) {
        let drawer = format!("document.getElementById('drawer').dataset.loads == {times}");
        self.browser.until(&drawer).await;
    }

    /// What the settings page shows of an export.
    async fn export(&self) -> Value {
        self.browser.click("#export-button").await;
        self.browser
            .until("document.getElementById('export').dataset.bytes")
            .await;
        let size = self.browser.text("#export-size").await;
        assert!(size.ends_with(" bytes, status 200"), "{size}");
        serde_json::from_str(&self.browser.text("#export").await).unwrap()
    }

    async fn exports_only_the_store(&self) {
        let export = self.export().await;
        assert_eq!(marks(&export.to_string()), marks("u1.c10"));
        let clients = export["clients"].as_array().unwrap().iter();
        let clients: Vec<_> = clients.map(|client| &client["name"]).collect();
        assert_eq!(clients, ["Northwind Store"]);
    }

    async fn link_to(&self, account: &str) -> Value {
        let links = self.objects("links").await;
        let link = links.iter().find(|link| link["account_id"] == account);
        link.unwrap().clone()
    }
}

#[tokio::test]
async fn the_drawer_changes_another_client_than_the_open_one() {
    for claims in [unlimited(), limited()] {
        drawer(claims).await;
    }
}

async fn drawer(claims: Claims) {
    let visitor = Visitor::with_client(claims, 10).await;
    let browser = &visitor.browser;
    browser.click("#clients [data-client-id='11'] button").await;
    visitor.drawer_loaded(1).await;
    assert_eq!(browser.text("#drawer-name").await, "Northwind Services");
    let links = browser.text("#links").await;
    for account in ["google-ads 234-567-8901", "ga4 G-XYZ789GHI0"] {
        assert!(links.contains(account), "{links}");
    }
    visitor.sees_only(&["u1.c11"]).await;

    browser.fill("#rename-name", "Northwind Repairs").await;
    browser.click("#rename-button").await;
    visitor.drawer_loaded(2).await;
    assert_eq!(browser.text("#drawer-name").await, "Northwind Repairs");
    assert!(browser.text("#clients").await.contains("Northwind Repairs"));
    let clients = Ask::get(&format!("{}/api/clients", visitor.legacy.url()))
        .with("Cookie", "camarad_user_id=1; camarad_cb_token=x");
    let clients = clients.send().await.json();
    assert_eq!(clients[0]["name"], "Northwind Store");
    assert_eq!(clients[1]["name"], "Northwind Repairs");

    browser.fill("#link-slug", "google-ads").await;
    browser.fill("#link-account", "999-888-7777").await;
    browser.click("#link-button").await;
    visitor.drawer_loaded(3).await;
    let linked = visitor.link_to("999-888-7777").await;
    assert_eq!(
        (&linked["user"], &linked["client"], &linked["status"]),
        (&json!(1), &json!(11), &json!("connected"))
    );
    let row = format!("#links [data-link-id='{}']", linked["id"]);
    assert!(browser.text(&row).await.contains("google-ads 999-888-7777"));

    browser.click(&format!("{row} button")).await;
    visitor.drawer_loaded(4).await;
    assert!(browser.text(&row).await.contains("disconnected"));
    let unlinked = visitor.link_to("999-888-7777").await;
    assert_eq!(unlinked["status"], "disconnected");
    let others = visitor.objects("links").await;
    let is_other = |link: &&Value| link["id"] != linked["id"];
    assert!(
        others
            .iter()
            .filter(is_other)
            .all(|link| link["status"] == "connected")
    );
    assert_eq!(browser.text("#error").await, "");
    visitor.leave().await;
}

#[tokio::test]
async fn an_export_holds_the_open_client_only() {
    let visitor = Visitor::signed_in(unlimited()).await;
    visitor.open("/settings").await;
    let export = visitor.export().await.to_string();
    assert_eq!(marks(&export), marks("u1.c0 u1.c10 u1.c11"), "no client");
    visitor.switch_to(10).await;
    visitor.exports_only_the_store().await;
    visitor.leave().await;

    let visitor = Visitor::with_client(limited(), 10).await;
    visitor.open("/settings").await;
    visitor.exports_only_the_store().await;
    visitor.leave().await;
}
