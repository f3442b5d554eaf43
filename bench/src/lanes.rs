//! What a request costs in each lane.

use crate::load::{self, Round};
use crate::processes::{self, PassThrough, Process, Sidecar, StandIn};
use crate::table::{cores, median, publish, spread};
use std::fmt::Write;
use std::io;
use std::time::Duration;

const ROUNDS: usize = 7;
const LENGTH: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 16;

struct Scenario<'a> {
    name: &'static str,
    process: &'a Process,
    request: String,
    status: &'static str,
    rounds: Vec<Round>,
}

pub(crate) async fn measure() -> io::Result<()> {
    let legacy = StandIn::start("legacy").await?;
    let coolbits = StandIn::start("coolbits").await?;
    let cached = Sidecar::start(&legacy, &coolbits).await?;
    let uncached = "[cache]\napp_reads = false\n";
    let sidecar = Sidecar::start_with(&legacy, &coolbits, uncached).await?;
    let unguarded = "[tenancy.modes]\n\"flows.one\" = \"off\"\n";
    let unguarded = Sidecar::start_with(&legacy, &coolbits, unguarded).await?;
    let bare = PassThrough::start(&legacy).await?;
    let token = processes::token();
    // The app itself goes by the cookie; the sidecar overwrites it.
    let session = format!(
        "Authorization: Bearer {token}\r\nX-Client-ID: 10\r\nCookie: camarad_user_id=1\r\n"
    );
    let foreign = format!("Authorization: Bearer {token}\r\nX-Client-ID: 99\r\n");
    let campaigns = "/api/connectors/google-ads/campaigns";
    let page = "/static/judge/bytes/1024";
    let scenario = |name, process, path: &str, headers: &str, status| Scenario {
        name,
        process,
        request: format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n"),
        status,
        rounds: Vec::new(),
    };
    let renaming = {
        let body = r#"{"name": "renamed"}"#;
        format!(
            "PUT /api/flows/2 HTTP/1.1\r\nHost: bench\r\n{session}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let (app, bare, ours) = (&legacy.process, &bare.process, &sidecar.process);
    let unguarded = &unguarded.process;
    let write = |name, process| Scenario {
        name,
        process,
        request: renaming.clone(),
        status: "200",
        rounds: Vec::new(),
    };
    let mut scenarios = [
        scenario("the app itself, 1 KB", app, page, "", "200"),
        scenario("bare Pingora, 1 KB", bare, page, "", "200"),
        scenario("stream lane, 1 KB", ours, page, "", "200"),
        scenario(
            "bare Pingora, API route",
            bare,
            "/api/flows",
            &session,
            "200",
        ),
        scenario(
            "stream lane, API route with a token",
            ours,
            "/api/chat/suggestions",
            &session,
            "200",
        ),
        scenario(
            "API lane, a list looked through",
            ours,
            "/api/flows",
            &session,
            "200",
        ),
        scenario(
            "API lane, one flow, told by its own answer",
            ours,
            "/api/flows/2",
            &session,
            "200",
        ),
        scenario(
            "the same without the guard",
            unguarded,
            "/api/flows/2",
            &session,
            "200",
        ),
        write("API lane, a flow renamed, looked up first", ours),
        write("the same without the guard", unguarded),
        scenario(
            "API lane, made up and tagged",
            ours,
            "/api/connectors/aws/ec2",
            &session,
            "200",
        ),
        scenario(
            "API lane, a list from the cache, looked through",
            &cached.process,
            "/api/flows",
            &session,
            "200",
        ),
        scenario("API lane, cache hit", ours, campaigns, &session, "200"),
        scenario("refused client", ours, campaigns, &foreign, "404"),
    ];
    for _ in 0..ROUNDS {
        for scenario in &mut scenarios {
            let before = scenario.process.cpu()?;
            let target = scenario.process.address;
            let run = load::run(
                target,
                &scenario.request,
                scenario.status,
                CONNECTIONS,
                LENGTH,
            );
            let mut round = run.await?;
            round.cpu = scenario.process.cpu()? - before;
            scenario.rounds.push(round);
        }
    }
    publish("lanes.md", &table(&scenarios))
}

fn table(scenarios: &[Scenario<'_>]) -> String {
    let mut out = format!(
        "# Cost of a request in each lane\n\n{} cores, {CONNECTIONS} keep-alive connections, {ROUNDS} interleaved rounds of {} s; \
         load, app and the measured process share the machine. Medians (least to most). CPU is the measured process's own; \
         the ratio is to the bare Pingora of the same run, 1 KB, \
         which has the C library's allocator where the sidecar has mimalloc.\n\n\
         | scenario | requests/s | CPU µs per request | ratio |\n|---|---|---|---|\n",
        cores(),
        LENGTH.as_secs()
    );
    let cost = |scenario: &Scenario<'_>| median(scenario.rounds.iter().map(Round::cpu_micros));
    let bare = cost(&scenarios[1]);
    for scenario in scenarios {
        let rate = spread(scenario.rounds.iter().map(Round::rate), 0);
        let cpu = spread(scenario.rounds.iter().map(Round::cpu_micros), 1);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {} | {rate} | {cpu} | {:.2} |",
            scenario.name,
            cost(scenario) / bare
        );
    }
    out
}
