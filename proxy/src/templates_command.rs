//! `templates`: the business templates that come with the sidecar, listed, shown, and
//! installed for a client.
//!
//! Listing and showing ask nobody. Installing goes through the sidecar that runs, with
//! the caller's own token, so that a client of somebody else's is refused as for any
//! other request; see [`install`].

mod install;

use camarad_policies::templates::{self, Template, TemplatesError};
use clap::Subcommand;
use install::{InstallArgs, Refused};
use std::fmt::Write;

#[derive(Debug, Subcommand)]
pub(crate) enum TemplatesCommand {
    /// One line for each: id, name, category and the connectors it needs.
    List {
        /// Those of one category only, such as Marketing.
        #[arg(long)]
        category: Option<String>,
    },
    /// One template as JSON, its flow included.
    Show {
        /// Its id, such as biz-growth-review.
        id: String,
    },
    /// Save templates for a client, through the sidecar that runs.
    Install(InstallArgs),
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("the built-in templates: {0}")]
    Templates(#[from] TemplatesError),
    #[error("no template is called {unknown}; there are {known}")]
    Unknown { unknown: String, known: String },
    #[error("no template is of category {0:?}; there are {1}")]
    Category(String, String),
    #[error("the template cannot be written: {0}")]
    Write(#[from] serde_json::Error),
    #[error("--url: {0}")]
    Url(&'static str),
    #[error("{0}")]
    Token(&'static str),
    #[error("the HTTP client: {0}")]
    Client(reqwest::Error),
    #[error("{0}")]
    Refused(#[from] Refused),
}

impl CommandError {
    /// The sidecar, or what is behind it, said no; the arguments were good.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Does what the command says; tells `say` each line as soon as it is true.
pub(crate) async fn run(command: &TemplatesCommand, say: fn(&str)) -> Result<(), CommandError> {
    let all = templates::all()?;
    match command {
        TemplatesCommand::List { category } => say(&list(&all, category.as_deref())?),
        TemplatesCommand::Show { id } => {
            for one in chosen(&all, std::slice::from_ref(id))? {
                say(&serde_json::to_string_pretty(one)?);
            }
        }
        TemplatesCommand::Install(args) => {
            let chosen = chosen(&all, args.ids())?;
            install::install(args, &chosen, say).await?;
        }
    }
    Ok(())
}

/// The templates with these ids, each once and in this order; all where none is named.
fn chosen<'a>(all: &'a [Template], ids: &[String]) -> Result<Vec<&'a Template>, CommandError> {
    let mut chosen: Vec<&Template> = Vec::new();
    let mut unknown = Vec::new();
    for id in ids {
        match all.iter().find(|one| one.id == *id) {
            Some(one) if chosen.iter().any(|other| other.id == one.id) => {}
            Some(one) => chosen.push(one),
            None => unknown.push(format!("{id:?}")),
        }
    }
    if !unknown.is_empty() {
        return Err(CommandError::Unknown {
            unknown: unknown.join(", "),
            known: joined(all.iter().map(|one| &one.id)),
        });
    }
    match ids.is_empty() {
        true => Ok(all.iter().collect()),
        false => Ok(chosen),
    }
}

fn list(all: &[Template], category: Option<&str>) -> Result<String, CommandError> {
    let is_wanted = |one: &&Template| {
        category.is_none_or(|wanted| templates::folded(&one.category) == templates::folded(wanted))
    };
    let wanted: Vec<&Template> = all.iter().filter(is_wanted).collect();
    if let (Some(category), true) = (category, wanted.is_empty()) {
        let mut known: Vec<&String> = all.iter().map(|one| &one.category).collect();
        known.sort();
        known.dedup();
        return Err(CommandError::Category(category.into(), joined(known)));
    }
    let mut rows = vec![["id", "name", "category", "needs"].map(String::from)];
    rows.extend(wanted.iter().map(|one| {
        [
            one.id.clone(),
            one.name.clone(),
            one.category.clone(),
            joined(&one.needs),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (id, name, category) = (width(0), width(1), width(2));
    let mut text = String::new();
    for row in &rows {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "{:id$}  {:name$}  {:category$}  {}",
            row[0], row[1], row[2], row[3]
        );
    }
    Ok(text.trim_end().to_owned())
}

fn joined<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    let words: Vec<&str> = words.into_iter().map(String::as_str).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Result<Vec<String>, CommandError> {
        let all = templates::all().unwrap();
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let chosen = chosen(&all, &ids)?;
        Ok(chosen.iter().map(|one| one.id.clone()).collect())
    }

    #[test]
    fn no_id_means_all_and_each_is_chosen_once() {
        assert_eq!(ids(&[]).unwrap().len(), 10);
        let named = ["biz-seo-audit", "biz-tag-health", "biz-seo-audit"];
        assert_eq!(ids(&named).unwrap(), named[..2]);
    }

    #[test]
    fn unknown_ids_are_all_told_with_those_that_are_known() {
        let error = ids(&["biz-seo-audit", "seo", ""]).unwrap_err();
        assert!(!error.is_refusal());
        let words = error.to_string();
        let start = r#"no template is called "seo", ""; there are biz-growth-review, biz-"#;
        assert!(words.starts_with(start), "{words}");
        assert!(words.ends_with("biz-incident-triage"), "{words}");
    }

    #[test]
    fn the_list_has_its_columns_in_line() {
        let all = templates::all().unwrap();
        let text = list(&all, Some(" engineering ")).unwrap();
        let expected = "\
id                   name             category     needs
biz-tag-health       Tag health       Engineering  google-tag-manager
biz-incident-triage  Incident triage  Engineering  vercel, aws, github";
        assert_eq!(text, expected);
        assert_eq!(list(&all, None).unwrap().lines().count(), 11);
    }

    #[test]
    fn a_category_without_templates_is_told_with_those_there_are() {
        let all = templates::all().unwrap();
        let words = list(&all, Some("Legal")).unwrap_err().to_string();
        let expected = "no template is of category \"Legal\"; there are \
                        Engineering, Executive, Finance, Marketing, Operations, Sales";
        assert_eq!(words, expected);
    }
}
