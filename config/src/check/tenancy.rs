//! How seriously the client scope is taken, and where.

use super::{Checker, MINUTE};
use crate::checked::Tenancy;
use crate::settings::TenancySettings;
use camarad_policies::matrix::{Matrix, Mode};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn check_tenancy(c: &mut Checker, settings: TenancySettings) -> Tenancy {
    let TenancySettings {
        mode,
        modes,
        management,
        directory_ttl,
        bind_accounts,
    } = settings;
    let mode = match mode.as_str() {
        "" => None,
        text => read(c, "tenancy.mode", text),
    };
    let mut named = BTreeMap::new();
    for (rule, text) in &modes {
        let key = format!("tenancy.modes.{rule}");
        if let Some(mode) = read(c, &key, text) {
            named.insert(rule.clone(), mode);
        }
    }
    // A table that does not parse is told about at start, by whoever uses it.
    if let Ok(mut matrix) = Matrix::built_in()
        && let Err(unknown) = matrix.set_modes(None, &named)
    {
        for rule in unknown {
            let key = format!("tenancy.modes.{rule}");
            c.problem(&key, "no rule has this name; `matrix` lists them".into());
        }
    }
    for (what, mode) in mode
        .iter()
        .map(|mode| ("tenancy.mode", mode))
        .chain(named.iter().map(|(rule, mode)| (rule.as_str(), mode)))
    {
        if *mode != Mode::Enforce {
            let words = format!(
                "{what} is {}: clients are not kept apart there",
                mode.as_str()
            );
            c.warnings.push(words);
        }
    }
    if !bind_accounts {
        c.warnings.push(
            "tenancy.bind_accounts is off: a client may read any account that the caller's token can read"
                .into(),
        );
    }
    let strict = c.parsed(
        "tenancy.management",
        &management,
        "\"ambient\" or \"strict\"",
        |text| match text {
            "ambient" => Ok(false),
            "strict" => Ok(true),
            _ => Err(()),
        },
    );
    let ttl = c.within(
        "tenancy.directory_ttl",
        directory_ttl.0,
        Duration::ZERO,
        5 * MINUTE,
    );
    Tenancy {
        mode,
        modes: named,
        strict_management: strict.unwrap_or(true),
        directory_ttl: ttl,
        bind_accounts,
    }
}

fn read(c: &mut Checker, key: &str, text: &str) -> Option<Mode> {
    let modes = [Mode::Enforce, Mode::Report, Mode::Off];
    c.parsed(key, text, "\"enforce\", \"report\" or \"off\"", |text| {
        modes
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or(())
    })
}
