//! Pages that behave as the app's UI does (contract, sections 2, 7 and 9), and static files.
//!
//! Each is small and by hand; they load nothing from elsewhere. Those that are
//! not here are plain ones.

use super::request::{Request, Told, page};
use super::store::{Conversation, Store};
use crate::stand_in::server::{full, with_type};
use http::{HeaderValue, StatusCode};
use std::fmt::Write;

const HEAD: &str = include_str!("pages/head.html");
const APP: &str = include_str!("pages/app.html");
const CHAT: &str = include_str!("pages/chat.html");
const CONNECTORS: &str = include_str!("pages/connectors.html");
const LOGIN: &str = include_str!("pages/login.html");
const ORCHESTRATOR: &str = include_str!("pages/orchestrator.html");
const SETTINGS: &str = include_str!("pages/settings.html");
const UI: &[u8] = include_bytes!("pages/ui.js");
const SCRIPT: &[u8] = b"console.log('camarad static file');\n";

pub(super) fn answer(_: &mut Store, request: &Request) -> Option<Told> {
    Some(match request.names() {
        ("GET", "/app") => whole("Camarad", APP),
        ("GET", "/connectors") => connectors(),
        ("GET", "/login" | "/login/" | "/signup") => whole("Log in", LOGIN),
        ("GET", "/orchestrator") => whole("Orchestrator", ORCHESTRATOR),
        ("GET", "/settings") => whole("Settings", SETTINGS),
        ("GET", "/static/<path:filename>") => file(request),
        _ => return None,
    })
}

fn whole(title: &str, body: &str) -> Told {
    page(format!("{}{body}", HEAD.replace("{{title}}", title)))
}

/// A page that only says whose data it would hold.
pub(super) fn plain(path: &str, marks: &[String]) -> Told {
    let (path, marks) = (escape(path), marks.join(" "));
    page(format!("<h1>Camarad</h1>\n<p>{path}</p>\n<p>{marks}</p>\n"))
}

/// Text that can stand in markup, quotes and the marks of our templates included.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' | '{' | '}' => {
                let _ = write!(safe, "&#{};", c as u32);
            }
            c => safe.push(c),
        }
    }
    safe
}

pub(super) fn chat<'a>(
    (workspace, agent): (&str, &str),
    shown: Option<&Conversation>,
    others: impl Iterator<Item = &'a Conversation>,
) -> Told {
    let (mut messages, mut sidebar) = (String::new(), String::new());
    for (role, text) in shown.iter().flat_map(|row| &row.messages) {
        let text = escape(text);
        let _ = writeln!(messages, "<div class=\"message {role}\">{text}</div>");
    }
    for row in others {
        let (id, title) = (row.id, escape(&row.title));
        let href = format!("/chat/{}/{}?conv_id={id}", escape(workspace), escape(agent));
        let _ = writeln!(
            sidebar,
            "<a class=\"conv\" href=\"{href}\" data-conv-id=\"{id}\">{title}</a>"
        );
    }
    let id = shown.map_or_else(String::new, |row| row.id.to_string());
    let title = shown.map_or_else(|| "New conversation".to_owned(), |row| escape(&row.title));
    let body = CHAT
        .replace("{{workspace}}", &escape(workspace))
        .replace("{{agent}}", &escape(agent))
        .replace("{{id}}", &id)
        .replace("{{title}}", &title)
        .replace("{{sidebar}}", &sidebar)
        .replace("{{messages}}", &messages);
    whole("Chat", &body)
}

fn connectors() -> Told {
    // The real one is about 690 kB.
    let row = "<div class=\"connector\">connector</div>\n";
    let filler = row.repeat(690_000 / row.len());
    whole("Connectors", &CONNECTORS.replace("{{filler}}", &filler))
}

fn file(request: &Request) -> Told {
    const TAG: &str = "\"v1\"";
    let (asked, path) = (request.asked, request.asked.path.as_str());
    let script = if path == "/static/ui.js" { UI } else { SCRIPT };
    let mut answer = with_type("text/javascript", script);
    if asked.header("if-none-match") == Some(TAG) {
        *answer.body_mut() = full("");
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    } else if asked.header("range") == Some("bytes=0-6") {
        *answer.body_mut() = full(&script[..7]);
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes 0-6/{}", script.len());
        if let Ok(range) = HeaderValue::from_str(&range) {
            answer.headers_mut().insert("content-range", range);
        }
    }
    let headers = answer.headers_mut();
    headers.insert("etag", HeaderValue::from_static(TAG));
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    answer.into()
}
