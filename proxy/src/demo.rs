//! `run --demo`: the real thing in front of two stand-ins, over real sockets.
//!
//! The stand-ins are processes of their own, so that one can be stopped and
//! started again as a real server would be. They end with us, however we end:
//! they watch a pipe that only we hold.

use crate::process::{self, Signals, StartError};
use crate::token::{self, MintArgs, MintError};
use camarad_config::{Config, Inputs, Problems, load};
use camarad_policies::hex::hex;
use clap::Parser;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Why the demo could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("{0}")]
    Settings(#[from] Problems),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("the {0} stand-in did not start: {1}")]
    StandIn(&'static str, io::Error),
    #[error("{0}")]
    Mint(#[from] MintError),
}

/// Runs the demo until a signal.
pub(crate) async fn run() -> Result<(), DemoError> {
    let own = Inputs::from_process().environment;
    let state = own
        .get("SIDECAR_STATE_DIR")
        .map_or_else(|| "./state".to_owned(), String::clone);
    let dir = PathBuf::from(&state).join("demo");
    let failed = |error| DemoError::File(dir.display().to_string(), error);
    std::fs::create_dir_all(&dir).map_err(failed)?;
    // Absolute, since the lines are pasted into another terminal.
    let dir = dir.canonicalize().map_err(failed)?;
    let secret_file = write_secret(&dir, "jwt-secret")?;
    let admin_file = write_secret(&dir, "admin-token")?;
    let (coolbits, coolbits_address) = stand_in("coolbits", None).await?;
    // The app has to know where to ask before we listen there.
    let behind = free_address().map_err(|error| DemoError::StandIn("legacy", error))?;
    let (legacy, legacy_address) = stand_in("legacy", Some(behind)).await?;

    let text = |path: &Path| path.display().to_string();
    let mut inputs = Inputs::default();
    let mut set = |name: &str, value: String| inputs.environment.insert(name.into(), value);
    set("SIDECAR_STATE_DIR", state.clone());
    set("SIDECAR_ACCESS_LOG", text(&dir.join("access.log")));
    set("SIDECAR_JWT_SECRET_FILE", text(&secret_file));
    set("SIDECAR_JWT_USER_CLAIM", "uid".into());
    set("SIDECAR_ADMIN_TOKEN_FILE", text(&admin_file));
    set("LEGACY_URL", format!("http://{legacy_address}"));
    set("COOLBITS_URL", format!("http://{coolbits_address}"));
    set("COOLBITS_GATEWAY_ENABLED", "on".into());
    set("SIDECAR_COOLBITS_LISTEN", behind.to_string());
    // Ports, log and fine tuning may be one's own; servers and secrets are the demo's.
    let allowed = |name: &str| {
        name.starts_with("SIDECAR__")
            || matches!(
                name,
                "SIDECAR_LISTEN" | "SIDECAR_ADMIN_LISTEN" | "SIDECAR_ACCESS_LOG"
            )
    };
    inputs
        .environment
        .extend(own.into_iter().filter(|(name, _)| allowed(name)));
    let config = load(&inputs)?;

    let lines = Lines {
        access_log: config.server.access_log.clone(),
        deadline: config.gateway.deadline,
        coolbits: coolbits_address,
        coolbits_pid: coolbits.id().unwrap_or_default(),
        secret_file,
        admin_file,
        state_dir: dir
            .parent()
            .map_or_else(|| PathBuf::from(state), Path::to_path_buf),
    };
    let signals = Signals::listen().map_err(StartError::Signals)?;
    let running = process::start(quiet(config), None).await?;
    say(&lines.text(running.address(), running.admin_address())?);
    running.until_signal(signals).await;
    // Dropping them closes the pipes; the kill is for one that does not look.
    for mut child in [coolbits, legacy] {
        let _ = child.start_kill();
        let _ = child.wait().await;
    }
    Ok(())
}

/// The warnings about a demo's issuer would only frighten whoever tries it.
fn quiet(mut config: Config) -> Config {
    config.warnings.clear();
    config
}

/// 32 random bytes in hex, readable by the owner only.
fn write_secret(dir: &Path, name: &str) -> Result<PathBuf, DemoError> {
    let path = dir.join(name);
    let failed = |error| DemoError::File(path.display().to_string(), error);
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error)))?;
    let hex = hex(&bytes);
    // Not overwritten but made anew, so that its mode is ours.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    io::Write::write_all(&mut file, hex.as_bytes()).map_err(failed)?;
    Ok(path)
}

/// A loopback address that nobody listens on at the moment.
fn free_address() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Starts this program as a stand-in, and learns its address from its first line.
async fn stand_in(
    which: &'static str,
    coolbits: Option<SocketAddr>,
) -> Result<(Child, SocketAddr), DemoError> {
    let failed = |error| DemoError::StandIn(which, error);
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program)
        .args(["mock", which, "--until-stdin-closes"])
        .args(coolbits.map(|address| format!("--coolbits-url=http://{address}")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .await
        .map_err(failed)?;
    let address = line.trim().rsplit(' ').next().and_then(|a| a.parse().ok());
    let address = address.ok_or_else(|| failed(io::Error::other("it told no address")))?;
    Ok((child, address))
}

/// What the demo tells whoever started it.
struct Lines {
    access_log: String,
    deadline: std::time::Duration,
    coolbits: SocketAddr,
    coolbits_pid: u32,
    secret_file: PathBuf,
    admin_file: PathBuf,
    state_dir: PathBuf,
}

impl Lines {
    fn text(&self, address: SocketAddr, admin: SocketAddr) -> Result<String, DemoError> {
        let program = std::env::current_exe().unwrap_or_else(|_| "camarad-sidecar".into());
        let (program, coolbits) = (program.display(), self.coolbits);
        let secret = self.secret_file.display();
        let admin_token = self.admin_file.display();
        let mint = |user: &str, clients: &[&str]| {
            let mut words = vec!["token", "--user", user];
            words.extend(clients.iter().flat_map(|client| ["--client", client]));
            // Whom Coolbits' stand-in knows the token by.
            let email = format!("email=\"user{user}@example.com\"");
            words.extend(["--claim", &email]);
            let file = self.secret_file.display().to_string();
            words.extend(["--secret-file", &file]);
            let args = MintOnly::parse_from(words);
            token::mint(&args.args)
        };
        let (a, b) = (mint("1", &["10", "11"])?, mint("2", &["20"])?);
        let api = format!("http://{address}/api/connectors");
        let deadline = humantime::format_duration(self.deadline);
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            r##"
camarad-sidecar demo
  sidecar   http://{address}
  admin     http://{admin}   (/metrics, /healthz, /readyz, /gateway)
  coolbits  http://{coolbits}   (stand-in, process {pid})
  access log {log}

Paste these into another terminal. User 1 has clients 10 and 11, user 2 has client 20.

A={a}
B={b}
ask() {{ curl -s -H "Authorization: Bearer $A" -H "X-Client-ID: 10" "$@"; }}
order() {{ curl -s -H "Authorization: Bearer $(cat {admin_token})" -H "Content-Type: application/json" -d "$2" http://{admin}$1; }}
short() {{ grep -oE '"(source|error|reason)":"[a-z_]+"' | tr '\n' ' '; echo; }}

# 1  real figures of one's own client, through the sidecar: "source":"coolbits"
curl -s -H "Authorization: Bearer $A" -H "X-Client-ID: 10" {api}/google-ads/campaigns
# 2  the same again, from the cache: Cache-Status: camarad-sidecar; hit
ask -i {api}/google-ads/campaigns | grep -iE '^(cache-status|age|etag|x-camarad)'
# 3  and with its ETag, without the body: 304
ask -o /dev/null -w '%{{http_code}}\n' -H "If-None-Match: $(ask -i {api}/google-ads/campaigns | tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p')" {api}/google-ads/campaigns
# 4  GA4, of the property that is linked to the client: "source":"coolbits"
ask {api}/ga4/overview
# 5  Search Console is the mock's until it is asked for: "reason":"mock_only" "source":"mock"
ask {api}/google-search-console/overview | short
# 6  another user's client: 404 "Client not found or not owned"
curl -s -H "Authorization: Bearer $A" -H "X-Client-ID: 20" {api}/google-ads/campaigns
# 7  no token: 401 "Authentication required"
curl -s -H "X-Client-ID: 10" {api}/google-ads/campaigns
# 8  a forged cookie changes nothing: the app sees user 2, the one of the token, and lists client 20
curl -s -H "Authorization: Bearer $B" -H "Cookie: camarad_user_id=1" http://{address}/api/clients
# 9  how the gateway is doing: "status":"connected", breaker and routes for a caller; status alone for anybody
ask {api}/gateway/health; curl -s {api}/gateway/health
# 10 Coolbits hangs: after at most {deadline}, "error":"timeout" "source":"mock"
curl -so /dev/null http://{coolbits}/_faults -d '{{"fault":"hang"}}'; ask "{api}/google-ads/campaigns?days=6" | short; curl -so /dev/null http://{coolbits}/_faults -d '{{"fault":"none"}}'
# 11 Coolbits goes: twice "source":"coolbits", then at once "error":"unreachable" "source":"mock", and soon, not asked any more, "error":"breaker_open"
for i in 1 2 3 4 5 6 7 8; do [ $i != 3 ] || {{ kill {pid}; sleep 1; }}; [ $i != 8 ] || sleep 1; ask "{api}/google-ads/metrics?days=$i" | short; done
# 12 health and metrics say so: "status":"disconnected" and "state":"open"; within a minute sidecar_burst_5xx{{origin="coolbits"}} 1
ask {api}/gateway/health | grep -oE '"(state|status)":"[a-z_]+"'; curl -s http://{admin}/metrics | grep -E '^sidecar_(breaker_state|burst_5xx|fallbacks_total)'
# 13 Coolbits is back: within half a minute "source":"coolbits", without a restart of the sidecar
{program} mock coolbits --listen {coolbits} & until ask "{api}/google-ads/campaigns?days=9" | grep -o '"source":"coolbits"'; do sleep 1; done
# 14 one route left to the mock, and Search Console asked of Coolbits, at run time: "reason":"mock_only" "source":"mock", then "source":"coolbits"
order /gateway '{{"mock_only": ["google-ads.campaigns"]}}'; for read in google-ads/campaigns google-search-console/overview; do ask {api}/$read | short; done
# 15 the cache purged of a client: how many answers went, then fwd=miss
order /cache/purge '{{"client": 10}}'; ask -i {api}/google-search-console/overview | grep -i '^cache-status'
# 16 the gateway off, and on again: "reason":"disabled" "source":"mock"
order /gateway '{{"enabled": false}}'; ask {api}/google-ads/campaigns | short; order /gateway '{{"enabled": true, "mock_only": []}}'
# 17 a token of one's own making, for user 1 and client 11
{program} token mint --user 1 --client 11 --secret-file {secret}
# 18 a flow and an account of one's own other client: 404 "object_not_found", 404 "account_not_linked"
ask http://{address}/api/flows/3; ask "{api}/google-ads/campaigns?account_id=234-567-8901"
# 19 chat goes on with the active client's own conversation: Location: /chat/business/seo?conv_id=4, then 6
for client in 10 11; do curl -si -H "Authorization: Bearer $A" -b "camarad_client_id=$client" http://{address}/chat/business/seo | grep -i '^location'; done

# 20 a flow without an agent and an output is not run: "code":"flow_blocked", and everything that is wrong with it
ask -H "Content-Type: application/json" -d '{{"flow": {{"nodes": [{{"id": "a", "type": "trigger"}}]}}}}' http://{address}/api/orchestrator/execute
# 21 a template is; its trace as CSV, one row a step
RUN=$({program} templates show biz-growth-review | ask -H "Content-Type: application/json" --data-binary @- http://{address}/api/orchestrator/execute | grep -o '"execution_id":[0-9]*' | cut -d: -f2); ask "http://{address}/api/orchestrator/history/$RUN/trace?format=csv" | cut -c1-120
# 22 the same once more, with what came out otherwise: "same":true; and what an operator sees of both
ask -X POST http://{address}/api/orchestrator/history/$RUN/replay | grep -oE '"(same|replay_of)":[^,}}]*'; {program} runs list --state-dir {state}

Ctrl-C stops the sidecar and both stand-ins (one started by line 13 is yours: kill %1).
"##,
            pid = self.coolbits_pid,
            state = self.state_dir.display(),
            log = self.access_log,
        );
        Ok(out)
    }
}

/// `token mint` as the command line would parse it.
#[derive(clap::Parser)]
struct MintOnly {
    #[command(flatten)]
    args: MintArgs,
}

#[allow(clippy::print_stdout)] // The demo talks to a person.
fn say(text: &str) {
    println!("{text}");
}
