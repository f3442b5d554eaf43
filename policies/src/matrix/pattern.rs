//! The app's own way of writing paths, and which of two patterns it tries first.
//!
//! `routes.json` writes `<name>`, `<int:name>` and `<path:name>`. The app takes
//! the most specific pattern *that has the method*: `POST /api/connectors/list`
//! is a write to the settings of a connector called `list`, although
//! `GET /api/connectors/list` is a route of its own. A table that looked at the
//! path alone would not see that.

/// One path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Plain(String),
    Digits(String),
    Text(String),
    Rest(String),
}

impl Pattern {
    /// Reads a path of `routes.json`; `None` for what it cannot be.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let segments = text.strip_prefix('/')?.split('/');
        let segments = segments.map(|segment| {
            let Some(inner) = segment.strip_prefix('<') else {
                let plain = !segment.contains(['<', '>', '{', '}']);
                return plain.then(|| Segment::Plain(segment.to_owned()));
            };
            let inner = inner.strip_suffix('>')?;
            match inner.split_once(':') {
                None => Some(Segment::Text(inner.to_owned())),
                Some(("int", name)) => Some(Segment::Digits(name.to_owned())),
                Some(("path", name)) => Some(Segment::Rest(name.to_owned())),
                Some(_) => None,
            }
        });
        segments.collect::<Option<Vec<_>>>().map(Self)
    }

    /// The path, where nothing of it is variable.
    pub(super) fn plain(&self) -> Option<String> {
        let is_plain = |segment| matches!(segment, &Segment::Plain(_));
        self.0.iter().all(is_plain).then(|| self.router())
    }

    /// The pattern as the router writes it.
    pub(super) fn router(&self) -> String {
        let segments = self.0.iter().map(|segment| match segment {
            Segment::Plain(text) => format!("/{text}"),
            Segment::Digits(name) | Segment::Text(name) => format!("/{{{name}}}"),
            Segment::Rest(name) => format!("/{{*{name}}}"),
        });
        segments.collect()
    }

    /// Whether everything that `other` matches is matched by this one too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|pair| match pair {
                (Segment::Plain(one), Segment::Plain(two)) => one == two,
                (Segment::Digits(_), Segment::Plain(text)) => {
                    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
                }
                (Segment::Digits(_), Segment::Digits(_)) | (Segment::Text(_), _) => true,
                _ => false,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_patterns_cover_which() {
        let cases = [
            ("/api/connectors/<slug>", "/api/connectors/list", true),
            ("/api/connectors/<slug>", "/api/connectors/aws/ec2", false),
            ("/api/flows/<int:id>", "/api/flows/templates", false),
            ("/api/flows/<int:id>", "/api/flows/7", true),
            ("/api/flows/templates", "/api/flows/<int:id>", false),
            ("/chat/", "/chat", false),
        ];
        for (one, other, covers) in cases {
            let parse = |text| Pattern::parse(text).unwrap();
            assert_eq!(parse(one).covers(&parse(other)), covers, "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for text in ["api", "/<int:id", "/<float:x>", "/{x}"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
