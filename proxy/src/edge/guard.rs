//! Objects named by id: looked up before a request goes on, and held until it has.
//!
//! `policies::guard` decides; this asks the app whose an object is, as the caller's
//! user, and keeps deletions out meanwhile: a request holds its object with others,
//! a deletion alone, and what deletes everything of a client or user waits for all
//! of the user's guarded requests. One process for an app, or the locks are worth
//! nothing.

use super::Sidecar;
use super::accounts::Seen;
use super::context::Context;
use camarad_policies::authorise::Permit;
use camarad_policies::fields::Fields;
use camarad_policies::guard::{self, Guard, Object, Owner};
use camarad_policies::ids::{ClientIds, ObjectId, UserId};
use camarad_policies::matrix::Mode;
use camarad_policies::refusal::Refusal;
use camarad_policies::request_ids;
use camarad_policies::route::Plan;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for deletions, or for what has to end before one.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long an object stays held after a write to it whose end is not known.
const UNFINISHED: Duration = Duration::from_secs(60);

/// What is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ObjectLock {
    /// Everything of a user that is named by id.
    User(UserId),
    /// One thing of a user.
    Object(UserId, Object, ObjectId),
    /// Choosing a conversation for a user, so that two requests make one.
    Choosing(UserId),
}

/// What was looked up for a request.
#[derive(Default)]
pub(super) struct Looked {
    /// The object that it names in the end.
    pub(super) object: Option<ObjectId>,
    /// Its own answer says whose the object is, and has to be looked at.
    pub(super) by_answer: bool,
    /// The accounts that lists in the answer may show.
    pub(super) seen: Option<Seen>,
    /// Where the caller is sent instead, to name what was chosen.
    pub(super) redirect: Option<String>,
    /// `request_id` as it goes upstream, and the caller's own as JSON.
    pub(super) request_id: Option<(String, String)>,
    /// Fields of the body were set.
    pub(super) changed: bool,
}

impl Sidecar {
    /// Looks at the objects and accounts that a request names, as its rule's mode says.
    pub(super) async fn guarded(
        &self,
        context: &mut Context,
        permit: Arc<Permit>,
        plan: &Plan,
        in_path: Option<&str>,
        fields: &mut Option<Fields>,
    ) -> Result<(Arc<Permit>, Looked), Refusal> {
        let (permit, mut looked) = match (has_to_look(&permit), permit.rule().mode) {
            (false, _) | (_, Mode::Off) => (permit, Looked::default()),
            (true, Mode::Enforce) => self.look(context, permit, plan, in_path, fields).await?,
            (true, Mode::Report) => {
                // Looked at as if it were enforced; what goes on is what was asked.
                let mut copy = fields.clone();
                let looked = self.look(context, permit.clone(), plan, in_path, &mut copy);
                let by_answer = match looked.await {
                    Ok((_, looked)) => looked.by_answer,
                    Err(refusal) if refusal.is_scope() => {
                        let code = refusal.answer().code;
                        context.record.reported = context.record.reported.or(Some(code));
                        false
                    }
                    Err(refusal) => return Err(refusal),
                };
                let looked = Looked {
                    by_answer,
                    ..Looked::default()
                };
                (permit, looked)
            }
        };
        if let Some(fields) = fields {
            looked.request_id = keep_apart(&permit, fields, context)?;
            looked.changed |= looked.request_id.is_some();
        }
        Ok((permit, looked))
    }

    async fn look(
        &self,
        context: &mut Context,
        permit: Arc<Permit>,
        plan: &Plan,
        in_path: Option<&str>,
        fields: &mut Option<Fields>,
    ) -> Result<(Arc<Permit>, Looked), Refusal> {
        let guard = permit.rule().guard.clone();
        let cascades = permit.rule().cascades(permit.method());
        if let Some(user) = permit.user().filter(|_| guard.is_some() || cascades) {
            self.hold(context, ObjectLock::User(user), cascades).await?;
        }
        let (mut permit, mut looked) = match guard {
            Some(guard) => {
                let own = Arc::unwrap_or_clone(permit);
                let guarded = Box::pin(self.guard(context, own, &guard, in_path, fields));
                let (permit, looked) = guarded.await?;
                (Arc::new(permit), looked)
            }
            None => (permit, Looked::default()),
        };
        // Whatever is looked at here besides accounts, `to_look` has to know.
        self.may_link(context, &permit, fields.as_ref(), looked.object)
            .await?;
        let seen = self.bound_to_accounts(context, &mut permit, plan, fields.as_ref());
        looked.seen = seen.await?;
        Ok((permit, looked))
    }

    async fn guard(
        &self,
        context: &mut Context,
        permit: Permit,
        guard: &Guard,
        in_path: Option<&str>,
        fields: &mut Option<Fields>,
    ) -> Result<(Permit, Looked), Refusal> {
        let mut looked = Looked::default();
        let (Some(identity), Some(user)) = (permit.identity().cloned(), permit.user()) else {
            return Err(Refusal::ObjectNotFound);
        };
        let is_read = permit.method() == "GET";
        let named = match guard.object {
            // Its ids are texts: only the app's answer about it says anything.
            Object::Meeting => None,
            Object::Client if in_path.is_none() => permit
                .client()
                .and_then(|client| ObjectId::parse(&client.to_string()).ok()),
            _ => guard::named(guard, in_path, &permit, fields.as_ref())?,
        };
        let text = match (named, guard.object) {
            (Some(id), _) => Some(id.to_string()),
            // A name of the caller's choosing, so only what an id of the app's looks like.
            (None, Object::Meeting) => in_path.filter(|name| is_plain(name)).map(str::to_owned),
            (None, _) => None,
        };
        context.record.object = text.map(|text| (guard.object.name(), text));
        if guard.object.tells_its_owner() && is_read {
            looked.by_answer = true;
            looked.object = named;
            return Ok((permit, looked));
        }
        let is_navigation = matches!(permit.method(), "GET" | "HEAD");
        // In report mode nothing is chosen, begun or sent elsewhere.
        let chooses = guard.choose && permit.rule().mode == Mode::Enforce;
        // Whoever has used up their refusals gets no more looked up.
        self.has_room(context, &permit)?;
        let is_chosen = named.is_none() && chooses;
        let id = match named {
            None if chooses => Some(self.choose_one(context, &permit, user).await?),
            named => named,
        };
        if let Some(id) = id {
            context.record.object = Some((guard.object.name(), id.to_string()));
            let alone = permit.method() == "DELETE";
            self.hold(context, ObjectLock::Object(user, guard.object, id), alone)
                .await?;
        }
        let owner = match (id, guard.object, in_path) {
            (Some(id), object, _) => self.owner_of(context, &permit, object, id).await?,
            (None, Object::Meeting, Some(name)) => {
                self.owner_of_meeting(context, &permit, name).await?
            }
            (None, ..) => return Ok((permit, looked)),
        };
        let mut listed = ClientIds::default();
        if matches!(owner, Owner::Client(_)) && (permit.client().is_none() || guard.choose) {
            listed = self.clients_of(&identity, context).await?;
        }
        let strict = self.config.tenancy.strict_management;
        let is_left_open = guard.choose
            && is_navigation
            && !guard::reaches(&permit, owner, &listed, strict)
            && guard::is_own(&permit, owner, &listed);
        if is_left_open {
            // Another client became the active one while the page was open.
            if chooses {
                let id = self.choose_one(context, &permit, user).await?;
                looked.redirect = Some(permit.clone().naming(id).target());
            }
            return Ok((permit, looked));
        }
        let permit = guard::admit(permit, owner, &listed, strict)?;
        let Some(id) = id else {
            return Ok((permit, looked));
        };
        let permit = permit.naming(id);
        looked.object = Some(id);
        if let (Some(name), Some(fields)) = (&guard.body, fields) {
            // A strict body that names it already is read alike by everybody, and goes on as it came.
            let says_so = fields.object(name) == Ok(Some(Some(id)));
            if !says_so || matches!(fields, Fields::Form(_)) {
                fields.set_object(name, id);
                looked.changed = true;
            }
        }
        if is_chosen && is_navigation {
            looked.redirect = Some(permit.target());
        }
        Ok((permit, looked))
    }

    /// The conversation that a chat goes on with; one at a time for a user, so that two make one.
    async fn choose_one(
        &self,
        context: &Context,
        permit: &Permit,
        user: UserId,
    ) -> Result<ObjectId, Refusal> {
        let deadline = Instant::now() + PATIENCE;
        let one = self.objects.alone(ObjectLock::Choosing(user), deadline);
        let _one = one.await.ok_or(Refusal::GuardUnavailable)?;
        self.choose(context, permit).await
    }

    /// What the index has of what a request deletes is forgotten, before it goes on
    /// and after: in between somebody may have asked for it.
    pub(super) async fn forget_deleted(
        &self,
        permit: &Permit,
        object: Option<ObjectId>,
    ) -> Result<(), Refusal> {
        let (rule, method) = (permit.rule(), permit.method());
        let is_conversation = |guard: &Guard| guard.object == Object::Conversation;
        let one = method == "DELETE" && rule.guard.as_ref().is_some_and(is_conversation);
        let (Some(user), true) = (permit.user(), one || rule.cascades(method)) else {
            return Ok(());
        };
        let forgotten = self.owners.forget(user, object.filter(|_| one)).await;
        forgotten.map_err(broken_index)
    }

    /// Gives up what is held; after a write whose end is not known only in a while,
    /// since the app may still be at it.
    pub(super) fn let_go(&self, context: &mut Context, is_unfinished: bool) {
        let held = std::mem::take(&mut context.held);
        if is_unfinished && !held.is_empty() {
            tokio::spawn(async move {
                tokio::time::sleep(UNFINISHED).await;
                drop(held);
            });
        }
    }

    /// Waits for the lock and holds it until the request has ended.
    async fn hold(
        &self,
        context: &mut Context,
        lock: ObjectLock,
        alone: bool,
    ) -> Result<(), Refusal> {
        let deadline = Instant::now() + PATIENCE;
        let held = match alone {
            true => self.objects.alone(lock, deadline).await,
            false => self.objects.shared(lock, deadline).await,
        };
        context.held.push(held.ok_or(Refusal::GuardUnavailable)?);
        Ok(())
    }
}

/// What of a request has to be looked at.
pub(super) enum ToLook {
    Nothing,
    /// Accounts that its query names, and nothing else, as in reads of connectors: these are
    /// many, and need no locks.
    Accounts,
    All,
}

/// What of a request has to be looked at; `has_fields`: those of its body were read.
pub(super) fn to_look(permit: &Permit, has_fields: bool) -> ToLook {
    let rule = permit.rule();
    let is_looked_at = has_to_look(permit);
    let looks_further =
        rule.guard.is_some() || rule.links_account || rule.cascades(permit.method());
    match (is_looked_at, has_fields, rule.mode) {
        (false, false, _) => ToLook::Nothing,
        (true, false, Mode::Enforce) if !looks_further => ToLook::Accounts,
        _ => ToLook::All,
    }
}

/// Whether anything that this request names has to be looked at.
fn has_to_look(permit: &Permit) -> bool {
    let rule = permit.rule();
    let looks = rule.guard.is_some()
        || rule.accounts.is_some()
        || rule.links_account
        || rule.cascades(permit.method());
    looks && permit.identity().is_some() && permit.is_scoped()
}

/// An index that cannot be read or written answers nobody.
pub(super) fn broken_index(error: rusqlite::Error) -> Refusal {
    tracing::error!("owners.db: {error}");
    Refusal::GuardUnavailable
}

/// What ids of the app look like that are no numbers.
fn is_plain(name: &str) -> bool {
    name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Sets the rule's `request_id` apart from other users' and clients'; gives what went up, and
/// the caller's own as JSON. The app takes the header's where the body has none.
fn keep_apart(
    permit: &Permit,
    fields: &mut Fields,
    context: &Context,
) -> Result<Option<(String, String)>, Refusal> {
    const NAME: &str = "request_id";
    let (true, Some(user)) = (permit.rule().request_id, permit.user()) else {
        return Ok(None);
    };
    let in_header = || context.asked_request_id.clone();
    let Some(own) = fields.text(NAME)?.or_else(in_header) else {
        return Ok(None);
    };
    let upstream = request_ids::upstream(user, permit.client(), &own);
    let is_number =
        matches!(fields, Fields::Json(map) if map.get(NAME).is_some_and(|id| id.is_number()));
    let as_json = match is_number {
        true => own,
        false => crate::json::to_text(&own.into()),
    };
    fields.set_text(NAME, &upstream);
    Ok(Some((upstream, as_json)))
}
