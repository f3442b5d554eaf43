//! Minutes of mixed faults at load: the sidecar has to come out of it as it went in.
//!
//! Closed loops with pauses ask for everything there is, well and badly formed,
//! and leave in the middle; meanwhile both stand-ins go from fault to fault and
//! are killed and started again. At the end nothing may be in flight, no panic
//! counted, descriptors given back, memory flat, and each lane must answer 200.
//!
//! `SOAK_SECONDS` sets the length. Not here: speed.

mod callers;

use crate::processes::{Process, Sidecar, StandIn};
use crate::table::{cores, median, publish};
use callers::{Callers, Outcomes};
use serde_json::json;
use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

/// Samples of the process over the whole run.
const SAMPLES: u32 = 120;
/// Pools keep idle connections for a while; more than these are leaked.
const DESCRIPTORS_KEPT: usize = 96;
/// Growth of memory between the second and the last quarter that is still called flat.
const FLAT_RATIO: f64 = 1.10;
const FLAT_KIB: f64 = 8.0 * 1024.0;

const FAULTS: [&str; 16] = [
    "none",
    "none",
    "hang",
    "hang_body",
    "slow_body",
    "reset",
    "close",
    "early_hints",
    "garbage",
    "two_lengths",
    "bad_chunk",
    "huge_head",
    "status",
    "cut_off_body",
    "huge",
    "gzip",
];

struct Sample {
    at: Duration,
    resident: u64,
    descriptors: usize,
    in_flight: f64,
}

pub(crate) async fn soak() -> io::Result<()> {
    let seconds = std::env::var("SOAK_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(600));
    let mut legacy = StandIn::start("legacy").await?;
    let mut coolbits = StandIn::start("coolbits").await?;
    let mut sidecar = Sidecar::start(&legacy, &coolbits).await?;
    let at_start = sidecar.process.descriptors()?;
    let callers = Callers::new(sidecar.process.address)?;
    let started = Instant::now();
    let load = tokio::spawn(async move { callers.run(started + length).await });
    let mut samples = Vec::new();
    let mut faults = 0u32;
    while started.elapsed() < length {
        let step = length / SAMPLES;
        tokio::time::sleep(step).await;
        samples.push(sample(&sidecar, started).await?);
        // About every three seconds another fault, every half minute a restart.
        if started.elapsed().as_secs() / 3 > u64::from(faults) {
            faults += 1;
            set_fault(&legacy).await;
            set_fault(&coolbits).await;
            match faults % 20 {
                9 => legacy.restart().await?,
                19 => coolbits.restart().await?,
                _ => {}
            }
        }
    }
    let outcomes = load.await.map_err(io::Error::other)?;
    for stand_in in [&legacy, &coolbits] {
        order(stand_in, json!({})).await;
    }
    let mut problems = Vec::new();
    settle(&sidecar, at_start, &mut problems).await?;
    probe(&sidecar, &mut problems).await;
    if !sidecar.process.runs() {
        problems.push("the sidecar has ended".to_owned());
    }
    let flat = flatness(&samples, &mut problems);
    publish(
        "soak.md",
        &report(length, faults, &samples, &outcomes, &flat, &problems),
    )?;
    match problems.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(problems.join("; "))),
    }
}

async fn order(stand_in: &StandIn, faults: serde_json::Value) {
    let url = format!("http://{}/_faults", stand_in.process.address);
    // One that is being restarted begins without faults, which is as good.
    let _ = reqwest::Client::new()
        .post(url)
        .body(faults.to_string())
        .send()
        .await;
}

async fn set_fault(stand_in: &StandIn) {
    let fault = fastrand::choice(FAULTS).unwrap_or("none");
    let latency = fastrand::choice([0, 0, 20, 200]).unwrap_or(0);
    order(
        stand_in,
        json!({"fault": fault, "latency_ms": latency, "status": 503}),
    )
    .await;
}

async fn metric(sidecar: &Sidecar, name: &str) -> io::Result<f64> {
    let url = format!("http://{}/metrics", sidecar.admin);
    let page = reqwest::get(url).await.map_err(io::Error::other)?;
    let page = page.text().await.map_err(io::Error::other)?;
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.and_then(|value| value.parse().ok());
    value.ok_or_else(|| io::Error::other(format!("no {name}")))
}

async fn sample(sidecar: &Sidecar, started: Instant) -> io::Result<Sample> {
    Ok(Sample {
        at: started.elapsed(),
        resident: sidecar.process.resident()?,
        descriptors: sidecar.process.descriptors()?,
        in_flight: metric(sidecar, "sidecar_in_flight").await?,
    })
}

/// Waits for what is under way, then looks at what is left.
async fn settle(sidecar: &Sidecar, at_start: usize, problems: &mut Vec<String>) -> io::Result<()> {
    let process: &Process = &sidecar.process;
    for _ in 0..120 {
        let (in_flight, open) = (
            metric(sidecar, "sidecar_in_flight").await?,
            process.descriptors()?,
        );
        if in_flight == 0.0 && open <= at_start + DESCRIPTORS_KEPT {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for (name, wanted) in [
        ("sidecar_in_flight", 0.0),
        ("sidecar_panics_total", 0.0),
        ("sidecar_buffered_bytes", 0.0),
    ] {
        let value = metric(sidecar, name).await?;
        if value != wanted {
            problems.push(format!("{name} is {value}"));
        }
    }
    let open = process.descriptors()?;
    if open > at_start + DESCRIPTORS_KEPT {
        problems.push(format!(
            "{open} descriptors are open, {at_start} at the start"
        ));
    }
    Ok(())
}

async fn probe(sidecar: &Sidecar, problems: &mut Vec<String>) {
    let token = crate::processes::token();
    // Answers of the mock in Coolbits' place are kept for at most 5 s.
    tokio::time::sleep(Duration::from_secs(6)).await;
    for (path, source) in [
        ("/static/app.js", "legacy"),
        ("/api/connectors/aws/ec2", "mock"),
        ("/api/connectors/google-ads/campaigns?days=77", "coolbits"),
    ] {
        let url = format!("http://{}{path}", sidecar.process.address);
        let request = reqwest::Client::new()
            .get(url)
            .bearer_auth(&token)
            .header("X-Client-ID", "10");
        let outcome = request.send().await.map(|answer| {
            let told = answer.headers().get("x-camarad-source").cloned();
            (answer.status().as_u16(), told)
        });
        match outcome {
            Ok((200, Some(told))) if told == source => {}
            other => problems.push(format!("{path} afterwards: {other:?}")),
        }
    }
}

fn flatness(samples: &[Sample], problems: &mut Vec<String>) -> String {
    let quarter = samples.len() / 4;
    let resident = |part: &[Sample]| median(part.iter().map(|sample| sample.resident as f64));
    let (second, last) = (
        resident(&samples[quarter..quarter * 2]),
        resident(&samples[quarter * 3..]),
    );
    if last > second * FLAT_RATIO && last > second + FLAT_KIB {
        problems.push(format!("memory grew from {second:.0} to {last:.0} KiB"));
    }
    format!(
        "resident memory: {:.1} MiB in the second quarter, {:.1} MiB in the last (medians)",
        second / 1024.0,
        last / 1024.0
    )
}

fn report(
    length: Duration,
    faults: u32,
    samples: &[Sample],
    outcomes: &Outcomes,
    flat: &str,
    problems: &[String],
) -> String {
    let total: u64 = outcomes.values().flat_map(|by| by.values()).sum();
    let verdict = if problems.is_empty() {
        "nothing wrong".to_owned()
    } else {
        problems.join("; ")
    };
    let mut out = format!(
        "# Soak\n\n{} s on {} cores, {total} requests ({:.0}/s), {faults} changes of fault at both stand-ins. \
         Outcome: {verdict}; {flat}.\n\n| s | resident MiB | descriptors | in flight |\n|---|---|---|---|\n",
        length.as_secs(),
        cores(),
        total as f64 / length.as_secs_f64()
    );
    for sample in samples.iter().skip(9).step_by(10) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {} | {:.1} | {} | {} |",
            sample.at.as_secs(),
            sample.resident as f64 / 1024.0,
            sample.descriptors,
            sample.in_flight
        );
    }
    out.push_str("\n| what was asked | outcomes |\n|---|---|\n");
    for (name, by) in outcomes {
        let by: Vec<String> = by
            .iter()
            .map(|(outcome, count)| format!("{outcome}: {count}"))
            .collect();
        let _ = writeln!(out, "| {name} | {} |", by.join(", "));
    }
    out
}
