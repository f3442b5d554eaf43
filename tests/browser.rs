//! The app's pages in a real browser, through the sidecar: what the UI does by
//! itself has to work, and to stay within the client that is open.

mod chat;
mod clients;
mod connectors;
mod gateway;
mod orchestrator;

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
    coolbits: StandIn,
}

impl Visitor {
    /// Signed in, with this client open.
    async fn with_client(claims: Claims, client: u64) -> Self {
        let visitor = Self::signed_in(claims).await;
        visitor.switch_to(client).await;
        visitor
    }

    async fn signed_in(claims: Claims) -> Self {
        Self::signed_in_with(Setup::default(), claims).await
    }

    async fn signed_in_with(setup: Setup, claims: Claims) -> Self {
        let (started, browser) = tokio::join!(Sidecar::with_stand_ins(setup), Browser::start());
        let (sidecar, coolbits, legacy) = started;
        let visitor = Self {
            browser,
            sidecar,
            legacy,
            coolbits,
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
