//! What has been ended, after a restore: nothing that was ended before, or since the backup,
//! may be good again.
//!
//! Epochs and times are the later of the two, tokens those of both, and everybody's epoch is
//! raised once more, so that no seal from before is good. Where it is not known what was
//! ended since, it may have been anybody's: then tokens issued until now are refused too, and
//! the epoch jumps past whatever it can have been. It is not known where there is no file, or
//! one that lacks what the archive's has: a sidecar began it on an empty directory.

use super::{Ended, Epoch, REMEMBER_ENDED};

/// What is known of what was ended until now.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Present<'a> {
    /// This file's content says.
    File(&'a [u8]),
    /// There is a state directory, and nobody was ever ended in it.
    Nobody,
    /// Nothing: the state directory is lost.
    Lost,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Restored {
    /// The new content of the file.
    pub(crate) content: Vec<u8>,
    /// Whether everybody has to get a new token.
    pub(crate) all_ended: bool,
}

/// The file's content after a restore at `now`, in seconds since the Unix epoch. `archived` is
/// the one of the archive, if it has one, and an error if that cannot be read; a present one
/// that cannot be read is as good as lost.
pub(crate) fn restored(
    archived: Option<&[u8]>,
    present: Present<'_>,
    now: u64,
) -> serde_json::Result<Restored> {
    let archived: Ended = match archived {
        Some(text) => serde_json::from_slice(text)?,
        None => Ended::default(),
    };
    let present: Option<Ended> = match present {
        Present::File(text) => serde_json::from_slice(text).ok(),
        Present::Nobody => Some(Ended::default()),
        Present::Lost => None,
    };
    let all_ended = !present
        .as_ref()
        .is_some_and(|present| goes_on_from(&archived, present, now));
    let mut ended = merged(archived, present.unwrap_or_default());
    let number = ended.all.number.saturating_add(1);
    ended.all = match all_ended {
        false => Epoch {
            number,
            at: ended.all.at,
        },
        // Nobody ends sessions once a second for years.
        true => Epoch {
            number: number.max(now),
            at: ended.all.at.max(now),
        },
    };
    Ok(Restored {
        content: serde_json::to_vec_pretty(&ended)?,
        all_ended,
    })
}

/// The highest number that is believed.
const MOST: u64 = 1 << 60;

/// Whether everything that had been ended at the backup still is, save what was forgotten for
/// its age.
fn goes_on_from(archived: &Ended, present: &Ended, now: u64) -> bool {
    let mut archived = archived.clone();
    archived
        .tokens
        .retain(|_, at| at.saturating_add(REMEMBER_ENDED) > now);
    merged(archived, present.clone()) == *present
}

fn merged(mut one: Ended, other: Ended) -> Ended {
    let later = |a: Epoch, b: Epoch| Epoch {
        // Nobody counts that far: an archive that says so must not leave no room to raise it.
        number: a.number.max(b.number).min(MOST),
        at: a.at.max(b.at),
    };
    one.all = later(one.all, other.all);
    for (user, epoch) in other.users {
        let own = one.users.entry(user).or_default();
        *own = later(*own, epoch);
    }
    for (token, at) in other.tokens {
        let own = one.tokens.entry(token).or_default();
        *own = (*own).max(at);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::super::{Revoke, Sessions, Standing};
    use super::*;
    use camarad_policies::identity::by_login;
    use camarad_policies::ids::UserId;
    use camarad_policies::seal::SealKey;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;

    fn read(restored: &Restored) -> Ended {
        serde_json::from_slice(&restored.content).unwrap()
    }

    #[test]
    fn epochs_are_merged_and_raised_and_never_lowered() {
        let old = json!({"all": {"number": 2, "at": 100}, "users": {"7": {"number": 3, "at": 50}},
            "tokens": {"aa": 10, "bb": NOW - 90}});
        let new = json!({"all": {"number": 4, "at": 200},
            "users": {"7": {"number": 3, "at": 50}, "8": {"number": 1, "at": 60}},
            "tokens": {"bb": NOW - 20, "cc": NOW - 30}});
        let (old, new) = (old.to_string(), new.to_string());
        let present = Present::File(new.as_bytes());
        let after = restored(Some(old.as_bytes()), present, NOW).unwrap();
        let ended = read(&after);
        // `aa` was forgotten for its age.
        assert!(!after.all_ended);
        assert_eq!((ended.all.number, ended.all.at), (5, 200));
        assert_eq!(ended.users[&7].number, 3);
        assert_eq!(ended.users[&8].at, 60);
        let tokens: Vec<(&str, u64)> = ended.tokens.iter().map(|(t, at)| (&**t, *at)).collect();
        assert_eq!(tokens, [("aa", 10), ("bb", NOW - 20), ("cc", NOW - 30)]);
        // Nobody was ever ended here, or in what was backed up: seals end all the same.
        let after = restored(None, Present::Nobody, NOW).unwrap();
        assert_eq!(read(&after).all, Epoch { number: 1, at: 0 });
    }

    #[test]
    fn what_is_not_known_to_have_been_ended_counts_as_ended() {
        let old = br#"{"all": {"number": 2, "at": 100}}"#;
        let begun_anew = Present::File(br#"{"all": {"number": 1, "at": 200}}"#);
        for present in [
            Present::Lost,
            Present::File(b"{"),
            Present::File(b""),
            Present::Nobody,
            begun_anew,
        ] {
            let after = restored(Some(old), present, NOW).unwrap();
            assert!(after.all_ended, "{present:?}");
            assert_eq!((read(&after).all.number, read(&after).all.at), (NOW, NOW));
        }
        assert!(restored(Some(b"{"), Present::Nobody, NOW).is_err());
    }

    #[test]
    fn a_seal_from_before_opens_nothing_after_and_an_ended_token_stays_ended() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Sessions::open(SealKey::new(&[7; 32]), dir.path()).unwrap();
        let (sessions, file) = (open(), dir.path().join("sessions.json"));
        let token = by_login("opaque", "coolbits", true).unwrap();
        let user = UserId::parse("7").unwrap();
        let backed_up = std::fs::read(&file).ok();
        let order = Revoke::Token(camarad_config::Secret::new("opaque"));
        sessions.revoke(order, NOW).unwrap();
        let seal = sessions.bind(token.token(), user, NOW).unwrap();
        let standing = |sessions: &Sessions| sessions.standing(&token, Some(&seal), NOW);
        assert_eq!(standing(&open()), Standing::Holds(user));
        let present = std::fs::read(&file).unwrap();
        let after = restored(backed_up.as_deref(), Present::File(&present), NOW).unwrap();
        std::fs::write(&file, after.content).unwrap();
        assert_eq!(standing(&open()), Standing::None);
        assert!(open().check(&token).is_err());
    }

    fn ended() -> impl Strategy<Value = Ended> {
        let epoch = || (0u64..9, 0u64..9).prop_map(|(number, at)| Epoch { number, at });
        let users = proptest::collection::btree_map(1u64..4, epoch(), 0..4);
        let tokens = proptest::collection::btree_map("[ab]", 0u64..9, 0..3);
        (epoch(), users, tokens).prop_map(|(all, users, tokens)| Ended { all, users, tokens })
    }

    proptest! {
        #[test]
        fn every_users_epoch_is_above_both(one in ended(), other in ended()) {
            let text = |ended: &Ended| serde_json::to_vec(ended).unwrap();
            let (old, new) = (text(&one), text(&other));
            let after = read(&restored(Some(&old), Present::File(&new), NOW).unwrap());
            let of = |ended: &Ended, user: u64| {
                let own = ended.users.get(&user).copied().unwrap_or_default();
                (ended.all.number + own.number, ended.all.at.max(own.at))
            };
            for user in 0..5 {
                for before in [&one, &other] {
                    prop_assert!(of(&after, user).0 > of(before, user).0);
                    prop_assert!(of(&after, user).1 >= of(before, user).1);
                    prop_assert!(before.tokens.keys().all(|t| after.tokens.contains_key(t)));
                }
            }
        }
    }
}
