//! The connectors page while the gateway is on, hanging, found again and off, and
//! with GA4 that is not connected: it always fills, and says whose figures it shows.

use super::{Visitor, limited, unlimited};
use crate::support::{Setup, eventually, fault, token};
use serde_json::{Value, json};

const PROPERTY: &str = "G-ABC123DEF4";
/// Another account of Coolbits' list, of nobody among user 1's clients.
const SECOND: &str = "G-JKL456MNO1";

/// What the console says of a choice that could not be made. The page itself ignores it.
fn not_chosen(status: u16) -> String {
    format!(
        "/ga4/property - Failed to load resource: the server responded with a status of {status} "
    )
}

/// Gives up on Coolbits soon, and asks again as soon.
fn impatient() -> Setup {
    Setup::default()
        .set("SIDECAR__GATEWAY__DEADLINE", "2s")
        .set("SIDECAR__GATEWAY__ATTEMPT_TIMEOUT", "1s")
        .set("SIDECAR__GATEWAY__PROBE_INTERVAL", "200ms")
        .set("SIDECAR__BREAKER__CONSECUTIVE", 3)
        // Not over before the probe finds out.
        .set("SIDECAR__BREAKER__OPEN", "1m")
        .set("SIDECAR__CACHE__FALLBACK_TTL", "0s")
}

impl Visitor {
    async fn with_gateway(setup: Setup) -> Self {
        let visitor = Self::signed_in_with(setup, unlimited()).await;
        visitor.switch_to(10).await;
        visitor.open("/connectors").await;
        visitor
    }

    /// Every panel shows figures, and nothing says that something is wrong.
    async fn is_filled(&self) {
        let browser = &self.browser;
        let ads = browser.text("#ads-summary").await;
        assert!(
            ads.starts_with("Spent $") && !ads.contains("$0.00"),
            "{ads}"
        );
        let rows = "return document.querySelectorAll('#campaigns tr').length";
        assert!(browser.run(rows).await.as_u64() > Some(1));
        assert_eq!(browser.text("#ads-metrics").await, "30 days");
        let ga4 = browser.text("#ga4-overview").await;
        assert!(
            ga4.starts_with(&format!("{PROPERTY}: ")) && !ga4.contains(": 0 sessions"),
            "{ga4}"
        );
        let rows = browser.text("#ga4-rows").await;
        assert!(rows.contains("pages: ") && !rows.contains(": 0"), "{rows}");
        assert_eq!(browser.text("#ga4-funnel-title").await, "Ecommerce");
        let funnel = browser.text("#ga4-funnel").await;
        assert!(funnel.ends_with('%'), "{funnel}");
        let site = browser.text("#site-overview").await;
        assert!(site.starts_with("sc-domain:camarad.ai: "), "{site}");
        let container = browser.text("#container-overview").await;
        assert!(container.starts_with("GTM-WX4R7N2: "), "{container}");
        assert_eq!(browser.text("#toast").await, "");
        assert_eq!(browser.text("#error").await, "");
    }

    /// Who gave the figures of these reads, asked as the page asks.
    async fn sources(&self, reads: &[&str]) -> Vec<Value> {
        let mut sources = Vec::new();
        for read in reads {
            let asked = format!("return ui.json('/api/connectors/{read}')");
            sources.push(self.browser.run(&asked).await["source"].clone());
        }
        sources
    }

    /// Chooses in a selector, and waits until the panel has shown it.
    async fn choose(&self, selector: &str, panel: &str, value: &str) {
        let loads = format!("Number(document.getElementById('{panel}').dataset.loads)");
        let before = self.browser.run(&format!("return {loads}")).await;
        let option = format!("#{selector} option[value='{value}']");
        self.browser.click(&option).await;
        self.browser.until(&format!("{loads} > {before}")).await;
    }
}

#[tokio::test]
async fn figures_are_real_while_coolbits_answers() {
    // Search Console and Tag Manager are the mock's unless they are asked for.
    let visitor = Visitor::with_gateway(Setup::default()).await;
    visitor.is_filled().await;
    visitor.badge_says("Live via Coolbits", "coolbits").await;
    let bridged = ["google-search-console/queries", "google-tag-manager/tags"];
    let read = [["google-ads/campaigns", "ga4/overview"], bridged].concat();
    let sources = visitor.sources(&read).await;
    assert_eq!(sources, ["coolbits", "coolbits", "mock", "mock"]);
    visitor.leave().await;

    let setup = Setup::default().set("SIDECAR__GATEWAY__MOCK_ONLY", "");
    let visitor = Visitor::with_gateway(setup).await;
    visitor.is_filled().await;
    assert_eq!(visitor.sources(&bridged).await, ["coolbits", "coolbits"]);
    let figures = visitor.browser.text("#site-rows").await;
    let sites = "sites";
    let blog = "https://blog.camarad.ai/";
    assert!(visitor.offered(sites).await.contains(&blog.to_owned()));
    visitor.coolbits.forget().await;
    visitor.choose(sites, "search-console", blog).await;
    assert_ne!(visitor.browser.text("#site-rows").await, figures);
    let asked = visitor.coolbits.calls_to("/gsc/report").await;
    assert_eq!(asked.len(), 8, "every report of the other site");
    visitor.leave().await;
}

#[tokio::test]
async fn a_coolbits_that_hangs_leaves_a_page_with_made_up_figures_until_it_is_back() {
    let visitor = Visitor::signed_in_with(impatient(), limited()).await;
    visitor.switch_to(10).await;
    visitor.coolbits.faults(fault("hang")).await;
    visitor.open("/connectors").await;
    visitor.is_filled().await;
    visitor.badge_says("Mock", "mock").await;
    visitor.failed_with(&[&not_chosen(502)]).await;
    let breaker = "sidecar_breaker_state{upstream=\"coolbits\"}";
    eventually("the breaker is open", || async {
        visitor.sidecar.metric(breaker).await == 2.0
    })
    .await;

    // Open, nobody waits for Coolbits.
    visitor.coolbits.forget().await;
    visitor.open("/connectors").await;
    visitor.is_filled().await;
    visitor.badge_says("Mock", "mock").await;
    visitor.failed_with(&[&not_chosen(502)]).await;
    assert!(visitor.coolbits.calls().await.is_empty());

    visitor.coolbits.faults(fault("none")).await;
    let caller = token(limited());
    eventually("the breaker closes", || async {
        visitor.sidecar.ads(&caller, "10", "campaigns").await;
        visitor.sidecar.metric(breaker).await == 0.0
    })
    .await;
    visitor.open("/connectors").await;
    visitor.is_filled().await;
    visitor.badge_says("Live via Coolbits", "coolbits").await;
    visitor.leave().await;
}

#[tokio::test]
async fn figures_are_made_up_while_the_gateway_is_off() {
    let setup = Setup::default().set("COOLBITS_GATEWAY_ENABLED", "off");
    let visitor = Visitor::with_gateway(setup).await;
    visitor.is_filled().await;
    visitor.badge_says("Mock", "mock").await;
    let reads = [
        "google-ads/campaigns",
        "ga4/overview",
        "google-search-console/queries",
        "google-tag-manager/tags",
    ];
    assert_eq!(visitor.sources(&reads).await, ["mock"; 4]);
    assert!(visitor.coolbits.calls().await.is_empty());
    visitor.failed_with(&[&not_chosen(400)]).await;
    visitor.leave().await;
}

#[tokio::test]
async fn ga4_that_is_not_connected_says_so() {
    let setup = Setup::default().set("SIDECAR__CACHE__CAPACITY_BYTES", 0);
    let visitor = Visitor::with_gateway(setup).await;
    // All of it, or the reports of a property that is still listed.
    for (only, chosen) in [("/ga4/", false), ("/ga4/report", true)] {
        let faults = json!({"fault": "recognised", "error": "not_connected", "only": only});
        visitor.coolbits.faults(faults).await;
        visitor.open("/connectors").await;
        let browser = &visitor.browser;
        let words = browser.text("#ga4-overview").await;
        assert_eq!(words, "GA4 not connected in Coolbits yet.");
        visitor.badge_says("Live via Coolbits", "coolbits").await;
        let rows = browser.text("#ga4-rows").await;
        assert_eq!(rows, "pages: 0sources: 0events: 0devices: 0countries: 0");
        assert_eq!(browser.text("#ga4-funnel-title").await, "Funnel");
        let funnel = browser.text("#ga4-funnel").await;
        assert_eq!(funnel.trim(), "Overall: \u{2014}");
        assert_eq!(browser.text("#toast").await, "");
        assert_eq!(!visitor.offered("ga4-properties").await.is_empty(), chosen);
        // The contract's one answer about it that is no 200.
        let status = "the server responded with a status of 400 ";
        visitor.failed_with(&[status]).await;
        let ads = browser.text("#ads-summary").await;
        assert!(ads.starts_with("Spent $"), "{ads}");
    }
    visitor.leave().await;
}

#[tokio::test]
async fn another_property_is_chosen_at_coolbits_and_shown() {
    let visitor = Visitor::with_gateway(Setup::default()).await;
    let browser = &visitor.browser;
    let link = json!({"client_id": 10, "connector_slug": "ga4", "account_id": SECOND});
    let linked = format!("return ui.json('/api/client_connectors', 'POST', {link})");
    assert_eq!(browser.run(&linked).await["success"], true);
    visitor.open("/connectors").await;
    assert_eq!(visitor.offered("ga4-properties").await, [PROPERTY, SECOND]);
    let before = browser.text("#ga4-overview").await;
    visitor.coolbits.forget().await;

    visitor.choose("ga4-properties", "ga4", SECOND).await;
    let after = browser.text("#ga4-overview").await;
    assert!(after.starts_with(&format!("{SECOND}: ")), "{after}");
    let figures = |text: &str| text.split_once(": ").unwrap().1.to_owned();
    assert_ne!(figures(&before), figures(&after));
    visitor.badge_says("Live via Coolbits", "coolbits").await;

    let chosen = visitor.coolbits.calls_to("/ga4/property").await;
    assert_eq!((chosen.len(), &chosen[0]["method"]), (1, &json!("POST")));
    assert_eq!(chosen[0]["body"], json!({"propertyId": SECOND}));
    let reports = visitor.coolbits.calls_to("/ga4/report").await;
    assert_eq!(reports.len(), 7, "six at once and the funnel");
    // And the app has stored it, for its own runs.
    let settings = browser.run("return ui.json('/api/connectors/ga4')").await;
    assert_eq!(settings["config"]["property_id"], SECOND);
    visitor.leave().await;
}
