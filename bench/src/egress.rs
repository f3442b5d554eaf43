//! What looking an answer through costs, against what parsing it costs.
//!
//! In this process, single-threaded, interleaved; nothing but the pure function.

use crate::table::{cores, median, publish, spread};
use camarad_policies::egress::{self, Egress, Mine};
use camarad_policies::ids::UserId;
use camarad_policies::matrix::Matrix;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::fmt::Write;
use std::hint::black_box;
use std::io;
use std::time::Instant;

const ROUNDS: usize = 25;
const SIZES: [usize; 3] = [64 << 10, 1 << 20, 8 << 20];

/// Something that is done with an answer.
type Work<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

pub(crate) fn measure() -> io::Result<()> {
    let matrix = Matrix::built_in().map_err(io::Error::other)?;
    let rule = |name: &str| {
        let found = matrix.rules().iter().find(|rule| *rule.name == *name);
        found.ok_or_else(|| io::Error::other("no such rule"))
    };
    let (blocks, filters) = (rule("conversations.list")?, rule("export")?);
    let mine = Mine {
        client: &|client| client.get() == 10,
        unowned: true,
        user: UserId::parse("1").ok(),
        account: &|_| true,
    };
    let passes = |rule, body: &[u8]| egress::check(rule, body, &mine).outcome == Egress::Pass;
    let works: [(&str, Work<'_>); 4] = [
        (
            "looked through, all of it mine",
            Box::new(|body| passes(blocks, body)),
        ),
        (
            "looked through by a rule that does not fit, and so blocks",
            Box::new(|body| egress::check(filters, body, &mine).outcome == Egress::Blocked),
        ),
        (
            "serde_json, nothing kept",
            Box::new(|body| serde_json::from_slice::<IgnoredAny>(body).is_ok()),
        ),
        (
            "serde_json, a Value",
            Box::new(|body| serde_json::from_slice::<Value>(body).is_ok()),
        ),
    ];
    let mut out = format!(
        "# Cost of looking an answer through\n\n{} cores, {ROUNDS} interleaved rounds in one thread. Nanoseconds per byte, \
         medians (least to most), of a list of conversations with messages of about 200 characters.\n\n\
         | what | 64 KiB | 1 MiB | 8 MiB |\n|---|---|---|---|\n",
        cores()
    );
    let bodies = SIZES.map(rows);
    let mut costs = vec![[const { Vec::new() }; SIZES.len()]; works.len()];
    for _ in 0..ROUNDS {
        for (at, (name, work)) in works.iter().enumerate() {
            for (size, body) in bodies.iter().enumerate() {
                let repeats = ((8 << 20) / body.len()).max(1);
                let started = Instant::now();
                for _ in 0..repeats {
                    if !black_box(work(black_box(body))) {
                        return Err(io::Error::other(format!("{name}: not what was expected")));
                    }
                }
                let bytes = (repeats * body.len()) as f64;
                costs[at][size].push(started.elapsed().as_secs_f64() * 1e9 / bytes);
            }
        }
    }
    for ((name, _), costs) in works.iter().zip(&costs) {
        let cells = costs.iter().map(|cost| spread(cost.iter().copied(), 2));
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| {name} | {} |",
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    let ours = median(costs[0][2].iter().copied());
    let value = median(costs[3][2].iter().copied());
    let _ = writeln!(
        out,
        "\nA `Value` of 8 MiB costs {:.1} times as much.",
        value / ours
    );
    publish("egress.md", &out)
}

/// A list of about this many bytes, as the app writes it.
pub(crate) fn rows(size: usize) -> Vec<u8> {
    let message = "Budget for the next quarter looks fine; caf\\u00e9 campaign paused. ".repeat(3);
    let mut body = b"[".to_vec();
    let mut id = 1;
    while body.len() < size {
        let row = json!({"agent_name": "SEO helper", "agent_slug": "seo", "client_id": 10, "created_at": "2026-11-25T10:00:00Z",
                         "has_photo": false, "id": id, "last_message": message, "msg_count": 12, "title": "Quarterly review",
                         "unread": 0, "workspace_slug": "business"});
        if id > 1 {
            body.extend_from_slice(b", ");
        }
        body.extend_from_slice(row.to_string().as_bytes());
        id += 1;
    }
    body.extend_from_slice(b"]\n");
    body
}
