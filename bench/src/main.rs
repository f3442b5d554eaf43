//! A first measurement: what the sidecar costs per request, against the app asked directly.
//!
//! Rounds are interleaved (A B C A B C …), so that a disturbance of the machine
//! hits all of them; the table gives medians and spreads. CPU is the sidecar's
//! own, read from `/proc`. Figures of different runs must not be compared.
//!
//! Not here yet: peers, open-loop latency, allocations.

mod load;
mod processes;

use load::Round;
use processes::{Sidecar, StandIn};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 16;

struct Scenario {
    name: &'static str,
    target: SocketAddr,
    request: String,
    status: &'static str,
    rounds: Vec<Round>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let legacy = StandIn::start("legacy").await?;
    let coolbits = StandIn::start("coolbits").await?;
    let sidecar = Sidecar::start(&legacy, &coolbits).await?;
    let token = processes::token();
    let scenario = |name, target, path: &str, headers: &str, status| Scenario {
        name,
        target,
        request: format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n"),
        status,
        rounds: Vec::new(),
    };
    let session = format!("Authorization: Bearer {token}\r\nX-Client-ID: 10\r\n");
    let foreign = format!("Authorization: Bearer {token}\r\nX-Client-ID: 99\r\n");
    let campaigns = "/api/connectors/google-ads/campaigns";
    let mut scenarios = [
        scenario(
            "the app itself, 1 KB",
            legacy.address,
            "/judge/bytes/1024",
            "",
            "200",
        ),
        scenario(
            "stream lane, 1 KB",
            sidecar.address,
            "/judge/bytes/1024",
            "",
            "200",
        ),
        scenario(
            "stream lane, with a token",
            sidecar.address,
            "/api/flows",
            &session,
            "200",
        ),
        scenario(
            "API lane, made up and tagged",
            sidecar.address,
            "/api/connectors/aws/ec2",
            &session,
            "200",
        ),
        scenario(
            "API lane, cache hit",
            sidecar.address,
            campaigns,
            &session,
            "200",
        ),
        scenario(
            "refused client",
            sidecar.address,
            campaigns,
            &foreign,
            "404",
        ),
    ];
    for _ in 0..ROUNDS {
        for scenario in &mut scenarios {
            let before = sidecar.cpu()?;
            let mut round = load::run(
                scenario.target,
                &scenario.request,
                scenario.status,
                CONNECTIONS,
                LENGTH,
            )
            .await?;
            round.cpu = sidecar.cpu()? - before;
            scenario.rounds.push(round);
        }
    }
    let table = table(&scenarios);
    say(&table);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/results/first.md");
    std::fs::write(path, table)
}

fn table(scenarios: &[Scenario]) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut out = format!(
        "# First measurement\n\n{cores} cores, {CONNECTIONS} keep-alive connections, {ROUNDS} interleaved rounds of {} s; \
         load, app and sidecar share the machine. Medians (least to most).\n\n\
         | scenario | requests/s | sidecar CPU µs per request |\n|---|---|---|\n",
        LENGTH.as_secs()
    );
    for scenario in scenarios {
        let rate = spread(scenario.rounds.iter().map(Round::rate), 0);
        let cpu = spread(scenario.rounds.iter().map(Round::cpu_micros), 1);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {} | {rate} | {cpu} |", scenario.name);
    }
    out
}

fn spread(values: impl Iterator<Item = f64>, places: usize) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    format!(
        "{:.places$} ({least:.places$} to {most:.places$})",
        values[values.len() / 2]
    )
}

#[allow(clippy::print_stdout)] // The result is for whoever asked for it.
fn say(text: &str) {
    println!("{text}");
}
