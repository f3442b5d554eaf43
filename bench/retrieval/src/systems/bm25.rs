//! BM25 by tantivy, in memory (k1 = 1.2, b = 0.75, which tantivy has built in).
//!
//! A document is indexed in the fields of its language, lowercased, folded to ASCII
//! (people type Romanian without its marks, so folding comes before stemming) and
//! stemmed. A query is looked for in the fields of both languages: which one it is in
//! is not known when somebody types it.
//!
//! The tenant is a filter inside of the search, not a sieve behind it: results of
//! others take no places. Frequencies of words are still those of the whole index, so
//! scores, not results, depend on what others have.

use std::collections::HashSet;
use std::time::Instant;

use tantivy::collector::TopDocs;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, Occur, Query as Search, TermQuery,
};
use tantivy::schema::{
    Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer,
    TextAnalyzer,
};
use tantivy::{Index, Searcher, TantivyDocument, Term};

use super::{Answer, System, TITLE_WEIGHT};
use crate::dataset::{Dataset, Lang, Query, Tenant};
use crate::error::Error;
use crate::metrics::Hit;

/// tantivy's least: the sample needs far less.
const WRITER_BYTES: usize = 15_000_000;

/// An index of a corpus.
pub(crate) struct Bm25 {
    searcher: Searcher,
    fields: Fields,
    english: TextAnalyzer,
    romanian: TextAnalyzer,
    scoped: bool,
}

#[derive(Clone, Copy)]
struct Fields {
    id: Field,
    tenant: Field,
    source: Field,
    /// Title and text.
    english: [Field; 2],
    romanian: [Field; 2],
}

impl Fields {
    fn of(self, lang: Lang) -> [Field; 2] {
        match lang {
            Lang::En => self.english,
            Lang::Ro => self.romanian,
        }
    }
}

impl Bm25 {
    /// Indexes the corpus; `scoped` filters by the asker's tenant.
    pub(crate) fn new(dataset: &Dataset, scoped: bool) -> Result<Self, Error> {
        let mut schema = Schema::builder();
        let fields = Fields {
            id: schema.add_text_field("id", STRING | STORED),
            tenant: schema.add_text_field("tenant", STRING),
            source: schema.add_text_field("source", STORED),
            english: ["title_en", "text_en"].map(|name| schema.add_text_field(name, words("en"))),
            romanian: ["title_ro", "text_ro"].map(|name| schema.add_text_field(name, words("ro"))),
        };
        let (english, romanian) = (analyser(Language::English), analyser(Language::Romanian));
        let index = Index::create_in_ram(schema.build());
        index.tokenizers().register("en", english.clone());
        index.tokenizers().register("ro", romanian.clone());
        // One thread makes one segment, and so the same frequencies in every run.
        let mut writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        for document in &dataset.documents {
            let about = &document.metadata;
            let [title, text] = fields.of(about.lang);
            let mut indexed = TantivyDocument::default();
            indexed.add_text(fields.id, &document.id);
            indexed.add_text(fields.tenant, about.tenant.key());
            if let Some(source) = &about.source_uri {
                indexed.add_text(fields.source, source);
            }
            indexed.add_text(title, &document.title);
            indexed.add_text(text, &document.text);
            writer.add_document(indexed)?;
        }
        writer.commit()?;
        Ok(Self {
            searcher: index.reader()?.searcher(),
            fields,
            english,
            romanian,
            scoped,
        })
    }

    fn search(&mut self, text: &str, asker: Tenant) -> Box<dyn Search> {
        let mut words: Vec<(Occur, Box<dyn Search>)> = Vec::new();
        for (analyser, [title, body]) in [
            (&mut self.english, self.fields.english),
            (&mut self.romanian, self.fields.romanian),
        ] {
            for word in tokens(analyser, text) {
                let title = BoostQuery::new(term(title, &word), TITLE_WEIGHT);
                words.push((Occur::Should, Box::new(title)));
                words.push((Occur::Should, term(body, &word)));
            }
        }
        let words = Box::new(BooleanQuery::new(words));
        if !self.scoped {
            return words;
        }
        let mut seen = vec![(
            Occur::Should,
            term(self.fields.tenant, &Tenant::Public.key()),
        )];
        if asker != Tenant::Public {
            seen.push((Occur::Should, term(self.fields.tenant, &asker.key())));
        }
        let filter = ConstScoreQuery::new(Box::new(BooleanQuery::new(seen)), 0.0);
        Box::new(BooleanQuery::new(vec![
            (Occur::Must, words),
            (Occur::Must, Box::new(filter)),
        ]))
    }
}

impl System for Bm25 {
    fn ask(&mut self, query: &Query, k: usize) -> Result<Answer, Error> {
        let began = Instant::now();
        let search = self.search(&query.text, query.metadata.tenant);
        let top = TopDocs::with_limit(k).order_by_score();
        let mut hits = Vec::new();
        for (score, at) in self.searcher.search(&search, &top)? {
            let found: TantivyDocument = self.searcher.doc(at)?;
            let stored = |field| found.get_first(field).and_then(|value| value.as_str());
            hits.push(Hit {
                id: stored(self.fields.id).unwrap_or_default().to_owned(),
                score: f64::from(score),
                source: stored(self.fields.source).map(str::to_owned),
            });
        }
        Ok(Answer {
            hits,
            took: Some(began.elapsed()),
            failed: None,
        })
    }

    fn warms_up(&self) -> bool {
        true
    }
}

fn words(tokenizer: &str) -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(tokenizer)
        .set_index_option(IndexRecordOption::WithFreqs);
    TextOptions::default().set_indexing_options(indexing)
}

fn analyser(language: Language) -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(64))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(language))
        .build()
}

/// Each word once: saying it twice does not make it twice as important.
fn tokens(analyser: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut stream = analyser.token_stream(text);
    let (mut words, mut seen) = (Vec::new(), HashSet::new());
    while let Some(token) = stream.next() {
        if seen.insert(token.text.clone()) {
            words.push(token.text.clone());
        }
    }
    words
}

fn term(field: Field, word: &str) -> Box<dyn Search> {
    let term = Term::from_field_text(field, word);
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn romanian_is_found_with_and_without_its_marks() {
        let mut analyser = analyser(Language::Romanian);
        let marked = tokens(&mut analyser, "Campaniile și ședințele");
        assert_eq!(marked, tokens(&mut analyser, "campaniile si sedintele"));
        assert_eq!(marked[0], tokens(&mut analyser, "campaniilor")[0]);
    }

    #[test]
    fn a_word_said_twice_is_looked_for_once() {
        let mut analyser = analyser(Language::English);
        assert_eq!(tokens(&mut analyser, "ads, Ads and ADS").len(), 2);
    }
}
