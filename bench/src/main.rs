//! Measurements of the real release binary, each in one run, written to `results/`.
//!
//! ```text
//! peers     the same work done by HAProxy, by nginx with Lua, and by a bare Pingora
//!           (`--quick`, `--full`, `--only S2,S3`, `--rounds N`, `--latency`, `--again`)
//! instructions what a request costs, counted: instructions, allocations, system calls,
//!           held against a budget (`--accept`, `--only S2,S3`)
//! curves    what a request costs as the work grows
//! lanes     what a request costs in each lane, against a bare Pingora and the app itself
//! egress    what looking an answer through costs, per byte
//! dashboard S10: the connectors page, replayed: hits, misses, fallbacks
//! clients   which HTTP client fetches whole answers for the least
//! soak      minutes of mixed faults at load, with flat memory
//! train     requests for the profile that `make release` builds with; measures nothing
//! ```
//!
//! Rounds are interleaved (A B C A B C …), so that a disturbance of the machine
//! hits all of them; tables give medians and spreads. CPU is the measured
//! process's own, read from `/proc`. Figures of different runs must not be
//! compared. Everything speaks to loopback, for a bounded time.

mod clients;
mod curves;
mod dashboard;
mod egress;
mod instructions;
mod lanes;
mod load;
mod pass_through;
mod peers;
mod processes;
mod soak;
mod table;
mod train;

use std::io;
use std::process::ExitCode;

#[allow(clippy::print_stderr)] // Whoever started it wants to know why it ended.
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("camarad-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // Pingora's server makes its own runtimes.
        ["pass-through", listen, upstream] => pass_through::run(listen, upstream),
        ["client", which, target, path, method] => {
            block_on(clients::child(which, target, path, method))
        }
        ["egress"] => egress::measure(),
        ["peers", ref options @ ..] => peers::measure(options),
        ["instructions", ref options @ ..] => instructions::measure(options),
        // Children of `peers`.
        ["upstream", listen] => peers::upstream::run(listen),
        ["curves"] => curves::measure(None),
        ["curves", "--only", curve] => curves::measure(Some(curve)),
        ["lanes"] => block_on(lanes::measure()),
        ["dashboard"] => block_on(dashboard::measure()),
        ["clients"] => block_on(clients::measure()),
        ["soak"] => block_on(soak::soak()),
        ["train"] => train::train(),
        _ => Err(io::Error::other(
            "expected one of: peers, instructions, curves, lanes, dashboard, egress, clients, soak, train",
        )),
    }
}

fn block_on(work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
