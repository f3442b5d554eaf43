//! Links on a page to conversations: which there are, and the page without some.
//!
//! The chat page shows titles of the user's conversations under all clients. What
//! links to one out of scope is taken out, element and text. A title that stands
//! anywhere else, as in a script, is not recognised.

use crate::ids::ObjectId;
use crate::percent;
use lol_html::html_content::Element;
use lol_html::{RewriteStrSettings, element, rewrite_str};
use std::collections::BTreeSet;

/// Attributes whose whole value is a conversation's id.
const IDS: [&str; 4] = [
    "data-conv-id",
    "data-conv",
    "data-conversation-id",
    "data-chat-id",
];
/// What stands before an id in a link or a handler, in lower case.
const BEFORE: [&str; 7] = [
    "conv_id=",
    "chat_id=",
    "/conversations/",
    "/chats/",
    "conversation(",
    "conv_id\":",
    "conv_id:",
];

/// The conversations that a page links to; `None` for what cannot be read as a page.
pub fn links(html: &[u8]) -> Option<BTreeSet<ObjectId>> {
    let mut found = BTreeSet::new();
    rewrite(html, |element| {
        found.extend(named(element));
    })?;
    Some(found)
}

/// The page without elements that link to anything but these; `None` for what cannot be read as a page.
pub fn without_others(html: &[u8], own: &BTreeSet<ObjectId>) -> Option<String> {
    rewrite(html, |element| {
        if named(element).iter().any(|id| !own.contains(id)) {
            element.remove();
        }
    })
}

fn rewrite(html: &[u8], mut look: impl FnMut(&mut Element<'_, '_>)) -> Option<String> {
    let text = std::str::from_utf8(html).ok()?;
    let handler = element!("*", |element| {
        look(element);
        Ok(())
    });
    let settings = RewriteStrSettings::new().append_element_content_handler(handler);
    rewrite_str(text, settings).ok()
}

fn named(element: &Element<'_, '_>) -> Vec<ObjectId> {
    let mut ids = Vec::new();
    for attribute in element.attributes() {
        let (name, value) = (attribute.name(), plain(&attribute.value()));
        if IDS.contains(&name.as_str()) {
            ids.extend(ObjectId::parse(value.trim()));
        }
        for before in BEFORE {
            for (at, _) in value.match_indices(before) {
                let rest = value[at + before.len()..].trim_start_matches([' ', '"', '\'']);
                let end = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                ids.extend(ObjectId::parse(&rest[..end]));
            }
        }
    }
    ids
}

/// A value as a browser takes it: character references and percent-encoding undone, in lower case.
fn plain(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '#');
        let name = &after[..end.unwrap_or(after.len())];
        let code = match name.strip_prefix('#') {
            Some(number) => match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => number.parse().ok(),
            },
            None => NAMED
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, c)| u32::from(*c)),
        };
        match code.and_then(char::from_u32) {
            Some(character) => {
                text.push(character);
                rest = &after[name.len()..];
                rest = rest.strip_prefix(';').unwrap_or(rest);
            }
            None => {
                text.push('&');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    percent::decode(&text).to_ascii_lowercase()
}

/// Named references that could stand in a link of ours.
const NAMED: [(&str, char); 9] = [
    ("amp", '&'),
    ("quot", '"'),
    ("apos", '\''),
    ("equals", '='),
    ("lowbar", '_'),
    ("UnderBar", '_'),
    ("sol", '/'),
    ("quest", '?'),
    ("percnt", '%'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_recognised_however_it_is_written() {
        for attribute in [
            r#"href="?conv_id=2""#,
            "href=?conv_id=2",
            "HREF='?CONV_ID=2'",
            r#"href="?x&amp;conv_id=2""#,
            r#"href="?conv&#95;id=2""#,
            r#"href="?conv&#x5f;id&equals;2""#,
            r#"href="?conv&lowbar;id=2""#,
            r#"href="?conv_id=&#50;""#,
            r#"href="?conv_id&#61;2""#,
            r#"href="?conv_id=%32""#,
            r#"href="?conv%5Fid=2""#,
            r#"onclick="openConversation(2)""#,
            r#"onclick="openConversation('2')""#,
            r#"data-x='{"conv_id": 2}'"#,
            r#"data-url="/api/conversations/2/messages""#,
            "data-conv-id=2",
        ] {
            let page = format!("<p>a</p><div {attribute}>title</div>");
            assert_eq!(links(page.as_bytes()), Some(ids(&[2])), "{attribute}");
            let cut = without_others(page.as_bytes(), &ids(&[])).unwrap();
            assert_eq!(cut, "<p>a</p>", "{attribute}");
        }
    }

    fn ids(ids: &[u64]) -> BTreeSet<ObjectId> {
        ids.iter()
            .map(|id| ObjectId::parse(&id.to_string()).unwrap())
            .collect()
    }

    const PAGE: &str = r#"<!doctype html><body data-conv-id="1"><h1>Own &amp; mine</h1>
<nav><a href="/chat/b/seo?conv_id=1">one</a><a href='/chat/b/seo?x=1&amp;conv_id=2#a'>two</a>
<div data-conversation-id="3"><b>three</b></div><button onclick="open('/chat/b/seo?conv_id=4')">four</button>
<a href="/chat/b/seo">new</a></nav><script>var a = "<a href='?conv_id=9'>";</script></body>"#;

    #[test]
    fn what_links_to_others_is_taken_out_and_the_rest_stays_as_it_was() {
        assert_eq!(links(PAGE.as_bytes()), Some(ids(&[1, 2, 3, 4])));
        let all = without_others(PAGE.as_bytes(), &ids(&[1, 2, 3, 4])).unwrap();
        assert_eq!(all, PAGE);
        let own = without_others(PAGE.as_bytes(), &ids(&[1, 3])).unwrap();
        assert!(own.contains("one") && own.contains("three") && own.contains("new"));
        assert!(!own.contains("two") && !own.contains("four"), "{own}");
        assert!(own.contains("Own &amp; mine"));
    }

    #[test]
    fn what_is_no_page() {
        assert_eq!(links(b"\xff\xfe"), None);
        assert_eq!(links(b""), Some(ids(&[])));
    }
}
