//! The app behind the sidecar: alive, ready, initialised, reachable only through
//! the sidecar, without its debugger, and in the same time.
//!
//! The contract (sections 1 and 9) says how it answers. `HOST=0.0.0.0` and
//! `DEBUG` on are its defaults, and either one undoes what the sidecar enforces.

use super::machine;
use super::probe::{Answer, Got, Prober, Trouble};
use super::report::{Check, Finding, Gate, plain};
use camarad_config::Config;
use futures_util::future::join_all;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How far clocks may be apart, in seconds, before it is told.
const APART: f64 = 5.0;
/// The leeway of tokens: beyond it they are refused, or accepted too long.
const TOO_FAR: f64 = 30.0;
/// Time for one of this machine's own addresses.
const NEAR: Duration = Duration::from_secs(2);
/// What is read of an answer there.
const HEAD: u64 = 8 * 1024;

/// Looks at the app.
pub(super) async fn look(config: &Config, prober: &Prober) -> Vec<Check> {
    let at = format!("http://{}", config.legacy.authority);
    let get = |target: &str| prober.get(format!("{at}{target}"));
    let (alive, ready, users, console, style, around) = tokio::join!(
        get("/healthz"),
        get("/readyz"),
        get("/api/users"),
        get("/console"),
        get("/?__debugger__=yes&cmd=resource&f=style.css"),
        around(config, prober),
    );
    let took = |got: &Got| got.as_ref().ok().map(|answer| answer.took);
    let check = |name: &str, finding: Finding| finding.of(Gate::A, name);
    let app = format!("the app at {at}");
    vec![
        check("app alive", is_alive(&alive, &app)).took(took(&alive)),
        check("app ready", is_ready(&ready, &app)).took(took(&ready)),
        check("app database", is_initialised(&users)).took(took(&users)),
        check("app only through the sidecar", around),
        check("app debugger", debugger(&console, &style)),
        check("app clock", clock("the app", alive.as_ref().ok())),
    ]
}

fn is_alive(got: &Got, app: &str) -> Finding {
    let todo = "start the app, or set LEGACY_URL to where it listens";
    match got {
        Err(trouble) => trouble.finding(app, todo),
        Ok(answer) if answer.is_of_sidecar() => Finding::fail(
            format!("{app} is a sidecar itself"),
            "set LEGACY_URL to the app's own address",
        ),
        Ok(answer) if answer.status == 200 && answer.json()["service"] == "camarad" => {
            Finding::pass(format!("{app} answers"))
        }
        Ok(answer) => Finding::fail(
            format!(
                "GET /healthz of {app} answers {} and not what the app says there",
                answer.status
            ),
            "set LEGACY_URL to where the app listens; something else answers there",
        ),
    }
}

fn is_ready(got: &Got, app: &str) -> Finding {
    let answer = match got {
        Err(trouble) => return trouble.finding(app, "start the app, and see its log"),
        Ok(answer) => answer,
    };
    let said = answer.json();
    let db = &said["checks"]["db"];
    let why = db["error"].as_str().map(plain);
    match (answer.status, db["ok"].as_bool()) {
        (200, Some(true)) => Finding::pass("it says that it is ready and its database answers"),
        (200, None) => Finding::warn(
            "GET /readyz answers 200 and does not say whether the database does",
            "compare the app's version with the one the sidecar was made for",
        ),
        (status, _) => Finding::fail(
            format!(
                "GET /readyz answers {status}: {}",
                why.as_deref().unwrap_or("it is not ready")
            ),
            "see to the app's DATABASE: the file, its folder and their owner",
        ),
    }
}

fn is_initialised(got: &Got) -> Finding {
    let answer = match got {
        Err(trouble) => return unknown(trouble),
        Ok(answer) => answer,
    };
    let has_no_table = String::from_utf8_lossy(&answer.body).contains("no such table");
    match answer.status {
        200 => Finding::pass("its tables are there: GET /api/users answers 200"),
        500.. if has_no_table => Finding::fail(
            "GET /api/users answers \"no such table\": the database was never initialised",
            "initialise the app's database once; the app does not do so on start",
        ),
        status @ 500.. => Finding::fail(
            format!("GET /api/users answers {status}"),
            "see the app's log; its DATABASE is the likeliest cause",
        ),
        status => Finding::warn(
            format!("GET /api/users answers {status}, which says nothing about the tables"),
            "compare the app's version with the one the sidecar was made for",
        ),
    }
}

fn unknown(trouble: &Trouble) -> Finding {
    Finding::skip(
        format!("not looked at: the app {trouble}"),
        "start the app, and look again",
    )
}

/// What Werkzeug's debugger serves; its style sheet comes with any path.
fn debugger(console: &Got, style: &Got) -> Finding {
    let is_style = |answer: &Answer| answer.header("content-type").starts_with("text/css");
    let seen = match (console, style) {
        (Ok(answer), _) if answer.status == 200 => "GET /console",
        (_, Ok(answer)) if answer.status == 200 && is_style(answer) => "GET /?__debugger__=yes",
        (Err(trouble), _) | (_, Err(trouble)) => return unknown(trouble),
        (Ok(_), Ok(_)) => return Finding::pass("Werkzeug's debugger is off"),
    };
    Finding::fail(
        format!("{seen} answers 200: Werkzeug's debugger runs code for whoever reaches the app"),
        "set DEBUG=0 and restart the app",
    )
}

/// Whether a server's clock is ours.
pub(super) fn clock(who: &str, answer: Option<&Answer>) -> Finding {
    let Some(answer) = answer else {
        return Finding::skip(
            format!("not compared: {who} does not answer"),
            "let it answer, and look again",
        );
    };
    let Some(ahead) = answer.skew() else {
        return Finding::skip(
            format!("not compared: {who} sends no Date"),
            "compare its clock by hand (date -u)",
        );
    };
    let seen = format!(
        "the clock of {who} and ours are {:.0} s apart",
        ahead.abs().floor()
    );
    let todo = "let time synchronisation run on both machines (timedatectl)";
    match ahead.abs() {
        apart if apart > TOO_FAR => {
            Finding::fail(format!("{seen}, which is more than tokens are given"), todo)
        }
        apart if apart > APART => Finding::warn(seen, todo),
        _ => Finding::pass(seen),
    }
}

/// Who answers on the app's port at another address of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Neighbour {
    Nobody,
    App,
    Sidecar,
    Other,
}

/// Whether the app can be reached without the sidecar.
async fn around(config: &Config, prober: &Prober) -> Finding {
    let authority = &config.legacy.authority;
    let looked_up = tokio::time::timeout(
        prober.left(NEAR),
        tokio::net::lookup_host(authority.as_str()),
    );
    let found: Vec<SocketAddr> = match looked_up.await {
        Ok(Ok(found)) => found.collect(),
        _ => Vec::new(),
    };
    let Some(port) = found.first().map(SocketAddr::port) else {
        return Finding::skip(
            format!("not looked at: {authority} has no address"),
            "set LEGACY_URL to where the app listens",
        );
    };
    if let Some(distant) = found.iter().find(|address| !address.ip().is_loopback()) {
        return Finding::warn(
            format!(
                "the app is at {distant}, which is no loopback address: whoever reaches it is whom they say they are"
            ),
            "put both on one machine with HOST=127.0.0.1, or let a firewall admit the sidecar alone",
        );
    }
    let own = tokio::task::spawn_blocking(machine::addresses).await;
    let Some(own) = own.ok().flatten() else {
        return Finding::skip(
            "not looked at: this machine's addresses cannot be listed",
            format!(
                "from another machine, try http://<this one>:{port}/healthz: it must not answer"
            ),
        );
    };
    let knocks = own.iter().map(|address| {
        let address = machine::at_port(*address, port);
        async move { (address, knock(address, prober.left(NEAR)).await) }
    });
    reachable(port, &join_all(knocks).await)
}

fn reachable(port: u16, seen: &[(SocketAddr, Neighbour)]) -> Finding {
    let told = |wanted: Neighbour| {
        let found = seen.iter().filter(|(_, who)| *who == wanted);
        let found: Vec<String> = found.map(|(at, _)| at.to_string()).collect();
        (!found.is_empty()).then(|| found.join(", "))
    };
    if let Some(open) = told(Neighbour::App) {
        return Finding::fail(
            format!("the app answers at {open}: a plain cookie makes anybody any user there"),
            "set HOST=127.0.0.1 and restart the app",
        );
    }
    if let Some(open) = told(Neighbour::Other) {
        return Finding::warn(
            format!("something that does not answer as the app does listens at {open}"),
            "make sure that it does not lead to the app",
        );
    }
    match seen.len() {
        0 => Finding::pass("this machine has loopback addresses only"),
        count => Finding::pass(format!(
            "on {count} other addresses of this machine nobody reaches the app at port {port}"
        )),
    }
}

/// Asks for `/healthz` by hand: an HTTP client takes no address with a zone (`fe80::1%eth0`).
async fn knock(address: SocketAddr, limit: Duration) -> Neighbour {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let head = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        // One that accepts and then says nothing is there as well.
        let mut answer = Vec::new();
        let exchange = async {
            stream.write_all(head.as_bytes()).await?;
            stream.take(HEAD).read_to_end(&mut answer).await
        };
        let _ = tokio::time::timeout(limit, exchange).await;
        Some(answer)
    };
    match tokio::time::timeout(limit * 2, asked).await {
        Ok(Some(answer)) => neighbour(&answer),
        _ => Neighbour::Nobody,
    }
}

fn neighbour(answer: &[u8]) -> Neighbour {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let head = head.to_ascii_lowercase();
    let body: Value = serde_json::from_str(body.trim()).unwrap_or_default();
    match (head.contains("\nx-camarad-source:"), &body["service"]) {
        (true, _) => Neighbour::Sidecar,
        (false, Value::String(service)) if service == "camarad" => Neighbour::App,
        _ => Neighbour::Other,
    }
}

#[cfg(test)]
mod tests;
