//! The binary `camarad-sidecar`. It parses the command line and hands on; see
//! `ARCHITECTURE.md` for the way from here.

mod admin;
mod backup;
mod behind;
mod budget;
mod cache;
mod cli;
mod config_command;
mod demo;
mod doctor;
mod drill;
mod edge;
mod gateway;
mod generation;
mod incident;
mod json;
mod kept;
mod keys;
mod ledger;
mod limiter;
mod locks;
mod logs;
mod matrix_table;
mod observe;
mod owners;
mod panics;
mod process;
mod reload;
mod runs_command;
mod sessions;
mod snapshots;
mod supervisor;
mod templates_command;
mod tenants;
mod token;
mod token_verify;
mod trace_command;
mod whole_file;

use backup::drill::DrillArgs;
use camarad_config::{Config, Inputs, Problems, load};
use camarad_mocks::stand_in::{self, faults::Faults};
use camarad_policies::shown::escaped;
use clap::Parser;
use cli::{Cli, Command, MatrixCommand, StandIn, TokenCommand};
use doctor::DoctorArgs;
use observe::JsonLines;
use process::{Signals, StartError};
use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use token_verify::VerifyError;
use tokio::io::AsyncReadExt;

/// The C library's allocator keeps what bursts of large answers took; this one
/// gives it back (`bench/results/soak.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Settings or arguments that cannot be used, as `clap` has it.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    supervisor::keep_to_the_group();
    match Cli::parse().command {
        Command::Run { demo: true, .. } => logged("stderr", || {
            block_on(0, async {
                match demo::run().await {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(error) => fail(&error),
                }
            })
        }),
        Command::Run { config, .. } => {
            let inputs = inputs(config);
            match load(&inputs) {
                Ok(config) => {
                    let log = config.server.log.clone();
                    logged(&log, || {
                        block_on(config.server.threads, serve(config, inputs))
                    })
                }
                Err(problems) => fail(&problems),
            }
        }
        Command::Check { config } => match settings(config) {
            Ok(config) => {
                for warning in &config.warnings {
                    complain(&format!("warning: {warning}"));
                }
                say("the settings are good");
                ExitCode::SUCCESS
            }
            Err(problems) => fail(&problems),
        },
        Command::Config(args) => {
            let inputs = inputs(args.config.clone());
            block_on(1, async move {
                match config_command::run(args, inputs).await {
                    Ok(text) => {
                        say(&text);
                        ExitCode::SUCCESS
                    }
                    Err(error) if error.is_refusal() => {
                        complain(&error.to_string());
                        ExitCode::from(1)
                    }
                    Err(error) => fail(&error),
                }
            })
        }
        Command::Doctor(args) => match settings(args.config.clone()) {
            Ok(config) => {
                panics::tell_without_words();
                block_on(2, examine(config, args))
            }
            Err(problems) => fail(&problems),
        },
        Command::Runs(args) => {
            let state_dir = match args.state_dir.clone() {
                Some(dir) => Ok(dir),
                None => settings(args.config.clone()).map(|config| config.server.state_dir),
            };
            match state_dir {
                Ok(dir) => match runs_command::tell(args, &dir) {
                    Ok(text) => {
                        print(&text);
                        ExitCode::SUCCESS
                    }
                    Err(error) => fail(&error),
                },
                Err(problems) => fail(&problems),
            }
        }
        Command::Incident(args) => match logs::Places::of(&args.logs, settings) {
            Ok(places) => match incident::write(&args, &places) {
                Ok(text) => {
                    say(&text);
                    ExitCode::SUCCESS
                }
                Err(error) => fail(&error),
            },
            Err(problems) => fail(&problems),
        },
        Command::Trace(args) => match logs::Places::of(&args.logs, settings) {
            Ok(places) => {
                let told = trace_command::tell(&args, &places);
                match told.is_found || args.json {
                    true => say(&told.text),
                    false => complain(&told.text),
                }
                ExitCode::from(u8::from(!told.is_found))
            }
            Err(problems) => fail(&problems),
        },
        Command::Backup(args) => {
            let inputs = inputs(args.config.clone());
            match load(&inputs) {
                Ok(config) => match backup::take::take(&config, inputs.file.as_deref(), &args) {
                    Ok(taken) => {
                        let warnings = taken.warnings.iter();
                        warnings.for_each(|warning| complain(&format!("warning: {warning}")));
                        taken.lines.iter().for_each(|line| say(line));
                        ExitCode::SUCCESS
                    }
                    Err(error) if error.is_unusable() => fail(&error),
                    Err(error) => refuse(&error),
                },
                Err(problems) => fail(&problems),
            }
        }
        Command::Restore(args) => match backup::restore::restore(&args) {
            Ok(lines) => {
                lines.iter().for_each(|line| say(line));
                ExitCode::SUCCESS
            }
            Err(error) => refuse(&error),
        },
        Command::RestoreDrill(args) => match settings(args.config.clone()) {
            Ok(config) => {
                panics::tell_without_words();
                block_on(2, drill_restore(config, args))
            }
            Err(problems) => fail(&problems),
        },
        Command::Matrix { command, format } => {
            let told = match command {
                None => matrix_table::table(format).map(|text| text.trim_end().to_owned()),
                Some(MatrixCommand::Check { routes }) => matrix_table::check(&routes),
            };
            match told {
                Ok(text) => {
                    say(&text);
                    ExitCode::SUCCESS
                }
                Err(error) => fail(&error),
            }
        }
        Command::Templates { command } => block_on(1, async move {
            match templates_command::run(&command, say).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) if error.is_refusal() => refuse(&error),
                Err(error) => fail(&error),
            }
        }),
        Command::Token {
            command: TokenCommand::Mint(args),
        } => match token::mint(&args) {
            Ok(token) => {
                say(&token);
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error),
        },
        Command::Token {
            command: TokenCommand::Verify(args),
        } => block_on(1, async move {
            match token_verify::verify(&args).await {
                Ok(text) => {
                    say(&text);
                    ExitCode::SUCCESS
                }
                Err(VerifyError::Refused(refusal)) => {
                    say(&format!("{}: {}", refusal.answer().code, refusal.why()));
                    ExitCode::from(1)
                }
                Err(error) => fail(&error),
            }
        }),
        Command::Mock {
            which,
            listen,
            faults,
            coolbits_url,
            until_stdin_closes,
        } => match (serde_json::from_str(&faults), which, coolbits_url) {
            (Err(error), ..) => fail(&format!("--faults {faults:?}: {error}")),
            (_, StandIn::Coolbits, Some(_)) => {
                fail(&"--coolbits-url is for `mock legacy`: Coolbits asks no Coolbits")
            }
            (Ok(faults), which, url) => {
                block_on(2, mock(which, listen, faults, url, until_stdin_closes))
            }
        },
    }
}

/// Does work that logs, and writes what it has logged to its end.
fn logged(target: &str, work: impl FnOnce() -> ExitCode) -> ExitCode {
    if let Err(error) = observe::init_tracing(target) {
        let (key, value) = ("server.log", target.to_owned());
        return fail(&StartError::Io { key, value, error });
    }
    panics::tell_without_words();
    let code = work();
    observe::application()
        .into_iter()
        .for_each(JsonLines::close);
    code
}

fn inputs(file: Option<PathBuf>) -> Inputs {
    let mut inputs = Inputs::from_process();
    inputs.file = file.or(inputs.file);
    inputs
}

fn settings(file: Option<PathBuf>) -> Result<Config, Problems> {
    load(&inputs(file))
}

async fn serve(config: Config, inputs: Inputs) -> ExitCode {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(&StartError::Signals(error)),
    };
    let running = match process::start(config, Some(inputs)).await {
        Ok(running) => running,
        Err(error) => return fail(&error),
    };
    tracing::info!(
        address = %running.address(),
        admin = %running.admin_address(),
        behind = running.behind_address().map(|address| address.to_string()),
        "listening"
    );
    supervisor::ready();
    running.until_signal(signals).await;
    ExitCode::SUCCESS
}

async fn examine(config: Config, args: DoctorArgs) -> ExitCode {
    let report = doctor::examine(&config, &args).await;
    say(&match args.json {
        true => report.json(),
        false => report.text(),
    });
    ExitCode::from(u8::from(report.failed()))
}

async fn drill_restore(config: Config, args: DrillArgs) -> ExitCode {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(&StartError::Signals(error)),
    };
    // What it started and where it unpacked goes with it when it is given up.
    let drilled = tokio::select! {
        drilled = backup::drill::drill(&config, &args) => drilled,
        () = signals.ended() => return refuse(&"the drill was stopped; nothing is known"),
    };
    match drilled {
        Ok(report) => {
            say(&match args.json {
                true => report.json(),
                false => report.text(),
            });
            ExitCode::from(u8::from(!report.passed()))
        }
        Err(error) => fail(&error),
    }
}

async fn mock(
    which: StandIn,
    listen: SocketAddr,
    faults: Faults,
    coolbits_url: Option<url::Url>,
    with_parent: bool,
) -> ExitCode {
    let listener = match tokio::net::TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => return fail(&format!("--listen {listen}: {error}")),
    };
    match listener.local_addr() {
        Ok(address) => say(&format!("listening on {address}")),
        Err(error) => return fail(&error),
    }
    let parent_leaves = async {
        match with_parent {
            // Ends when the pipe does, which is when its other end's process does.
            true => drop(tokio::io::stdin().read_to_end(&mut Vec::new()).await),
            false => std::future::pending().await,
        }
    };
    let served = async {
        match (which, &coolbits_url) {
            (StandIn::Coolbits, _) => stand_in::coolbits(listener, faults).await,
            (StandIn::Legacy, None) => stand_in::legacy(listener, faults).await,
            (StandIn::Legacy, Some(url)) => {
                stand_in::legacy_with_coolbits(listener, faults, url.as_str()).await
            }
        }
    };
    tokio::select! {
        () = parent_leaves => ExitCode::SUCCESS,
        outcome = served => outcome.map_or_else(|error| fail(&error), |()| ExitCode::SUCCESS),
    }
}

/// Runs on a runtime of this many threads; 0 means one per core.
fn block_on(threads: usize, work: impl Future<Output = ExitCode>) -> ExitCode {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    match builder.enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // Standard input is read by a thread that cannot be woken; do not wait for it.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(&format!("the runtime: {error}")),
    }
}

/// It was asked for rightly, and cannot be done.
fn refuse(error: &dyn Display) -> ExitCode {
    complain(&error.to_string());
    ExitCode::from(1)
}

fn fail(error: &dyn Display) -> ExitCode {
    complain(&error.to_string());
    ExitCode::from(UNUSABLE)
}

/// Says something to whoever typed the command, whatever of it came from logs and files.
fn say(text: &str) {
    print(&escaped(text));
}

/// For programs, to the byte; one who stopped listening (`| head`) is no error.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

#[allow(clippy::print_stderr)] // Before there is a log, or instead of one.
fn complain(text: &str) {
    eprintln!("{}", escaped(text));
}
