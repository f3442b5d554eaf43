//! The last runs on the status page, and one run to download.
//!
//! Runs are tenants': whoever reaches the admin listener reads that there was one, when, how
//! it ended and how much it was. Names are told to whoever has the admin token; figures only
//! in what such a one downloads. That is decided in [`super`].

use super::facts::{Named, Run, Runs, Step};
use crate::ledger::{Filter, LedgerError, Reader};
use camarad_policies::run::trace::{self, trace};
use camarad_policies::run::{Run as Recorded, data};
use std::collections::BTreeMap;
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Runs that are shown.
const MOST: u32 = 20;
/// Steps of one run that are named.
const MOST_STEPS: usize = 3;

/// How a run is downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
}

impl Format {
    /// `<run_id>.json` or `<run_id>.csv`, taken apart; `None` where it is neither.
    pub(super) fn of(file: &str) -> Option<(&str, Self)> {
        let (run_id, ending) = file.rsplit_once('.')?;
        let format = match ending {
            "json" => Self::Json,
            "csv" => Self::Csv,
            _ => return None,
        };
        // What ledgers call runs; it goes into a header.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let is_id = (1..=64).contains(&run_id.len()) && run_id.bytes().all(is_plain);
        is_id.then_some((run_id, format))
    }

    /// Its `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// The last runs; with their names only where `named` says so. Waits for the disk.
pub(super) fn newest(state_dir: &Path, named: bool) -> Runs {
    let filter = Filter {
        client: None,
        user: None,
        status: None,
        since_ms: i64::MIN,
        most: MOST,
    };
    let runs = Reader::open(state_dir).and_then(|reader| reader.with_steps(filter));
    match runs {
        Ok(runs) => Runs {
            error: None,
            named,
            newest: runs.iter().map(|run| row(run, named)).collect(),
        },
        Err(error) => {
            tracing::warn!("the status page: the ledger cannot be read: {error}");
            Runs {
                // Not the error's own words: they may name a run.
                error: Some("the ledger cannot be read; the log says why".to_owned()),
                ..Runs::default()
            }
        }
    }
}

/// The trace of one run; `None` where there is none of that id. Waits for the disk.
pub(super) fn download(
    state_dir: &Path,
    run_id: &str,
    format: Format,
) -> Result<Option<Vec<u8>>, LedgerError> {
    let run = Reader::open(state_dir)?.find(run_id)?;
    Ok(run.map(|run| match format {
        Format::Json => format!("{:#}\n", trace(&run).to_json()).into_bytes(),
        Format::Csv => trace(&run).to_csv(),
    }))
}

fn row(run: &Recorded, named: bool) -> Run {
    let steps = run.answer.as_ref().map(trace::steps).unwrap_or_default();
    let mut by_status = BTreeMap::new();
    for step in &steps {
        *by_status.entry(step.status.clone()).or_default() += 1;
    }
    let named = named.then(|| Named {
        flow: run.flow_name.clone(),
        more_steps: steps.len().saturating_sub(MOST_STEPS),
        steps: steps.into_iter().take(MOST_STEPS).map(step).collect(),
    });
    Run {
        run_id: run.run_id.clone(),
        status: run.status.as_str(),
        started_at: run.started_at.clone(),
        duration_ms: duration_ms(&run.started_at, run.finished_at.as_deref()),
        data: data(&run.sources),
        is_replay: run.replay_of.is_some(),
        findings: run.findings.as_array().map_or(0, Vec::len),
        steps: by_status,
        named,
    }
}

fn step(step: trace::Step) -> Step {
    Step {
        label: match step.node_label.is_empty() {
            true => step.node_id,
            false => step.node_label,
        },
        kind: step.connector.unwrap_or(step.kind),
        status: step.status,
        source: step.source,
    }
}

fn duration_ms(started: &str, finished: Option<&str>) -> Option<u64> {
    let at = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let took = at(finished?)? - at(started)?;
    u64::try_from(took.whole_milliseconds()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_policies::run::{Source, Status};
    use serde_json::{Value, json};

    fn recorded() -> Recorded {
        let step = |n: usize, status: &str| json!({"step": n, "node_id": format!("n{n}"), "node_label": "Clicks of Acme", "type": "agent", "status": status, "output": "1234 clicks"});
        let steps: Vec<Value> = (1..=8)
            .map(|n| step(n, if n == 3 { "error" } else { "ok" }))
            .collect();
        Recorded {
            run_id: "0198".into(),
            execution_id: Some(3),
            trace_execution_id: None,
            user: 7,
            client: 10,
            flow_id: None,
            flow_name: "Acme's mornings".into(),
            flow: Value::Null,
            request_hash: String::new(),
            findings: json!([{"code": "x"}]),
            sources: vec![Source {
                node_id: "n1".into(),
                connector: "ga4".into(),
                source: "mock".into(),
                account: Some("123-456".into()),
                gateway: None,
            }],
            started_at: "2026-11-26T01:00:00.000Z".into(),
            finished_at: Some("2026-11-26T01:00:02.500Z".into()),
            status: Status::Warning,
            replay_of: None,
            answer: Some(json!({"steps": steps})),
        }
    }

    #[test]
    fn without_the_token_a_run_has_neither_names_nor_figures() {
        let told = serde_json::to_value(row(&recorded(), false)).unwrap();
        let expected = json!({
            "run_id": "0198", "status": "warning", "started_at": "2026-11-26T01:00:00.000Z",
            "duration_ms": 2500, "data": "mock", "is_replay": false, "findings": 1,
            "steps": {"success": 7, "error": 1},
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn with_the_token_it_has_names_and_no_figures() {
        let named = row(&recorded(), true).named.unwrap();
        assert_eq!(
            (named.flow.as_str(), named.steps.len(), named.more_steps),
            ("Acme's mornings", 3, 5)
        );
        assert_eq!(named.steps[2].label, "Clicks of Acme");
        let text = serde_json::to_string(&named).unwrap();
        assert!(
            !text.contains("1234") && !text.contains("123-456"),
            "{text}"
        );
    }

    #[test]
    fn a_download_is_named_by_run_and_format() {
        assert_eq!(Format::of("0198-a.json"), Some(("0198-a", Format::Json)));
        assert_eq!(Format::of("0198-a.csv"), Some(("0198-a", Format::Csv)));
        for bad in [
            "0198", "0198.xml", ".json", "a\"b.csv", "a b.csv", "a/b.csv", "a.b.csv",
        ] {
            assert_eq!(Format::of(bad), None, "{bad}");
        }
        assert_eq!(Format::of(&format!("{}.csv", "a".repeat(65))), None);
    }

    #[test]
    fn what_runs_still_has_no_duration() {
        let start = "2026-11-26T01:00:00.000Z";
        assert_eq!(duration_ms(start, None), None);
        assert_eq!(duration_ms(start, Some(start)), Some(0));
        assert_eq!(
            duration_ms(start, Some("2026-11-26T00:00:00.000Z")),
            None,
            "a clock set back"
        );
    }
}
