//! SQLite's FTS5 with its `bm25()` (k1 = 1.2, b = 0.75, built in), in memory.
//!
//! Words are folded (`remove_diacritics 2`) and stemmed by Porter's English rules; FTS5
//! has none for Romanian. Any of the query's words may match, as in the other system.
//! The tenant is a word of each row, so that the search itself passes over others'
//! rows; and a condition on each row that matches, which decides.

use std::collections::HashSet;
use std::time::Instant;

use rusqlite::{Connection, params};

use super::{Answer, System, TITLE_WEIGHT};
use crate::dataset::{Dataset, Query, Tenant};
use crate::error::Error;
use crate::metrics::Hit;

/// An index of a corpus.
pub(crate) struct Fts5 {
    connection: Connection,
    scoped: bool,
}

impl Fts5 {
    /// Indexes the corpus; `scoped` filters by the asker's tenant.
    pub(crate) fn new(dataset: &Dataset, scoped: bool) -> Result<Self, Error> {
        let mut connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "CREATE VIRTUAL TABLE documents USING fts5(
                id UNINDEXED, tenant UNINDEXED, source UNINDEXED, owner, title, text,
                tokenize = 'porter unicode61 remove_diacritics 2')",
        )?;
        let all = connection.transaction()?;
        for document in &dataset.documents {
            all.prepare_cached("INSERT INTO documents VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![
                    document.id,
                    document.metadata.tenant.key(),
                    document.metadata.source_uri,
                    owner(document.metadata.tenant),
                    document.title,
                    document.text,
                ])?;
        }
        all.commit()?;
        Ok(Self { connection, scoped })
    }
}

impl System for Fts5 {
    fn ask(&mut self, query: &Query, k: usize) -> Result<Answer, Error> {
        let began = Instant::now();
        let words = expression(&query.text);
        if words.is_empty() {
            return Ok(Answer::default());
        }
        let wanted = format!("{{title text}} : ({words})");
        let wanted = match self.scoped {
            true => format!("{} AND {wanted}", owners(query.metadata.tenant)),
            false => wanted,
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT id, -bm25(documents, 0, 0, 0, 0, ?1, 1) AS score, source FROM documents
             WHERE documents MATCH ?2 AND (?3 IS NULL OR tenant IN (?3, ?4))
             ORDER BY score DESC LIMIT ?5",
        )?;
        let asker = self.scoped.then(|| query.metadata.tenant.key());
        let limit = i64::try_from(k).unwrap_or(i64::MAX);
        let values = params![TITLE_WEIGHT, wanted, asker, Tenant::Public.key(), limit];
        let found = statement.query_map(values, |row| {
            Ok(Hit {
                id: row.get(0)?,
                score: row.get(1)?,
                source: row.get(2)?,
            })
        })?;
        Ok(Answer {
            hits: found.collect::<Result<_, _>>()?,
            took: Some(began.elapsed()),
            failed: None,
        })
    }

    fn warms_up(&self) -> bool {
        true
    }
}

/// A tenant as one word of the index: `tpublic`, `t1x10`.
fn owner(tenant: Tenant) -> String {
    format!("t{}", tenant.key().replace('/', "x"))
}

/// Rows that `asker` may see.
fn owners(asker: Tenant) -> String {
    let (public, own) = (owner(Tenant::Public), owner(asker));
    format!("owner : (\"{public}\" OR \"{own}\")")
}

/// Every word quoted, so that none is an operator: `"roas" OR "brand"`.
fn expression(text: &str) -> String {
    let mut seen = HashSet::new();
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words = words.map(str::to_lowercase);
    let quoted = words.filter(|word| !word.is_empty() && seen.insert(word.clone()));
    let quoted: Vec<String> = quoted.map(|word| format!("\"{word}\"")).collect();
    quoted.join(" OR ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_is_a_word_of_its_own() {
        let of = |user, client| owner(Tenant::Client { user, client });
        assert_eq!(of(1, 10), "t1x10");
        assert_ne!(of(1, 10), of(11, 0));
        assert_eq!(
            owners(Tenant::Public),
            r#"owner : ("tpublic" OR "tpublic")"#
        );
    }

    #[test]
    fn no_word_is_an_operator() {
        for (text, due) in [
            ("ROAS of brand?", r#""roas" OR "of" OR "brand""#),
            ("NOT near(\"x\") *", r#""not" OR "near" OR "x""#),
            ("ads ADS", r#""ads""#),
            ("?!", ""),
        ] {
            assert_eq!(expression(text), due, "{text}");
        }
    }
}
