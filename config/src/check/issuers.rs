//! Who may vouch for callers: issuers, their keys and what they are pinned to.

use super::{Checker, MINUTE};
use crate::checked::{IssuerConfig, KeyConfig};
use crate::settings::{IssuerSettings, JwtSettings};
use camarad_policies::identity::Issuer;
use camarad_policies::keys::{Algorithm, KeySet};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

pub(super) fn check_issuers(
    c: &mut Checker,
    jwt: JwtSettings,
    issuers: Vec<IssuerSettings>,
) -> Vec<IssuerConfig> {
    let mut checked = Vec::new();
    let mut names = BTreeSet::new();
    if jwt != JwtSettings::default() {
        let JwtSettings {
            secret,
            secret_file,
            jwks_url,
            user_claim,
        } = jwt;
        let written = IssuerSettings {
            name: "default".into(),
            secret,
            secret_file,
            jwks_url,
            user_claim,
            forward_to_coolbits: true,
            ..IssuerSettings::default()
        };
        names.insert(written.name.clone());
        checked.extend(check_issuer(c, "jwt", written));
    } else if issuers.is_empty() {
        c.problem(
            "jwt",
            "no issuer: set SIDECAR_JWT_SECRET (HS256, at least 32 bytes) or SIDECAR_JWKS_URL, and \
             SIDECAR_JWT_USER_CLAIM to the claim that holds the app's user id; or try `run --demo`"
                .into(),
        );
    }
    for (at, written) in issuers.into_iter().enumerate() {
        let key = format!("issuers[{at}]");
        let name = written.name.clone();
        if name.is_empty() || !names.insert(name.clone()) {
            c.problem(
                &format!("{key}.name"),
                format!("{name:?}: expected a name of its own"),
            );
        }
        checked.extend(check_issuer(c, &key, written));
    }
    let logins = checked
        .iter()
        .filter(|config| matches!(config.keys, KeyConfig::Login));
    if logins.count() > 1 {
        c.problem(
            "issuers",
            "at most one of kind \"coolbits\": there is one login".into(),
        );
    }
    checked
}

fn check_issuer(c: &mut Checker, key: &str, settings: IssuerSettings) -> Option<IssuerConfig> {
    let IssuerSettings {
        name,
        kind,
        secret,
        secret_file,
        jwks_url,
        jwks_file,
        pem_file,
        refresh,
        algorithms,
        issuer,
        audience,
        leeway,
        user_claim,
        clients_claim,
        forward_to_coolbits,
    } = settings;
    let is_login = match kind.as_str() {
        "keyed" => false,
        "coolbits" => true,
        other => {
            let message = format!("{other:?}: expected \"keyed\" or \"coolbits\"");
            c.problem(&format!("{key}.kind"), message);
            return None;
        }
    };
    let given = [
        !secret.is_empty() || !secret_file.is_empty(),
        !jwks_url.is_empty(),
        !jwks_file.is_empty(),
        !pem_file.is_empty(),
    ];
    let pinned = [&issuer, &audience, &user_claim];
    if is_login {
        if given.contains(&true) || pinned.iter().any(|text| !text.is_empty()) {
            let message = "of kind \"coolbits\" has no keys and no claims: the app's login decides";
            c.problem(key, message.into());
        }
        return Some(IssuerConfig {
            issuer: Issuer {
                name,
                algorithms: Vec::new(),
                issuer: None,
                audience: None,
                leeway: 0,
                user_claim: None,
                clients_claim,
                forward_to_coolbits,
            },
            keys: KeyConfig::Login,
        });
    }
    if given.iter().filter(|g| **g).count() != 1 {
        let wanted = "needs exactly one of secret (or secret_file), jwks_url, jwks_file, pem_file";
        c.problem(key, wanted.into());
        return None;
    }
    if clients_claim.is_empty() {
        let message = "is required: the name of a claim, such as \"clients\"";
        c.problem(&format!("{key}.clients_claim"), message.into());
    }
    let symmetric = given[0];
    let allowed = match symmetric {
        true => &[Algorithm::HS256][..],
        false => &Algorithm::PUBLIC[..],
    };
    let algorithms: Vec<Algorithm> = match (algorithms.is_empty(), symmetric) {
        (true, true) => vec![Algorithm::HS256],
        (true, false) => vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        (false, _) => algorithms
            .iter()
            .filter_map(|name| {
                let expected = format!("any of {allowed:?}");
                c.parsed(&format!("{key}.algorithms"), name, &expected, |name| {
                    let parsed = Algorithm::parse(name).ok_or(())?;
                    allowed.contains(&parsed).then_some(parsed).ok_or(())
                })
            })
            .collect(),
    };
    for (field, value) in [("issuer", &issuer), ("audience", &audience)] {
        if value.is_empty() {
            let claim = &field[..3];
            c.warnings.push(format!(
                "{key}: no {field} is set: `{claim}` of its tokens is not checked"
            ));
        }
    }
    let keys = if symmetric {
        let secret = c.secret(&format!("{key}.secret"), secret, &secret_file)?;
        fixed(
            c,
            &format!("{key}.secret"),
            KeySet::secret(secret.expose().as_bytes()),
        )?
    } else if jwks_url.is_empty() {
        type Read = fn(&[u8]) -> Result<KeySet, camarad_policies::keys::KeyError>;
        let (field, file, read): (_, _, Read) = match pem_file.is_empty() {
            true => ("jwks_file", &jwks_file, KeySet::jwks),
            false => ("pem_file", &pem_file, KeySet::pem),
        };
        let file_key = format!("{key}.{field}");
        match std::fs::read(file) {
            Ok(text) => fixed(c, &file_key, read(&text))?,
            Err(error) => {
                c.problem(&file_key, format!("{file:?} cannot be read: {error}"));
                return None;
            }
        }
    } else {
        let expected = "an http:// or https:// URL";
        let url = c.parsed(&format!("{key}.jwks_url"), &jwks_url, expected, |text| {
            let url = Url::parse(text).map_err(|_| ())?;
            matches!(url.scheme(), "http" | "https")
                .then_some(url)
                .ok_or(())
        })?;
        let low = Duration::from_secs(10);
        let refresh = c.within(&format!("{key}.refresh"), refresh.0, low, 1440 * MINUTE);
        KeyConfig::Url { url, refresh }
    };
    let leeway = c.within(
        &format!("{key}.leeway"),
        leeway.0,
        Duration::ZERO,
        5 * MINUTE,
    );
    let set = |text: String| (!text.is_empty()).then_some(text);
    Some(IssuerConfig {
        issuer: Issuer {
            name,
            algorithms,
            issuer: set(issuer),
            audience: set(audience),
            leeway: leeway.as_secs(),
            user_claim: set(user_claim),
            clients_claim,
            forward_to_coolbits,
        },
        keys,
    })
}

fn fixed(
    c: &mut Checker,
    key: &str,
    keys: Result<KeySet, camarad_policies::keys::KeyError>,
) -> Option<KeyConfig> {
    match keys {
        Ok(keys) => Some(KeyConfig::Fixed(Arc::new(keys))),
        Err(error) => {
            c.problem(key, error.to_string());
            None
        }
    }
}
