//! `retrieval eval`: builds the systems, asks them, writes the report.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use crate::bootstrap::Resampling;
use crate::cli::{Eval, HttpArguments, Name};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::evaluate::{Parameters, ask_all};
use crate::report::{About, Evaluated, Report};
use crate::systems::System;
use crate::systems::bm25::Bm25;
use crate::systems::fts5::Fts5;
use crate::systems::http::{Http, Shape, Tokens};
use crate::systems::run::Run;
use crate::trec;

/// The environment's token, for users without a file.
const TOKEN: &str = "RETRIEVAL_TOKEN";

/// `Ok(false)` where a requirement is missed or a query failed.
#[allow(clippy::print_stdout, clippy::print_stderr)] // The result is for whoever asked.
pub(crate) fn run(eval: &Eval) -> Result<bool, Error> {
    let mut dataset = Dataset::read(&eval.dataset)?;
    let own = dataset.documents.len();
    dataset.crowd(eval.others as usize);
    let how = Parameters {
        k: usize::from(eval.k),
        others: dataset.documents.len() - own,
        complete: eval.complete,
        threshold: eval.threshold,
        resampling: Resampling {
            seed: eval.seed,
            resamples: eval.resamples as usize,
        },
    };
    let mut systems: Vec<Evaluated> = Vec::new();
    for &name in &eval.system {
        let began = Instant::now();
        let mut system = build(name, eval, &dataset)?;
        let built = began.elapsed().as_secs_f64() * 1e3;
        let outcomes = ask_all(&dataset, system.as_mut(), how)?;
        let first = systems.first().map(|first| &first.outcomes[..]);
        let mut done = Evaluated::new(name.text().to_owned(), outcomes, first, how);
        done.index_ms = name.indexes().then_some(built);
        systems.push(done);
    }
    let report = Report {
        dataset: About {
            sha256: dataset.sha256.clone(),
            documents: own,
            queries: dataset.queries.len(),
            judgements: dataset.qrels.values().map(BTreeMap::len).sum(),
        },
        parameters: how,
        versions: versions(),
        systems,
    };
    let table = report.markdown();
    print!("{table}");
    if let Some(path) = &eval.markdown {
        put(path, &table)?;
    }
    if let Some(path) = &eval.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Error::Usage(error.to_string()))?;
        put(path, &format!("{text}\n"))?;
    }
    if let Some(folder) = &eval.trec {
        trec::write(folder, &dataset, &report)?;
    }
    let asked = report.systems.iter();
    let missed = asked.flat_map(|system| eval.require.iter().filter_map(|due| due.missed(system)));
    let missed: Vec<String> = missed.collect();
    for missed in &missed {
        eprintln!("not reached: {missed}");
    }
    let failed = report
        .systems
        .iter()
        .any(|system| system.overall.failed > 0);
    Ok(missed.is_empty() && !failed)
}

fn build(name: Name, eval: &Eval, dataset: &Dataset) -> Result<Box<dyn System>, Error> {
    Ok(match name {
        Name::Bm25 => Box::new(Bm25::new(dataset, true)?),
        Name::Bm25Unscoped => Box::new(Bm25::new(dataset, false)?),
        Name::Fts5 => Box::new(Fts5::new(dataset, true)?),
        Name::Fts5Unscoped => Box::new(Fts5::new(dataset, false)?),
        Name::Run => {
            let path = eval.run.as_ref();
            let path = path.ok_or_else(|| Error::Usage("system run needs --run FILE".into()))?;
            Box::new(Run::read(path, dataset)?)
        }
        Name::Http => {
            let http = &eval.http;
            let url = http.url.clone();
            let url = url.ok_or_else(|| Error::Usage("system http needs --url URL".into()))?;
            let shape = Shape {
                parameter: http.query_parameter.clone(),
                results: http.results.clone(),
                id: http.id_field.clone(),
                score: http.score_field.clone(),
                source: http.source_field.clone(),
            };
            Box::new(Http::new(url, shape, tokens(http)?)?)
        }
    })
}

fn tokens(http: &HttpArguments) -> Result<Tokens, Error> {
    let mut by_user = HashMap::new();
    for written in &http.token_file {
        let wrong = || Error::Usage("--token-file: expected USER=FILE, as in 1=one.jwt".into());
        let (user, path) = written.split_once('=').ok_or_else(wrong)?;
        let user = user.parse().map_err(|_| wrong())?;
        let path = Path::new(path);
        let token = std::fs::read_to_string(path).map_err(Error::file(path))?;
        by_user.insert(user, token.trim().to_owned());
    }
    let mut other = std::env::var(TOKEN).ok();
    if http.token_stdin {
        let mut token = String::new();
        let read = std::io::stdin().read_to_string(&mut token);
        read.map_err(Error::file(Path::new("stdin")))?;
        other = Some(token.trim().to_owned());
    }
    Ok(Tokens { by_user, other })
}

fn versions() -> BTreeMap<&'static str, String> {
    // "tantivy v0.27.0, index_format v7"
    let tantivy = tantivy::version_string();
    let tantivy = tantivy.split(',').next().unwrap_or(tantivy);
    let tantivy = tantivy.trim_start_matches("tantivy v");
    BTreeMap::from([
        ("camarad-retrieval", env!("CARGO_PKG_VERSION").to_owned()),
        ("tantivy", tantivy.to_owned()),
        ("SQLite", rusqlite::version().to_owned()),
    ])
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(Error::file(path))
}
