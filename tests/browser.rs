//! The app's pages in a real browser, through the sidecar: what the UI does by
//! itself has to work, and to stay within the client that is open.

use crate::support::{Ask, Browser, Claims, Setup, Sidecar, StandIn, marks, token};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What the console says of an answer with that status.
const NOT_FOUND: &str = "the server responded with a status of 404 ";

/// A token of user 1 that the login knows too, limited to clients 10 and 11.
fn limited() -> Claims {
    Claims::new(1, &[10, 11]).with("email", json!("user1@example.com"))
}

/// The same without a limit: the app's own list of clients decides.
fn unlimited() -> Claims {
    limited().without("clients")
}

/// Somebody before a screen.
struct Visitor {
    browser: Browser,
    sidecar: Sidecar,
    legacy: StandIn,
    _coolbits: StandIn,
}

impl Visitor {
    /// Signed in, with this client open.
    async fn with_client(claims: Claims, client: u64) -> Self {
        let visitor = Self::signed_in(claims).await;
        visitor.switch_to(client).await;
        visitor
    }

    async fn signed_in(claims: Claims) -> Self {
        let (started, browser) =
            tokio::join!(Sidecar::with_stand_ins(Setup::default()), Browser::start());
        let (sidecar, _coolbits, legacy) = started;
        let visitor = Self {
            browser,
            sidecar,
            legacy,
            _coolbits,
        };
        visitor.open("/login?next=/app").await;
        visitor.browser.fill("#token", &token(claims)).await;
        visitor.leave_by("#login-button").await;
        assert_eq!(visitor.place().await, "/app");
        visitor
    }

    /// Opens a page and waits until it has loaded its data.
    async fn open(&self, target: &str) {
        self.browser.open(&self.sidecar.url(target)).await;
        self.ready().await;
    }

    async fn ready(&self) {
        self.browser.until("document.body.dataset.ready").await;
    }

    /// Clicks on what leads to another page, and waits for that.
    async fn leave_by(&self, css: &str) {
        self.browser.run("delete document.body.dataset.ready").await;
        self.browser.click(css).await;
        self.ready().await;
    }

    /// Chooses a client in the switcher, which loads the page anew.
    async fn switch_to(&self, client: u64) {
        self.leave_by(&format!("#client-switch option[value='{client}']"))
            .await;
        let chosen = self.browser.run("return ui.client()").await;
        assert_eq!(chosen, client.to_string());
    }

    /// Path and query of the address.
    async fn place(&self) -> String {
        let address = self.browser.address().await;
        let place = address.strip_prefix(&self.sidecar.url(""));
        place.unwrap_or_else(|| panic!("{address}")).to_owned()
    }

    /// Nothing on the page, seen or hidden, is anybody's but these.
    async fn sees_only(&self, allowed: &[&str]) {
        let seen = marks(&self.browser.source().await);
        let allowed = allowed.iter().map(|mark| (*mark).to_owned());
        assert_eq!(seen, allowed.collect::<BTreeSet<_>>());
    }

    /// The page that is open was refused, and shows nobody's data.
    async fn is_refused(&self) {
        let status = "performance.getEntriesByType('navigation')[0].responseStatus";
        self.browser.until(&format!("{status} === 404")).await;
        self.sees_only(&[]).await;
        self.failed_with(&[NOT_FOUND]).await;
    }

    /// The console has errors that say this, in this order, and no others.
    async fn failed_with(&self, words: &[&str]) {
        let errors = self.browser.errors().await;
        let same = errors.len() == words.len();
        let mut pairs = errors.iter().zip(words);
        assert!(
            same && pairs.all(|(error, words)| error.contains(words)),
            "{words:?} {errors:#?}"
        );
    }

    /// Sends a message in a chat; gives the reply.
    async fn send(&self, message: &str) -> String {
        let count = "document.querySelectorAll('.message.assistant').length";
        let before = self.browser.run(&format!("return {count}")).await;
        self.browser.fill("#message", message).await;
        self.browser.click("#send").await;
        self.browser.until(&format!("{count} > {before}")).await;
        self.browser.text(".message.assistant:last-child").await
    }

    /// Waits until the client drawer has shown data for the n-th time.
    async fn drawer_loaded(&self, times: u32) {
        let drawer = format!("document.getElementById('drawer').dataset.loads == {times}");
        self.browser.until(&drawer).await;
    }

    /// The connectors page, which has to show this client's accounts and no others;
    /// gives the figures of Google Ads and of GA4.
    async fn connectors_of(&self, mark: &str, account: &str, property: &str) -> (String, String) {
        let browser = &self.browser;
        self.sees_only(&[mark]).await;
        let list = browser.text("#connector-list").await;
        for row in [
            format!("{account} google-ads account of {mark} connected"),
            format!("{property} ga4 account of {mark} connected"),
        ] {
            assert!(list.contains(&row), "{row} in {list}");
        }
        let offered = |id: &str| {
            format!("return [...document.getElementById('{id}').options].map((o) => o.value)")
        };
        let accounts = browser.run(&offered("accounts")).await;
        assert_eq!(accounts, json!([account]));
        let properties = browser.run(&offered("ga4-properties")).await;
        assert_eq!(properties, json!([property]));

        // The mock's campaigns have other names.
        let campaigns = browser.text("#campaigns").await;
        assert!(campaigns.contains("Live campaign 3"), "{campaigns}");
        let chosen = "return document.getElementById('campaigns').dataset.accountId";
        assert_eq!(browser.run(chosen).await, account);
        let asked = format!(
            "return ui.json('/api/connectors/google-ads/campaigns?account_id={account}&days=30')"
        );
        let answer = browser.run(&asked).await;
        assert_eq!(answer["source"], "coolbits", "{answer}");
        let ads = browser.text("#ads-summary").await;
        let spent = answer["summary"]["total_spent"].as_f64().unwrap();
        assert!(
            spent > 0.0 && ads.starts_with(&format!("Spent ${spent:.2} of $")),
            "{ads}"
        );
        assert_eq!(browser.text("#ads-metrics").await, "30 days");
        browser.click("#campaigns button").await;
        browser
            .until("document.getElementById('keywords').textContent.includes('live keyword 1')")
            .await;

        let ga4 = browser.text("#ga4-overview").await;
        assert!(ga4.starts_with(&format!("{property}: ")), "{ga4}");
        assert_eq!(browser.text("#ga4-source").await, "coolbits");
        let rows = browser.text("#ga4-rows").await;
        assert_eq!(rows, "pages: 6sources: 6events: 13devices: 3countries: 5");
        assert_eq!(browser.text("#ga4-funnel-title").await, "Ecommerce");
        assert_eq!(browser.text("#toast").await, "");
        assert_eq!(browser.text("#error").await, "");
        (ads, ga4)
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

    /// Objects of this kind that the stand-in really has.
    async fn objects(&self, kind: &str) -> Vec<Value> {
        let url = format!("{}/judge/objects", self.legacy.url());
        let objects = Ask::get(&url).send().await.json();
        objects[kind].as_array().unwrap().clone()
    }

    /// Leaves; nothing went wrong that was not expected.
    async fn leave(self) {
        self.failed_with(&[]).await;
        self.browser.end().await;
    }
}

#[tokio::test]
async fn chat_stays_within_the_open_client() {
    // What the app stored without a client is the user's under every client.
    chat(unlimited(), &["u1.c0"]).await;
}

#[tokio::test]
async fn chat_stays_within_the_open_client_for_a_limited_token() {
    chat(limited(), &[]).await;
}

async fn chat(claims: Claims, of_none: &[&str]) {
    let visitor = Visitor::with_client(claims, 10).await;
    let browser = &visitor.browser;
    let of_10 = [of_none, &["u1.c10"]].concat();
    let of_11 = [of_none, &["u1.c11"]].concat();

    // The app alone would show client 11's, which is newer.
    visitor.open("/chat/business/seo").await;
    assert_eq!(visitor.place().await, "/chat/business/seo?conv_id=4");
    let messages = browser.text("#messages").await;
    assert!(messages.contains("Question of u1.c10 to seo"), "{messages}");
    visitor.sees_only(&of_10).await;
    let reply = visitor.send("How are we found?").await;
    assert!(
        reply.starts_with("Reply in u1.c10 to: How are we found?"),
        "{reply}"
    );
    let reply = visitor.send("And tomorrow?").await;
    assert!(
        reply.starts_with("Reply in u1.c10 to: And tomorrow?"),
        "{reply}"
    );
    assert!(reply.contains("user: How are we found?"), "{reply}");

    visitor.leave_by("#new-chat").await;
    let begun = visitor.place().await;
    assert!(begun.starts_with("/chat/business/seo?conv_id="), "{begun}");
    assert!(!begun.ends_with("=4"));
    assert_eq!(browser.text("#messages").await.trim(), "");
    let sidebar = browser.text("#sidebar").await;
    assert!(sidebar.contains("Talk with seo of u1.c10"), "{sidebar}");
    let reply = visitor.send("Anew").await;
    assert_eq!(
        reply.trim(),
        "Reply in u1.c10 to: Anew | Before that:",
        "it knows nothing of the first"
    );
    visitor.sees_only(&of_10).await;

    // An agent with whom the client has not talked.
    visitor.open("/chat/business/ads").await;
    let begun = visitor.place().await;
    assert!(begun.starts_with("/chat/business/ads?conv_id="), "{begun}");
    let reply = visitor.send("Hello").await;
    assert!(reply.starts_with("Reply in u1.c10 to: Hello"), "{reply}");
    let talks = visitor.objects("conversations").await;
    let made: Vec<_> = talks.iter().filter(|talk| talk["agent"] == "ads").collect();
    assert_eq!(made.len(), 1);
    assert_eq!(
        (&made[0]["user"], &made[0]["client"]),
        (&json!(1), &json!(10))
    );

    visitor.open("/app").await;
    visitor.switch_to(11).await;
    visitor.open("/chat/business/seo").await;
    assert_eq!(visitor.place().await, "/chat/business/seo?conv_id=6");
    let reply = visitor.send("And here?").await;
    assert!(
        reply.starts_with("Reply in u1.c11 to: And here?"),
        "{reply}"
    );
    visitor.sees_only(&of_11).await;
    visitor.leave().await;
}

#[tokio::test]
async fn conversations_out_of_the_open_client_are_refused() {
    let visitor = Visitor::with_client(unlimited(), 10).await;
    let browser = &visitor.browser;
    // Of user 2, and of client 11: the page goes on with the open client's own.
    browser
        .open(&visitor.sidecar.url("/chat/business/seo?conv_id=10"))
        .await;
    visitor.is_refused().await;
    visitor.open("/chat/business/seo?conv_id=6").await;
    assert_eq!(visitor.place().await, "/chat/business/seo?conv_id=4");
    visitor.sees_only(&["u1.c0", "u1.c10"]).await;

    // A page that names another one than it shows.
    visitor.open("/chat/business/seo").await;
    browser
        .run("document.getElementById('messages').dataset.convId = 6")
        .await;
    browser.fill("#message", "What did they ask?").await;
    browser.click("#send").await;
    browser
        .until("document.getElementById('error').textContent")
        .await;
    visitor.failed_with(&[NOT_FOUND]).await;
    visitor.sees_only(&["u1.c0", "u1.c10"]).await;
    let writes = format!("{}/judge/writes", visitor.legacy.url());
    let writes = Ask::get(&writes).send().await.json();
    let is_chat = |write: &Value| write["route"].as_str().unwrap().contains("/chat/");
    assert!(!writes.as_array().unwrap().iter().any(is_chat), "{writes}");

    // The switcher loads the same address again, and that is another client's now.
    browser.click("#client-switch option[value='11']").await;
    browser
        .until("location.search === '?conv_id=6' && document.body.dataset.ready === '1'")
        .await;
    visitor.sees_only(&["u1.c0", "u1.c11"]).await;
    visitor.leave().await;
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
async fn connectors_show_the_open_client_only() {
    connectors(unlimited()).await;
}

#[tokio::test]
async fn connectors_show_the_open_client_only_for_a_limited_token() {
    connectors(limited()).await;
}

async fn connectors(claims: Claims) {
    let visitor = Visitor::with_client(claims, 10).await;
    visitor.open("/connectors").await;
    let store = visitor
        .connectors_of("u1.c10", "123-456-7890", "G-ABC123DEF4")
        .await;
    visitor.switch_to(11).await;
    let services = visitor
        .connectors_of("u1.c11", "234-567-8901", "G-XYZ789GHI0")
        .await;
    assert!(store.0 != services.0 && store.1 != services.1);
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
