//! S10: the calls of the connectors page, replayed: 50 users with two clients each, a minute
//! long, and then the same while Coolbits hangs.
//!
//! Each client's page is open in one browser that loads it again every few seconds, as
//! people do; what a page asks is in the order of the contract's section 7. Misses are
//! held against the same two requests made straight at Coolbits, in between.

use crate::processes::{ADMIN_TOKEN, Sidecar, StandIn, token_of_user};
use crate::table::{cores, publish};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const USERS: u64 = 50;
/// A page is loaded again after this long, and up to as much more.
const PAUSE: Duration = Duration::from_secs(5);
const LENGTH: Duration = Duration::from_secs(60);
const OUTAGE: Duration = Duration::from_secs(20);

/// One request as its caller saw it.
struct Seen {
    /// `hit`, `miss`, `collapsed`, `fallback`, `direct`, `other`.
    kind: &'static str,
    took: Duration,
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// One open page.
#[derive(Clone)]
struct Page {
    http: reqwest::Client,
    base: String,
    coolbits: String,
    token: String,
    client: u64,
    account: String,
    property: String,
}

pub(crate) async fn measure() -> io::Result<()> {
    let legacy = StandIn::start("legacy").await?;
    let coolbits = StandIn::start("coolbits").await?;
    let file = "[breaker]\nopen = \"1m\"\n";
    let sidecar = Sidecar::start_with(&legacy, &coolbits, file).await?;
    let pages = open_pages(&sidecar, &coolbits).await?;
    let log = Log::default();
    let (before, started) = (upstream_calls(&sidecar).await?, Instant::now());
    replay(&pages, &log, LENGTH).await?;
    let (after, took) = (upstream_calls(&sidecar).await?, started.elapsed());
    let hits = cache_results(&sidecar).await?;

    // The same while Coolbits hangs: what is measured is what comes once the breaker is open.
    fault(&coolbits, json!({"fault": "hang"})).await?;
    let outage = Log::default();
    replay(&pages, &outage, Duration::from_secs(5)).await?;
    let outage = Log::default();
    replay(&pages, &outage, OUTAGE).await?;

    let mut kinds = BTreeMap::<&str, Vec<Duration>>::new();
    let both = [log, outage];
    for log in &both {
        for seen in log.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            kinds.entry(seen.kind).or_default().push(seen.took);
        }
    }
    let per_minute = |name: &str| {
        let calls = after.get(name).unwrap_or(&0.0) - before.get(name).unwrap_or(&0.0);
        calls * 60.0 / took.as_secs_f64()
    };
    let calls = [
        ("coolbits", per_minute("coolbits")),
        ("legacy", per_minute("legacy")),
    ];
    publish("dashboard.md", &table(&kinds, &hits, &calls))
}

/// Makes users with two clients each, linked to accounts of their own, through the sidecar.
async fn open_pages(sidecar: &Sidecar, coolbits: &StandIn) -> io::Result<Vec<Page>> {
    let mut pages = Vec::new();
    for user in 100..100 + USERS {
        for n in 0..2 {
            let http = reqwest::Client::builder()
                .no_proxy()
                .build()
                .map_err(io::Error::other)?;
            let mut page = Page {
                http,
                base: format!("http://{}", sidecar.process.address),
                coolbits: format!("http://{}", coolbits.process.address),
                token: token_of_user(user),
                client: 0,
                account: format!("{:010}", user * 10 + n),
                property: format!("G-{user}X{n}"),
            };
            let name = json!({"name": format!("Client {n} of {user}")});
            let made = page.post("/api/clients", &name).await?;
            page.client = made["id"]
                .as_u64()
                .ok_or_else(|| io::Error::other(made.to_string()))?;
            for (slug, account) in [("google-ads", &page.account), ("ga4", &page.property)] {
                let link = json!({"client_id": page.client, "connector_slug": slug, "account_id": account});
                page.post("/api/client_connectors", &link).await?;
            }
            pages.push(page);
        }
    }
    Ok(pages)
}

async fn replay(pages: &[Page], log: &Log, length: Duration) -> io::Result<()> {
    let until = Instant::now() + length;
    let tasks: Vec<_> = pages
        .iter()
        .cloned()
        .map(|page| {
            let log = log.clone();
            tokio::spawn(async move {
                tokio::time::sleep(PAUSE.mul_f64(fastrand::f64())).await;
                while Instant::now() < until {
                    page.load(&log).await?;
                    tokio::time::sleep(PAUSE.mul_f64(1.0 + fastrand::f64())).await;
                }
                io::Result::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(())
}

impl Page {
    /// Loads the page once, in its order.
    async fn load(&self, log: &Log) -> io::Result<()> {
        let (account, property) = (&self.account, &self.property);
        self.read("/api/connectors/list?all=1", log).await?;
        let ads = "/api/connectors/google-ads";
        self.read(&format!("{ads}/accounts"), log).await?;
        self.read(
            &format!("{ads}/campaigns?account_id={account}&days=30"),
            log,
        )
        .await?;
        self.read(&format!("{ads}/metrics?account_id={account}&days=30"), log)
            .await?;
        let ga4 = "/api/connectors/ga4";
        self.read(&format!("{ga4}/properties"), log).await?;
        let chosen = json!({"propertyId": property});
        self.post(&format!("{ga4}/property"), &chosen).await?;
        for part in [
            "overview",
            "pages",
            "sources",
            "events",
            "devices",
            "countries",
            "funnel",
        ] {
            let target = format!("{ga4}/{part}?property_id={property}&range=30days");
            self.read(&target, log).await?;
        }
        self.direct(log).await
    }

    async fn read(&self, target: &str, log: &Log) -> io::Result<()> {
        let started = Instant::now();
        let request = self.http.get(format!("{}{target}", self.base));
        let request = request
            .bearer_auth(&self.token)
            .header("X-Client-ID", self.client);
        let answer = request.send().await.map_err(io::Error::other)?;
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (told, source) = (header("cache-status"), header("x-camarad-source"));
        let status = answer.status();
        let body = answer.bytes().await.map_err(io::Error::other)?;
        let took = started.elapsed();
        if !status.is_success() {
            let words = String::from_utf8_lossy(&body).into_owned();
            return Err(io::Error::other(format!("{target}: {status} {words}")));
        }
        let kind = match told.strip_prefix("camarad-sidecar; ").unwrap_or_default() {
            told if told.starts_with("hit") => "hit",
            told if told.contains("collapsed") => "collapsed",
            _ if source == "mock" => "fallback",
            _ if source == "coolbits" => "miss",
            _ => "app",
        };
        note(log, kind, took);
        Ok(())
    }

    /// The two requests of a report, straight at Coolbits.
    async fn direct(&self, log: &Log) -> io::Result<()> {
        if fastrand::u8(..4) > 0 {
            return Ok(());
        }
        let started = Instant::now();
        let chosen = json!({"customerId": self.account});
        let select = self
            .http
            .post(format!(
                "{}/api/connectors/googleads/customer",
                self.coolbits
            ))
            .bearer_auth(&self.token)
            .json(&chosen)
            .timeout(Duration::from_secs(2));
        let report = self
            .http
            .get(format!(
                "{}/api/connectors/googleads/report?account_id={}&preset=campaigns&from=2026-10-01&to=2026-10-30&blocks=overview,campaigns",
                self.coolbits, self.account
            ))
            .bearer_auth(&self.token)
            .timeout(Duration::from_secs(2));
        // While it hangs there is nothing to compare with.
        if let Ok(selected) = select.send().await
            && selected.bytes().await.is_ok()
            && let Ok(report) = report.send().await
            && report.bytes().await.is_ok()
        {
            note(log, "direct", started.elapsed());
        }
        Ok(())
    }

    async fn post(&self, target: &str, body: &Value) -> io::Result<Value> {
        let request = self.http.post(format!("{}{target}", self.base));
        let mut request = request.bearer_auth(&self.token).json(body);
        if self.client > 0 {
            request = request.header("X-Client-ID", self.client);
        }
        let answer = request.send().await.map_err(io::Error::other)?;
        answer.json().await.map_err(io::Error::other)
    }
}

fn note(log: &Log, kind: &'static str, took: Duration) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.push(Seen { kind, took });
}

async fn fault(coolbits: &StandIn, faults: Value) -> io::Result<()> {
    let url = format!("http://{}/_faults", coolbits.process.address);
    let http = reqwest::Client::new();
    let answer = http.post(url).json(&faults).send().await;
    answer.map_err(io::Error::other)?;
    Ok(())
}

async fn metrics(sidecar: &Sidecar) -> io::Result<String> {
    let http = reqwest::Client::new();
    let request = http
        .get(format!("http://{}/metrics", sidecar.admin))
        .bearer_auth(ADMIN_TOKEN);
    let page = request.send().await.map_err(io::Error::other)?;
    page.text().await.map_err(io::Error::other)
}

/// Requests made of each upstream so far.
async fn upstream_calls(sidecar: &Sidecar) -> io::Result<BTreeMap<String, f64>> {
    labelled(sidecar, "sidecar_upstream_requests_total{", "upstream").await
}

/// What the cache did so far, by result.
async fn cache_results(sidecar: &Sidecar) -> io::Result<BTreeMap<String, f64>> {
    labelled(sidecar, "sidecar_cache_requests_total{", "result").await
}

/// The sums of a metric's series by one label.
async fn labelled(
    sidecar: &Sidecar,
    series: &str,
    label: &str,
) -> io::Result<BTreeMap<String, f64>> {
    let mut sums = BTreeMap::new();
    for line in metrics(sidecar).await?.lines() {
        let Some(rest) = line.strip_prefix(series) else {
            continue;
        };
        let mark = format!("{label}=\"");
        let of = rest
            .split(&mark)
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let value = line
            .rsplit(' ')
            .next()
            .and_then(|value| value.parse::<f64>().ok());
        if let (Some(of), Some(value)) = (of, value) {
            *sums.entry(of.to_owned()).or_default() += value;
        }
    }
    Ok(sums)
}

/// Nearest rank, in milliseconds.
fn percentile(sorted: &[Duration], rank: f64) -> f64 {
    let at = ((sorted.len() as f64 * rank).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted
        .get(at)
        .map_or(0.0, |took| took.as_secs_f64() * 1000.0)
}

fn table(
    kinds: &BTreeMap<&str, Vec<Duration>>,
    results: &BTreeMap<String, f64>,
    calls: &[(&str, f64)],
) -> String {
    let mut out = format!(
        "# S10: the connectors page, replayed\n\n{} cores. {USERS} users with two clients each, every client's page loaded again after {} to {} s \
         for {} s, then while Coolbits hangs for {} s (measured from 5 s on: the breaker is open). Load, stand-ins and sidecar share the machine, \
         so the times hold the caller's and the stand-ins' own.\n\n\
         | answer | requests | p50 ms | p99 ms | budget at p99 |\n|---|---|---|---|---|\n",
        cores(),
        PAUSE.as_secs(),
        2 * PAUSE.as_secs(),
        LENGTH.as_secs(),
        OUTAGE.as_secs(),
    );
    let mut figures = BTreeMap::new();
    for (kind, took) in kinds {
        let mut sorted = took.clone();
        sorted.sort_unstable();
        figures.insert(
            *kind,
            (
                percentile(&sorted, 0.5),
                percentile(&sorted, 0.99),
                sorted.len(),
            ),
        );
    }
    let of = |kind: &str| figures.get(kind).copied().unwrap_or_default();
    let direct = of("direct");
    let miss = format!(
        "{:.2} (straight at Coolbits {:.2}, and 5)",
        direct.1 + 5.0,
        direct.1
    );
    for (kind, name, budget) in [
        ("hit", "from the cache", "2".to_owned()),
        ("miss", "mapped from Coolbits", miss),
        ("collapsed", "waited for another's fetch", String::new()),
        (
            "fallback",
            "from the mock, the breaker open",
            "5".to_owned(),
        ),
        ("app", "from the app", String::new()),
        (
            "direct",
            "straight at Coolbits: selected and read",
            String::new(),
        ),
    ] {
        let (half, most, count) = of(kind);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {name} | {count} | {half:.2} | {most:.2} | {budget} |"
        );
    }
    let all: f64 = results.values().sum();
    let share = |name: &str| 100.0 * results.get(name).unwrap_or(&0.0) / all.max(1.0);
    let _ = writeln!(
        out,
        "\nBefore the outage {:.0} % of the reads were hits, {:.0} % misses, {:.1} % expired, {:.1} % collapsed. Upstream requests a minute: {}.",
        share("hit"),
        share("miss"),
        share("expired"),
        share("collapsed"),
        calls
            .iter()
            .map(|(name, calls)| format!("{name} {calls:.0}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    out
}
