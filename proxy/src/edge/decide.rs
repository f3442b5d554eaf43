//! The sentence of the design, carried out: normalise, identify, authorise, route.

use super::Sidecar;
use super::body::Whole;
use super::context::Context;
use super::exchange::Exchange;
use super::guard::{Looked, ToLook, to_look};
use super::refusing::who;
use super::request_head::{RequestHead, plain};
use super::targets::Known;
use camarad_policies::authorise::{Permit, Places, Tenancy, authorise, named};
use camarad_policies::body;
use camarad_policies::csrf::{self, Origins};
use camarad_policies::fields::Fields;
use camarad_policies::forwarded::{self, Said};
use camarad_policies::head::Framing;
use camarad_policies::host;
use camarad_policies::identity::{Clients, Identity};
use camarad_policies::matrix::{Found, Mode, Rule, is_api};
use camarad_policies::names::Names;
use camarad_policies::normalise::{Asked, Credential, with_target};
use camarad_policies::refusal::Refusal;
use camarad_policies::route::{Plan, Switch, route};
use camarad_policies::target::Target;
use std::sync::Arc;

/// What was decided about a request.
pub(super) struct Decision {
    pub(super) permit: Arc<Permit>,
    pub(super) plan: Plan,
    /// The switch as it stood; the request keeps it to its end.
    pub(super) switch: Arc<Switch>,
    /// The body, where the rule reads it.
    pub(super) body: Option<Whole>,
    /// What was looked up about the objects and accounts it names.
    pub(super) looked: Looked,
}

/// What a proxy in front of us says.
const FORWARDING: Names = Names::new(&[
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
]);

impl Sidecar {
    /// Decides, and notes in the record what was found on the way.
    pub(super) async fn decide(
        &self,
        exchange: &mut Exchange,
        context: &mut Context,
    ) -> Result<Decision, Refusal> {
        let switch = self.switch.current();
        let head = exchange.head();
        note(head, context);
        // As it came: a parsed one has no fragment, and we want to see one, to refuse.
        let known = self.targets.known(head.method(), head.target());
        let (target, found) = match known {
            Some(Known { target, found }) => (target, Some(found)),
            None => (Target::parse(head.target())?, None),
        };
        let (mut asked, bearer) = with_target(head.method(), target, head.fields())?;
        self.place(exchange, context)?;
        let (found, is_new) = match found {
            Some(found) => (found, false),
            None => (self.matrix.find(asked.method, &asked.path), true),
        };
        context.record.path = asked.path.shared().into();
        context.record.route = found.rule.name.clone().into();
        context.record.area = found.rule.area.clone().into();
        context.is_api = is_api(&asked.path) || !is_navigation(asked.method);
        let identity = self.identify(&asked, bearer, context).await;
        if let Ok(Some(identity)) = &identity {
            context.record.user = Some(identity.user().get());
            context.record.token_hash = Some(identity.token().short_hash());
            context.who = Some(who(identity));
            if is_new {
                // Only for somebody who is known: nobody else may fill the memory.
                let raw = exchange.head().target();
                self.targets
                    .remember(asked.method, raw, &found, || asked.target());
            }
        }
        if let Err(refusal) = &identity {
            // A public rule looks past it; the record does not.
            context.record.code = Some(refusal.answer().code);
        }
        self.check_site(exchange, context, &asked, &found)?;
        let mut whole = None;
        let mut fields = None;
        let mut broken = None;
        if is_navigation(asked.method) && context.framing != Framing::Length(0) {
            return Err(Refusal::BodyUnexpected);
        }
        // What is guarded is read before anything is locked for it.
        let is_held = found.rule.guard.is_some() || found.rule.cascades(asked.method);
        let reads_body = !found.rule.body_clients.is_empty()
            || found.rule.reads_fields()
            || (is_held && !is_navigation(asked.method));
        if let (true, Ok(Some(_))) = (reads_body, &identity) {
            // Only for somebody who is known: nobody else may make us hold a body.
            let read = self.read_body(exchange, context).await?;
            match read_as(&found.rule, &read, exchange, &mut asked) {
                Ok(read) => fields = read,
                Err(refusal) => broken = Some(refusal),
            }
            whole = Some(read);
        }
        context.record.mode = found.rule.mode.as_str();
        context.record.client_asked = Places::of(&asked, &found);
        let (mut listed, mut created) = (None, None);
        if let Ok(Some(identity)) = &identity {
            created = self.tenants.created(identity.token());
            let limits = identity.clients();
            let unknown = named(&asked, &found).any(|id| !limits.allow(id));
            // A limited token names its clients itself, save those it created.
            let worth_asking = *limits == Clients::Unclaimed || created.is_some();
            if unknown && worth_asking && found.rule.mode != Mode::Off {
                match self.clients_of(identity, context).await {
                    Ok(clients) => listed = Some(clients),
                    Err(refusal) => broken = broken.or(Some(refusal)),
                }
            }
        }
        let address = context.forwarded.as_ref().map(|said| said.client);
        let internal = &self.config.server.internal_networks;
        let tenancy = Tenancy {
            directory: listed.as_ref(),
            created: created.as_deref().map_or(&[], Vec::as_slice),
            strict_management: self.config.tenancy.strict_management,
            internal: address.is_some_and(|ip| internal.iter().any(|net| net.contains(&ip))),
            broken,
        };
        let in_path = found.object_in_path.clone();
        // From here on one place: it is held by many, and too large to be moved about.
        let mut permit = Arc::new(authorise(asked, identity, found, &tenancy)?);
        context.record.client = permit.client().map(|client| client.get());
        context.record.forged_user = permit.forged_user();
        context.record.reported = permit.reported().map(|refusal| refusal.answer().code);
        let plan = route(&permit, &switch);
        let mut looked = Looked::default();
        match to_look(&permit, fields.is_some()) {
            ToLook::Nothing => {}
            ToLook::Accounts => {
                let seen = self.bound_to_accounts(context, &mut permit, &plan, None);
                looked.seen = seen.await?;
            }
            ToLook::All => {
                let guarded = self.guarded(context, permit, &plan, in_path.as_deref(), &mut fields);
                (permit, looked) = guarded.await?;
            }
        }
        context.record.client = permit.client().map(|client| client.get());
        let plan = match looked.seen.as_ref().is_some_and(|seen| seen.is_open) {
            true => plan.without_account()?,
            false => plan,
        };
        context.record.allowed = true;
        if let Some(fields) = fields.filter(|_| looked.changed) {
            whole = whole.map(|body| body.rewritten(&fields));
        }
        Ok(Decision {
            permit,
            plan,
            switch,
            body: whole,
            looked,
        })
    }

    /// Where the request came from and which host it is for.
    fn place(&self, exchange: &Exchange, context: &mut Context) -> Result<(), Refusal> {
        let server = &self.config.server;
        let host = exchange.host();
        if let Some(peer) = exchange.peer() {
            let is_forwarded = exchange.head().may_have(&FORWARDING);
            let all = |name: &str| match is_forwarded {
                true => exchange.head().joined(name),
                false => None,
            };
            let (x_for, x_proto) = (all("x-forwarded-for"), all("x-forwarded-proto"));
            let (x_host, named) = (all("x-forwarded-host"), all("forwarded"));
            let said = Said {
                x_for: x_for.as_deref(),
                x_proto: x_proto.as_deref(),
                x_host: x_host.as_deref(),
                forwarded: named.as_deref(),
            };
            let is_trusted = |ip| server.trusted_proxies.iter().any(|net| net.contains(&ip));
            let mut read = forwarded::read(peer.ip, said, is_trusted);
            // A host that we do not answer for must not come in by another name.
            let known = |host: &Arc<str>| host::allow(host, &server.allowed_hosts).is_ok();
            let named = read.host.filter(known);
            read.host = Some(named.unwrap_or_else(|| host.clone()));
            context.record.client_address = Some(match read.client == peer.ip {
                true => peer.ip_text.clone(),
                false => read.client.to_string().into(),
            });
            context.forwarded = Some(read);
        }
        host::allow(host, &server.allowed_hosts)
    }

    /// Refuses what a page of another site made the caller's browser do.
    fn check_site(
        &self,
        exchange: &Exchange,
        context: &Context,
        asked: &Asked,
        found: &Found,
    ) -> Result<(), Refusal> {
        let by_cookie = asked.credential == Credential::Cookie;
        let is_login = found.rule.login && asked.method == "POST";
        if !is_login && !csrf::is_checked(asked.method, by_cookie) {
            return Ok(());
        }
        let head = exchange.head();
        let text = |name: &str| head.get(name).map(|value| plain(value).unwrap_or(""));
        let forwarded = context.forwarded.as_ref();
        let origins = Origins {
            fetch_site: text("sec-fetch-site"),
            origin: text("origin"),
            own_host: forwarded.and_then(|said| said.host.as_deref()),
        };
        csrf::check(asked.method, by_cookie, origins)?;
        match is_login {
            true => csrf::check_login(text("content-type"), origins),
            false => Ok(()),
        }
    }

    async fn identify(
        &self,
        asked: &Asked,
        bearer: Option<&str>,
        context: &mut Context,
    ) -> Result<Option<Identity>, Refusal> {
        match asked.token(bearer) {
            None => Ok(None),
            Some(token) => {
                let (asked_at, seconds) = (context.started.into(), context.since_epoch.as_secs());
                let verified = self.keys.identify_at(token, asked_at, seconds).await?;
                self.bound(verified, asked, context).await.map(Some)
            }
        }
    }
}

/// Whether an error is shown to a person as a page: scripts do the rest, as in chat, and read JSON.
fn is_navigation(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// Reads what the rule looks at in a body: clients, or fields.
fn read_as(
    rule: &Rule,
    body: &Whole,
    exchange: &Exchange,
    asked: &mut Asked,
) -> Result<Option<Fields>, Refusal> {
    let head = exchange.head();
    let is_read = rule.reads_fields() || !rule.body_clients.is_empty();
    if is_read && head.get("content-encoding").is_some() {
        return Err(Refusal::BodyMalformed);
    }
    if !rule.body_clients.is_empty() {
        asked.client_body = body::clients(&body.bytes, &rule.body_clients)?;
    }
    if !rule.reads_fields() {
        return Ok(None);
    }
    let kind = head.get("content-type").and_then(plain);
    Fields::read(&body.bytes, kind, rule.form).map(Some)
}

/// Notes what the head says about itself, whatever becomes of the request.
fn note(head: &RequestHead, context: &mut Context) {
    context.record.method = head.method_owned();
    let target = head.target();
    context.is_api =
        target.starts_with(b"/api/") || !target.starts_with(b"/") || !is_navigation(head.method());
    let id = head.get("x-request-id").and_then(plain).map(str::to_owned);
    context.record.client_request_id = id.clone().filter(|id| id.len() <= 128);
    context.asked_request_id = id;
    context.if_none_match = head.joined("if-none-match");
}
