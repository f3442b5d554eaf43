//! The connectors page shows the accounts and figures of the client that is open.

use super::{Visitor, limited, unlimited};
use crate::support::Claims;

impl Visitor {
    /// What a selector offers.
    pub(super) async fn offered(&self, id: &str) -> Vec<String> {
        let values =
            format!("return [...document.getElementById('{id}').options].map((o) => o.value)");
        serde_json::from_value(self.browser.run(&values).await).unwrap()
    }

    /// Whose figures GA4 says it shows.
    pub(super) async fn badge_says(&self, live_or_mock: &str, source: &str) {
        let badge = self.browser.text("#ga4-badge").await;
        assert_eq!(badge, format!("Connected \u{b7} {live_or_mock}"));
        assert_eq!(self.browser.text("#ga4-source").await, source);
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
        assert_eq!(self.offered("accounts").await, [account]);
        assert_eq!(self.offered("ga4-properties").await, [property]);

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
        self.badge_says("Live via Coolbits", "coolbits").await;
        let rows = browser.text("#ga4-rows").await;
        assert_eq!(rows, "pages: 6sources: 6events: 13devices: 3countries: 5");
        assert_eq!(browser.text("#ga4-funnel-title").await, "Ecommerce");
        assert_eq!(browser.text("#toast").await, "");
        assert_eq!(browser.text("#error").await, "");
        (ads, ga4)
    }
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
