//! The sidecar beside what a user would pick instead: the same work, on the same machine, in
//! the same run.
//!
//! Each is checked to do the work before it is measured. Its configuration is in `peers/`,
//! as somebody who knows it would write it: one worker, keep-alive to the app, no access
//! log. What the table does not say: peers verify a token each time, and the sidecar
//! remembers one that it has verified.

use crate::load::{self, Round};
use crate::processes::{self, Claims, PassThrough, Process, Sidecar, StandIn};
use crate::table::{cores, median, publish, spread};
use serde_json::{Value, json};
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

const CONNECTIONS: usize = 32;
const LENGTH: Duration = Duration::from_secs(1);
/// The answer that is passed through.
const PAGE: &str = "/static/judge/bytes/1024";
/// A list of one client's.
const LIST: &str = "/api/flows";

/// Somebody who does the work.
struct Peer {
    name: &'static str,
    process: Process,
    /// Where answers are not kept.
    plain: SocketAddr,
    /// Where they are; `None` where there is nothing to ask but what passes through.
    cached: Option<SocketAddr>,
}

/// What is asked: name, and its figures by peer.
struct Scenario {
    name: &'static str,
    request: String,
    status: &'static str,
    is_cached: bool,
    /// The goal: at most this share of the best peer, or of a bare Pingora.
    goal: (f64, &'static str),
    rounds: Vec<Vec<Round>>,
}

/// `rounds` of each scenario.
pub(crate) async fn measure(rounds: usize) -> io::Result<()> {
    let legacy = StandIn::start("legacy").await?;
    let coolbits = StandIn::start("coolbits").await?;
    let one = "[server]\nthreads = 1\n[limits]\nkeepalive_requests = 1000000\n";
    let uncached = format!("{one}[cache]\napp_reads = false\n");
    let ours = Sidecar::start_with(&legacy, &coolbits, &uncached).await?;
    let keeping = Sidecar::start_with(&legacy, &coolbits, one).await?;
    let bare = PassThrough::start_with(&legacy, 1).await?;
    let dir = tempfile::tempdir()?;
    let app = legacy.process.address;
    let peers = [
        Peer {
            name: "bare Pingora 0.9.1",
            plain: bare.process.address,
            process: bare.process,
            cached: None,
        },
        haproxy(dir.path(), app).await?,
        nginx(dir.path(), app).await?,
        Peer {
            name: "camarad-sidecar",
            plain: ours.process.address,
            process: ours.process,
            cached: None,
        },
        // The same, with its cache; a process of its own, so that nothing else is counted.
        Peer {
            name: "camarad-sidecar",
            plain: keeping.process.address,
            cached: Some(keeping.process.address),
            process: keeping.process,
        },
    ];
    for peer in &peers[1..] {
        check(peer, app).await?;
    }
    let request =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\n");
    let own = headers(&processes::token(), 10);
    let foreign = headers(&processes::token(), 20);
    let scenario = |name, request, status, goal| Scenario {
        name,
        request,
        status,
        is_cached: false,
        goal,
        rounds: peers.iter().map(|_| Vec::new()).collect(),
    };
    let best = "the best peer";
    let mut scenarios = [
        scenario(
            "S1 pass-through, 1 KB",
            request(PAGE, ""),
            "200",
            (1.05, "bare Pingora"),
        ),
        scenario(
            "S2 token by HS256, client in its claim",
            request(LIST, &own),
            "200",
            (0.85, best),
        ),
        Scenario {
            is_cached: true,
            ..scenario(
                "S3 the same, kept",
                request(LIST, &own),
                "200",
                (0.65, best),
            )
        },
        scenario(
            "S4 a client that is refused",
            request(LIST, &foreign),
            "404",
            (0.70, best),
        ),
    ];
    for _ in 0..rounds {
        for scenario in &mut scenarios {
            for (peer, measured) in peers.iter().zip(&mut scenario.rounds) {
                let Some(address) = target(peer, scenario.is_cached, scenario.name) else {
                    continue;
                };
                let before = peer.process.cpu()?;
                let (request, status) = (&scenario.request, scenario.status);
                let mut round = load::run(address, request, status, CONNECTIONS, LENGTH).await?;
                round.cpu = peer.process.cpu()? - before;
                measured.push(round);
            }
        }
    }
    let versions = versions().await;
    publish("peers.json", &raw(&peers, &scenarios, &versions))?;
    publish("peers.md", &table(&peers, &scenarios, &versions, rounds))
}

/// Where a peer is asked for a scenario; `None` where that is not its work.
fn target(peer: &Peer, is_cached: bool, scenario: &str) -> Option<SocketAddr> {
    let is_bare = peer.name.starts_with("bare");
    match (is_cached, peer.cached, is_bare) {
        (true, cached, _) => cached,
        (false, _, true) if scenario.starts_with("S1") => Some(peer.plain),
        (false, _, true) => None,
        // The second sidecar is there for its cache.
        (false, Some(_), _) if peer.name == "camarad-sidecar" => None,
        (false, _, false) => Some(peer.plain),
    }
}

fn headers(token: &str, client: u64) -> String {
    // The app goes by the cookie; the sidecar overwrites it, peers pass it on.
    format!(
        "Authorization: Bearer {token}\r\nX-Client-ID: {client}\r\nCookie: camarad_user_id=1\r\n"
    )
}

/// Whether a peer does the work: who is let in, who is not, and what is kept for whom.
async fn check(peer: &Peer, app: SocketAddr) -> io::Result<()> {
    let good = processes::token();
    let forged = format!("{}x", good.get(..good.len() - 1).unwrap_or_default());
    let expired = processes::signed(json!({"uid": 1, "clients": [10], "client": 10, "exp": 1}));
    let cases = [
        ("a good token", headers(&good, 10), "200"),
        ("another client", headers(&good, 20), "404"),
        ("a bad signature", headers(&forged, 10), "401"),
        ("an expired token", headers(&expired, 10), "401"),
        ("no token", "X-Client-ID: 10\r\n".to_owned(), "401"),
    ];
    for address in [Some(peer.plain), peer.cached].into_iter().flatten() {
        for (what, headers, expected) in &cases {
            let (status, _) = ask(address, LIST, headers).await?;
            if status != *expected {
                let words = format!("{}: {what} is {status}, expected {expected}", peer.name);
                return Err(io::Error::other(words));
            }
        }
    }
    let Some(cached) = peer.cached else {
        return Ok(());
    };
    // It was asked once above, so this is a hit: the app must not hear of it.
    let before = calls(app).await?;
    let (_, first) = ask(cached, LIST, &headers(&good, 10)).await?;
    if calls(app).await? != before {
        let words = format!("{}: an answer that is kept was asked for again", peer.name);
        return Err(io::Error::other(words));
    }
    let other = processes::token_for(Claims {
        user: 1,
        client: 11,
    });
    let (status, second) = ask(cached, LIST, &headers(&other, 11)).await?;
    match (status.as_str(), first == second) {
        ("200", false) => Ok(()),
        _ => {
            let words = format!(
                "{}: one client was given what is kept for another",
                peer.name
            );
            Err(io::Error::other(words))
        }
    }
}

/// How often the app was asked for the list.
async fn calls(app: SocketAddr) -> io::Result<usize> {
    let (_, body) = ask(app, "/_calls", "").await?;
    Ok(body.matches("\"path\":\"/api/flows\"").count())
}

/// Status and body.
async fn ask(address: SocketAddr, path: &str, headers: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await??;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.get(9..12).unwrap_or_default().to_owned();
    Ok((status, body.to_owned()))
}

async fn haproxy(dir: &Path, app: SocketAddr) -> io::Result<Peer> {
    let (plain, cached) = (
        processes::free_address().await?,
        processes::free_address().await?,
    );
    let text = include_str!("../peers/haproxy.cfg");
    let text = filled(text, plain, cached, app);
    let file = dir.join("haproxy.cfg");
    std::fs::write(&file, text)?;
    let mut command = Command::new("haproxy");
    command.args(["-db", "-q", "-f"]).arg(&file);
    started("HAProxy", command, plain, cached).await
}

async fn nginx(dir: &Path, app: SocketAddr) -> io::Result<Peer> {
    let (plain, cached) = (
        processes::free_address().await?,
        processes::free_address().await?,
    );
    let text = include_str!("../peers/nginx.conf");
    let text = filled(text, plain, cached, app)
        .replace("DIR", &dir.display().to_string())
        .replace("MODULES", "/usr/lib/nginx/modules");
    let file = dir.join("nginx.conf");
    std::fs::write(&file, text)?;
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-p").arg(dir).arg("-c").arg(&file);
    started("nginx with Lua", command, plain, cached).await
}

fn filled(text: &str, plain: SocketAddr, cached: SocketAddr, app: SocketAddr) -> String {
    let without_comments = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    without_comments
        .map(|line| format!("{line}\n"))
        .collect::<String>()
        .replace("LISTEN", &plain.to_string())
        .replace("CACHED", &cached.to_string())
        .replace("APP", &app.to_string())
        .replace("SECRET", processes::SECRET)
}

async fn started(
    name: &'static str,
    mut command: Command,
    plain: SocketAddr,
    cached: SocketAddr,
) -> io::Result<Peer> {
    let command = command.stdout(Stdio::null()).kill_on_drop(true);
    let child = command
        .spawn()
        .map_err(|error| io::Error::other(format!("{name}: {error}; `make bench` installs it")))?;
    let process = Process::new(plain, child);
    processes::reachable(plain).await?;
    Ok(Peer {
        name,
        process,
        plain,
        cached: Some(cached),
    })
}

async fn versions() -> Vec<(&'static str, String)> {
    let mut versions = Vec::new();
    for (name, program, argument) in [
        ("HAProxy", "haproxy", "-v"),
        ("nginx", "/usr/sbin/nginx", "-v"),
        ("kernel", "uname", "-sr"),
        ("commit", "git", "describe"),
    ] {
        let mut command = Command::new(program);
        command.arg(argument);
        if program == "git" {
            command.args(["--always", "--dirty"]);
        }
        let Ok(output) = command.output().await else {
            continue;
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().next().unwrap_or_default();
        versions.push((name, line.trim().to_owned()));
    }
    versions
}

/// The figures of a scenario by name: a sidecar's are of whichever was asked.
fn cost(scenario: &Scenario, at: usize) -> Option<f64> {
    let rounds = scenario.rounds.get(at)?;
    let cost = || median(rounds.iter().map(Round::cpu_micros));
    (!rounds.is_empty()).then(cost)
}

/// What the goal is measured by, and what it comes to: the sidecar's share.
fn share(peers: &[Peer], scenario: &Scenario) -> Option<f64> {
    let named = |wanted: &dyn Fn(&str) -> bool| {
        let each = peers.iter().enumerate();
        let costs = each.filter(|(_, peer)| wanted(peer.name));
        costs
            .filter_map(|(at, _)| cost(scenario, at))
            .min_by(f64::total_cmp)
    };
    let ours = named(&|name| name == "camarad-sidecar")?;
    let theirs = match scenario.goal.1 {
        "bare Pingora" => named(&|name| name.starts_with("bare")),
        _ => named(&|name| name != "camarad-sidecar" && !name.starts_with("bare")),
    };
    Some(ours / theirs?)
}

fn table(
    peers: &[Peer],
    scenarios: &[Scenario],
    versions: &[(&str, String)],
    rounds: usize,
) -> String {
    let mut out = format!(
        "# Beside what one would pick instead\n\n{} cores, {CONNECTIONS} keep-alive connections, {rounds} interleaved rounds of {} s, one worker each; \
         load, app and the measured process share the machine. CPU µs per request of the process itself, medians (least to most). \
         Peers verify a token each time; the sidecar remembers one that it has verified. HAProxy's cache knows no headers, so the client is put into the query after the check.\n\n",
        cores(),
        LENGTH.as_secs()
    );
    // Writing to a String cannot fail.
    for (name, version) in versions {
        let _ = writeln!(out, "- {name}: {version}");
    }
    out.push_str("\n| scenario | bare Pingora | HAProxy | nginx with Lua | camarad-sidecar | share | goal |\n|---|---|---|---|---|---|---|\n");
    for scenario in scenarios {
        let cell = |at: usize| match scenario.rounds.get(at) {
            Some(rounds) if !rounds.is_empty() => spread(rounds.iter().map(Round::cpu_micros), 1),
            _ => "–".to_owned(),
        };
        let ours = if scenario.is_cached { 4 } else { 3 };
        let (most, of) = scenario.goal;
        let share = share(peers, scenario);
        let told = share.map_or("–".to_owned(), |share| format!("{share:.2}"));
        let met = match share.is_some_and(|share| share <= most) {
            true => "met",
            false => "not met",
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {told} | at most {most:.2} of {of}: {met} |",
            scenario.name,
            cell(0),
            cell(1),
            cell(2),
            cell(ours)
        );
    }
    out.push_str("\n| requests/s, closed loop | bare Pingora | HAProxy | nginx with Lua | camarad-sidecar |\n|---|---|---|---|---|\n");
    for scenario in scenarios {
        let cell = |at: usize| match scenario.rounds.get(at) {
            Some(rounds) if !rounds.is_empty() => spread(rounds.iter().map(Round::rate), 0),
            _ => "–".to_owned(),
        };
        let ours = if scenario.is_cached { 4 } else { 3 };
        let name = scenario.name.split(' ').next().unwrap_or_default();
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} |",
            cell(0),
            cell(1),
            cell(2),
            cell(ours)
        );
    }
    out
}

/// Every round, for whoever wants to count otherwise.
fn raw(peers: &[Peer], scenarios: &[Scenario], versions: &[(&str, String)]) -> String {
    let figures = |rounds: &[Round]| {
        let each = rounds.iter();
        let each = each.map(|round| json!({"cpu_us": round.cpu_micros(), "per_s": round.rate()}));
        each.collect::<Value>()
    };
    let of = |scenario: &Scenario| {
        let each = peers.iter().zip(&scenario.rounds);
        let each = each.filter(|(_, rounds)| !rounds.is_empty());
        let peers =
            each.map(|(peer, rounds)| json!({"peer": peer.name, "rounds": figures(rounds)}));
        json!({"scenario": scenario.name, "peers": peers.collect::<Value>()})
    };
    let versions: Value = versions
        .iter()
        .map(|(name, text)| json!([name, text]))
        .collect();
    let whole = json!({
        "cores": cores(), "connections": CONNECTIONS, "versions": versions,
        "scenarios": scenarios.iter().map(of).collect::<Value>(),
    });
    serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
}
