//! What a purge of the cache is about, and which kept answers it hits.
//!
//! Not here: when to purge, and how the cache remembers it. A purge that hits too
//! little leaves an answer in place that somebody has just changed; one that hits
//! too much costs a fetch.

use crate::cache_key::Scope;

/// Which kept answers are no longer good.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Purge {
    /// All of them.
    All,
    /// The one whose key has this SHA-256, in hex, as the cache lists it.
    Key(String),
    /// Those of the rule of this name.
    Route(String),
    /// Those of this user. Shared answers are nobody's.
    User(u64),
    /// Those about this client. Answers for a user as a whole are about none.
    Client(u64),
    /// Those of this user that left open which account is read.
    Choice {
        /// The user.
        user: u64,
    },
    /// Those of this user that come from the app, and not from the gateway.
    App {
        /// The user.
        user: u64,
    },
}

impl Purge {
    /// Whether an answer of this scope is hit. `digest` gives the SHA-256 of its key
    /// in hex and is asked for only where it matters.
    pub fn hits<'a>(&self, scope: &Scope, digest: impl FnOnce() -> &'a str) -> bool {
        match self {
            Self::All => true,
            Self::Key(named) => named.eq_ignore_ascii_case(digest()),
            Self::Route(rule) => *scope.rule == **rule,
            Self::User(user) => scope.user == Some(*user),
            Self::Client(client) => scope.client == Some(*client),
            Self::Choice { user } => scope.user == Some(*user) && scope.is_open,
            Self::App { user } => scope.user == Some(*user) && !scope.by_gateway,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(rule: &str, user: Option<u64>, client: Option<u64>) -> Scope {
        Scope {
            rule: rule.into(),
            by_gateway: rule.starts_with("ads"),
            is_open: rule == "ads open",
            user,
            client,
        }
    }

    #[test]
    fn which_answers_a_purge_hits() {
        // Each with its digest.
        let answers = [
            ("aa", scope("ads", Some(1), Some(10))),
            ("bb", scope("flows", Some(1), Some(10))),
            ("cc", scope("flows", Some(2), Some(10))),
            ("dd", scope("clients", Some(1), None)),
            ("ee", scope("plans", None, None)),
            ("ff", scope("ads open", Some(1), Some(11))),
        ];
        let cases = [
            (Purge::All, "aa bb cc dd ee ff"),
            (Purge::Key("cc".into()), "cc"),
            (Purge::Key("CC".into()), "cc"),
            (Purge::Key("c".into()), ""),
            (Purge::Key(String::new()), ""),
            (Purge::Route("flows".into()), "bb cc"),
            (Purge::Route("flow".into()), ""),
            (Purge::User(1), "aa bb dd ff"),
            (Purge::User(10), ""),
            (Purge::User(0), ""),
            (Purge::Client(10), "aa bb cc"),
            (Purge::Client(0), ""),
            (Purge::Choice { user: 1 }, "ff"),
            (Purge::Choice { user: 2 }, ""),
            (Purge::App { user: 1 }, "bb dd"),
            (Purge::App { user: 3 }, ""),
        ];
        for (purge, expected) in cases {
            let hit = answers
                .iter()
                .filter(|(digest, scope)| purge.hits(scope, || digest));
            let hit: Vec<&str> = hit.map(|(digest, _)| *digest).collect();
            assert_eq!(hit.join(" "), expected, "{purge:?}");
        }
    }

    #[test]
    fn a_digest_is_asked_for_only_by_its_purge() {
        let scope = scope("ads", Some(1), Some(10));
        for purge in [Purge::All, Purge::User(1), Purge::Route("ads".into())] {
            assert!(purge.hits(&scope, || unreachable!("{purge:?} asked for the digest")));
        }
    }
}
