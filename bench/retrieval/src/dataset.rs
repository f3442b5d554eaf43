//! A dataset in BEIR's layout, with tenants: `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`.
//!
//! It is read strictly: an id twice, a judgement of nothing, or a document without a
//! tenant stops the evaluation, since each would make figures that look right.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::error::Error;

const FILES: [&str; 3] = ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"];

/// The user of documents that are added: no dataset has one with this id.
const CROWD: u64 = u64::MAX;
/// How many of them a client has.
const CROWD_DOCUMENTS: u64 = 100;

/// Documents, queries and judgements.
pub(crate) struct Dataset {
    /// In the file's order.
    pub(crate) documents: Vec<Document>,
    /// In the file's order.
    pub(crate) queries: Vec<Query>,
    /// Query → document → grade; 0 is judged and not relevant.
    pub(crate) qrels: HashMap<String, BTreeMap<String, i64>>,
    /// Of the three files one after the other, as `cat … | sha256sum` says it.
    pub(crate) sha256: String,
    places: HashMap<String, usize>,
}

/// A document of `corpus.jsonl`.
#[derive(Clone, Deserialize)]
pub(crate) struct Document {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) metadata: About,
}

/// What is known of a document.
#[derive(Clone, Deserialize)]
pub(crate) struct About {
    pub(crate) lang: Lang,
    pub(crate) tenant: Tenant,
    /// What an answer cites.
    #[serde(default)]
    pub(crate) source_uri: Option<String>,
}

/// A query of `queries.jsonl`.
#[derive(Deserialize)]
pub(crate) struct Query {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) metadata: Asked,
}

/// What is known of a query.
#[derive(Deserialize)]
pub(crate) struct Asked {
    pub(crate) lang: Lang,
    pub(crate) domain: String,
    /// Who asks.
    pub(crate) tenant: Tenant,
    pub(crate) kind: Kind,
}

/// Languages that there is an analyser for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lang {
    En,
    Ro,
}

impl Lang {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ro => "ro",
        }
    }
}

/// What makes a query hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Plain,
    Paraphrase,
    /// One of two documents that are nearly the same is asked for.
    NearDuplicate,
    /// The answer is in the other language.
    CrossLanguage,
    /// Nothing in the corpus answers it.
    NoAnswer,
    /// Only a document of another client does.
    OtherTenant,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Paraphrase => "paraphrase",
            Self::NearDuplicate => "near_duplicate",
            Self::CrossLanguage => "cross_language",
            Self::NoAnswer => "no_answer",
            Self::OtherTenant => "other_tenant",
        }
    }
}

/// Whose a document is, or who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenTenant")]
pub(crate) enum Tenant {
    /// Everybody's.
    Public,
    /// A client's of a user; the same client of another user is another tenant.
    Client { user: u64, client: u64 },
}

impl Tenant {
    /// Whether `asker` may see what is this tenant's.
    pub(crate) fn shows_to(self, asker: Self) -> bool {
        self == Self::Public || self == asker
    }

    /// In one word, for an index: `public` or `1/10`.
    pub(crate) fn key(self) -> String {
        match self {
            Self::Public => "public".to_owned(),
            Self::Client { user, client } => format!("{user}/{client}"),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenTenant {
    Word(String),
    Client(WrittenClient),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenClient {
    user: u64,
    client: u64,
}

impl TryFrom<WrittenTenant> for Tenant {
    type Error = String;

    fn try_from(written: WrittenTenant) -> Result<Self, String> {
        match written {
            WrittenTenant::Word(word) if word == "public" => Ok(Self::Public),
            WrittenTenant::Word(word) => Err(format!(
                "tenant `{word}`: expected \"public\" or {{\"user\": 1, \"client\": 10}}"
            )),
            WrittenTenant::Client(WrittenClient { user, client }) => {
                Ok(Self::Client { user, client })
            }
        }
    }
}

impl Dataset {
    /// Reads the three files of `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let mut digest = Sha256::new();
        let mut texts = Vec::new();
        for name in FILES {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
            digest.update(text.as_bytes());
            texts.push((path, text));
        }
        let [(corpus, documents), (asked, queries), (judged, qrels)] = &texts[..] else {
            return Err(Error::Usage("a dataset has three files".to_owned()));
        };
        let documents: Vec<Document> = lines(corpus, documents)?;
        let queries: Vec<Query> = lines(asked, queries)?;
        let places = once(corpus, documents.iter().map(|document| &document.id))?;
        let known = once(asked, queries.iter().map(|query| &query.id))?;
        let qrels = judgements(judged, qrels, &known, &places)?;
        let sha256 = digest
            .finalize()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        Ok(Self {
            documents,
            queries,
            qrels,
            sha256,
            places,
        })
    }

    /// Adds `count` documents of tenants that no query asks as: copies of the corpus'
    /// own, in turn. Answers should not change; how long they take does.
    pub(crate) fn crowd(&mut self, count: usize) {
        let own = self.documents.len();
        for at in 0..if own == 0 { 0 } else { count } {
            let mut copy = self.documents[at % own].clone();
            copy.id = format!("other-{at}");
            copy.metadata.tenant = Tenant::Client {
                user: CROWD,
                client: 1 + at as u64 / CROWD_DOCUMENTS,
            };
            self.places.insert(copy.id.clone(), self.documents.len());
            self.documents.push(copy);
        }
    }

    /// The document with this id.
    pub(crate) fn document(&self, id: &str) -> Option<&Document> {
        self.places.get(id).and_then(|&at| self.documents.get(at))
    }

    /// What is judged for a query, of what its asker may see.
    pub(crate) fn judged(&self, query: &Query) -> HashMap<&str, i64> {
        let all = self.qrels.get(&query.id).into_iter().flatten();
        all.filter(|(id, _)| {
            self.document(id)
                .is_some_and(|found| found.metadata.tenant.shows_to(query.metadata.tenant))
        })
        .map(|(id, &grade)| (id.as_str(), grade))
        .collect()
    }
}

fn lines<T: DeserializeOwned>(path: &Path, text: &str) -> Result<Vec<T>, Error> {
    let written = text.lines().enumerate();
    written
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| serde_json::from_str(line).map_err(|e| Error::line(path, at + 1, e)))
        .collect()
}

fn once<'a>(
    path: &Path,
    ids: impl Iterator<Item = &'a String>,
) -> Result<HashMap<String, usize>, Error> {
    let mut seen = HashMap::new();
    for (at, id) in ids.enumerate() {
        if seen.insert(id.clone(), at).is_some() {
            let what = format!("{}: `_id` {id} is there twice", path.display());
            return Err(Error::Usage(what));
        }
    }
    Ok(seen)
}

fn judgements(
    path: &Path,
    text: &str,
    queries: &HashMap<String, usize>,
    documents: &HashMap<String, usize>,
) -> Result<HashMap<String, BTreeMap<String, i64>>, Error> {
    let mut qrels: HashMap<String, BTreeMap<String, i64>> = HashMap::new();
    let mut seen = HashSet::new();
    for (at, line) in text.lines().enumerate() {
        if at == 0 && line.starts_with("query-id") || line.is_empty() {
            continue;
        }
        let wrong = |what: String| Error::line(path, at + 1, what);
        let columns: Vec<&str> = line.split('\t').collect();
        let [query, document, grade] = columns[..] else {
            return Err(wrong("expected query-id, corpus-id, score".to_owned()));
        };
        let grade = grade.parse::<i64>().ok().filter(|g| (0..=2).contains(g));
        let grade = grade.ok_or_else(|| wrong("score: expected 0, 1 or 2".to_owned()))?;
        if !queries.contains_key(query) {
            return Err(wrong(format!("no query {query}")));
        }
        if !documents.contains_key(document) {
            return Err(wrong(format!("no document {document}")));
        }
        if !seen.insert((query, document)) {
            return Err(wrong(format!("{query} and {document} are judged twice")));
        }
        let of = qrels.entry(query.to_owned()).or_default();
        of.insert(document.to_owned(), grade);
    }
    Ok(qrels)
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
