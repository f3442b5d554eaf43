//! Answers of the app, looked through before they go on: whose object it is, which
//! ids stand in it, what it tells of clients and conversations.

use super::Sidecar;
use super::content::LastLook;
use super::context::Context;
use super::guard::{Looked, broken_index};
use crate::owners::Epoch;
use bytes::Bytes;
use camarad_policies::agents;
use camarad_policies::authorise::{Permit, Reach};
use camarad_policies::conversations::{Conversation, begun, conversation, new_conversation};
use camarad_policies::egress::{self, Checked, Egress, Mine};
use camarad_policies::guard::{self, Object};
use camarad_policies::ids::{ClientId, ClientIds, ObjectId};
use camarad_policies::matrix::{Learn, Mode, Rule};
use camarad_policies::page;
use camarad_policies::refusal::Refusal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An id of somebody else in an answer, where the rule does not look.
const ELSEWHERE: &str = "foreign_id_elsewhere";

impl Sidecar {
    /// What goes on of a 2xx answer; `last` is of this body, where it is kept.
    pub(super) async fn look_through(
        &self,
        context: &mut Context,
        permit: &Permit,
        found: &Looked,
        body: Bytes,
        since: Epoch,
        last: Option<&LastLook>,
    ) -> Result<Bytes, Refusal> {
        self.note_created(permit, &body);
        if found.by_answer {
            let admitted = self.admit_by_answer(context, permit, &body).await;
            in_mode(context, permit, admitted)?;
        }
        if permit.rule().learn == Some(Learn::New)
            && permit.is_scoped()
            && let Some(one) = new_conversation(&body, permit.client(), permit.path().as_str())
        {
            if let Some(user) = permit.user() {
                let exported = self.exported.known(&user);
                if exported.is_some_and(|ids| !ids.contains(&one.id)) {
                    self.exported.forget(&user);
                }
            }
            self.learn(permit, vec![one], since).await?;
        }
        if let (Some(id), true) = (found.object, permit.method() == "POST") {
            // It went on with another conversation than the one that was looked at.
            let is_chat = permit
                .rule()
                .guard
                .as_ref()
                .is_some_and(|guard| guard.object == Object::Conversation && guard.choose);
            if is_chat && begun(&body).is_some_and(|answered| answered != id) {
                self.count_blocked(permit);
                in_mode(context, permit, Err(Refusal::TenantLeakBlocked))?;
            }
        }
        let body = self.egress(context, permit, found, body, last).await?;
        if !permit.is_scoped() {
            return Ok(body);
        }
        let body = self.with_runs(permit, body).await;
        if permit.rule().mode != Mode::Enforce {
            return Ok(body);
        }
        let body = without_unowned(permit, body)?;
        if permit.rule().page_links {
            // Most answers are no pages, and must not pay for the room.
            return Box::pin(self.own_links(context, permit, body)).await;
        }
        match permit.rule().learn {
            Some(Learn::List) => self.one_row_each(context, permit, body, since).await,
            _ => Ok(body),
        }
    }

    /// Lets the answer go on, without rows of others where the rule says so, or not at all.
    pub(super) async fn egress(
        &self,
        context: &mut Context,
        permit: &Permit,
        found: &Looked,
        body: Bytes,
        last: Option<&LastLook>,
    ) -> Result<Bytes, Refusal> {
        let (rule, Some(identity)) = (permit.rule(), permit.identity()) else {
            return Ok(body);
        };
        let Some(reach) = permit.reach().filter(|_| rule.mode != Mode::Off) else {
            return Ok(body);
        };
        let decided = permit.client().filter(|_| permit.is_scoped());
        let seen = found.seen.as_ref();
        let account = |id: &str| seen.is_none_or(|seen| seen.allows(id, permit));
        let with = |listed: Option<&ClientIds>, look: &mut dyn FnMut(&Mine<'_>)| {
            let client = |client: ClientId| match decided {
                // Within one client, another one of the same user's is somebody else's too.
                Some(decided) => client == decided,
                None => reach.allows(client) || listed.is_some_and(|all| all.has(client)),
            };
            let mine = Mine {
                client: &client,
                unowned: !reach.is_limited(),
                user: permit.user(),
                account: &account,
            };
            look(&mine);
        };
        let mut checked = None;
        with(None, &mut |mine| {
            checked = match last {
                Some(last) => looked_again(last, rule, &body, mine),
                None => Some(egress::check(rule, &body, mine)),
            }
        });
        let Some(mut checked) = checked else {
            return Ok(body);
        };
        let is_open = decided.is_none() && !reach.is_limited();
        if is_open && (checked.outcome != Egress::Pass || checked.elsewhere) {
            // The app may not have been asked yet whose these are.
            let listed = self.clients_of(identity, context).await?;
            with(Some(&listed), &mut |mine| {
                checked = egress::check(rule, &body, mine)
            });
        }
        let elsewhere = checked.elsewhere;
        let looked = match checked.outcome {
            Egress::Pass => Ok(body),
            Egress::Filtered {
                body: left,
                dropped,
                redacted,
            } => match rule.mode {
                Mode::Enforce => {
                    let cut = &self.observer.metrics.egress_rows_cut_total;
                    cut.with_label_values(&[&rule.name])
                        .inc_by((dropped + redacted) as u64);
                    Ok(left.into())
                }
                _ => {
                    in_mode(context, permit, Err(Refusal::TenantLeakBlocked))?;
                    Ok(body)
                }
            },
            Egress::Unreadable => {
                in_mode(context, permit, Err(Refusal::LegacyBadAnswer))?;
                Ok(body)
            }
            Egress::Blocked => {
                if rule.mode == Mode::Enforce {
                    self.count_blocked(permit);
                }
                in_mode(context, permit, Err(Refusal::TenantLeakBlocked))?;
                Ok(body)
            }
        };
        if elsewhere && looked.is_ok() {
            context.record.reported = context.record.reported.or(Some(ELSEWHERE));
        }
        looked
    }

    fn count_blocked(&self, permit: &Permit) {
        let blocked = &self.observer.metrics.egress_blocked_total;
        blocked.with_label_values(&[&permit.rule().name]).inc();
    }

    /// Whether the object in the answer is within what was decided.
    pub(super) async fn admit_by_answer(
        &self,
        context: &Context,
        permit: &Permit,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let owner = guard::owner_in(body).ok_or(Refusal::GuardUnavailable)?;
        let mut listed = ClientIds::default();
        if let (None, Some(identity)) = (permit.client(), permit.identity()) {
            listed = self.clients_of(identity, context).await?;
        }
        let strict = self.config.tenancy.strict_management;
        match guard::reaches(permit, owner, &listed, strict) {
            true => Ok(()),
            false => Err(Refusal::ObjectNotFound),
        }
    }

    /// The page without links to conversations out of scope.
    async fn own_links(
        &self,
        context: &Context,
        permit: &Permit,
        body: Bytes,
    ) -> Result<Bytes, Refusal> {
        let Some(identity) = permit.identity() else {
            return Ok(body);
        };
        let ids = page::links(&body).ok_or(Refusal::LegacyBadAnswer)?;
        if ids.is_empty() {
            return Ok(body);
        }
        let all: Vec<ObjectId> = ids.iter().copied().collect();
        // What cannot be told apart now is not shown; the page is of use without it.
        let owners = match self.owners_of(context, identity, &all).await {
            Err(Refusal::GuardUnavailable) => BTreeMap::new(),
            owners => owners?,
        };
        let listed = match permit.client() {
            Some(_) => ClientIds::default(),
            None => self.clients_of(identity, context).await?,
        };
        let is_own = |id: &ObjectId| {
            let owner = owners.get(id).copied().unwrap_or(guard::Owner::Nobody);
            guard::reaches(permit, owner, &listed, false)
        };
        let own: BTreeSet<ObjectId> = ids.iter().copied().filter(is_own).collect();
        if own.len() == ids.len() {
            return Ok(body);
        }
        let page = page::without_others(&body, &own).ok_or(Refusal::LegacyBadAnswer)?;
        Ok(page.into())
    }

    /// One row for each conversation, under the name that its agent has for its client.
    async fn one_row_each(
        &self,
        context: &Context,
        permit: &Permit,
        body: Bytes,
        since: Epoch,
    ) -> Result<Bytes, Refusal> {
        let Some(identity) = permit.identity() else {
            return Ok(body);
        };
        let rows: Vec<Value> =
            serde_json::from_slice(&body).map_err(|_| Refusal::LegacyBadAnswer)?;
        let names = self
            .names_of(context, identity, &rows, permit.client())
            .await;
        let mut rows = agents::one_each(rows, permit.client(), &names);
        if permit.reach().is_some_and(Reach::is_limited) {
            // What belongs to no client is the user's own, and may be about any of them.
            rows.retain(|row| !agents::is_unowned(row));
        }
        let seen = rows.iter().filter_map(conversation).collect();
        self.learn(permit, seen, since).await?;
        Ok(crate::json::to_body(&Value::Array(rows)))
    }

    async fn learn(
        &self,
        permit: &Permit,
        seen: Vec<Conversation>,
        since: Epoch,
    ) -> Result<(), Refusal> {
        let Some(user) = permit.user() else {
            return Ok(());
        };
        let learnt = self.owners.learn(user, seen, since).await;
        learnt.map_err(broken_index)
    }
}

/// Settings of no client are the user's own: of them a limited token sees that they are there.
/// Whose they are must be said: own ones that came empty would be saved so.
fn without_unowned(permit: &Permit, body: Bytes) -> Result<Bytes, Refusal> {
    let keep = &permit.rule().unowned_keep;
    let is_limited = permit.reach().is_some_and(Reach::is_limited);
    if keep.is_empty() || !is_limited || permit.method() != "GET" {
        return Ok(body);
    }
    match guard::owner_in(&body) {
        Some(guard::Owner::Client(_)) => return Ok(body),
        Some(guard::Owner::User) => {}
        Some(guard::Owner::Nobody) | None => return Err(Refusal::GuardUnavailable),
    }
    let Ok(Value::Object(mut settings)) = serde_json::from_slice(&body) else {
        return Err(Refusal::GuardUnavailable);
    };
    for (name, content) in &mut settings {
        if !keep.contains(name) {
            *content = match content {
                Value::Object(_) => Value::Object(Default::default()),
                Value::Array(_) => Value::Array(Vec::new()),
                Value::String(_) => Value::String(String::new()),
                _ => Value::Null,
            };
        }
    }
    Ok(crate::json::to_body(&Value::Object(settings)))
}

/// What is found in a kept answer; `None` where it passed before, for somebody who may
/// see the same of it.
fn looked_again(
    last: &LastLook,
    rule: &Arc<Rule>,
    body: &[u8],
    mine: &Mine<'_>,
) -> Option<Checked> {
    if last.holds_for(rule, mine) {
        return None;
    }
    let (checked, passed) = egress::check_noting(rule, body, mine);
    if let Some(passed) = passed {
        last.note(rule, passed);
    }
    Some(checked)
}

/// Refuses where the rule is enforced, and tells where it is not.
pub(super) fn in_mode(
    context: &mut Context,
    permit: &Permit,
    looked: Result<(), Refusal>,
) -> Result<(), Refusal> {
    match (looked, permit.rule().mode) {
        (Ok(()), _) => Ok(()),
        (Err(refusal), Mode::Enforce) => Err(refusal),
        (Err(refusal), _) => {
            let code = refusal.answer().code;
            context.record.reported = context.record.reported.or(Some(code));
            Ok(())
        }
    }
}
