//! Objects named by id: whose they are, and whether that is within what was decided.
//!
//! The app finds a conversation, a flow or a link by its id and does not always
//! look at the client it belongs to, in chat not even at the user. So before such
//! a request goes on, its object's [`Owner`] is looked up (the proxy asks the app
//! as the caller's own user), and [`admit`] decides. Somebody else's object and
//! one that does not exist get the same answer.
//!
//! Misuse to beware of: an owner is true for as long as nobody deletes the object,
//! since ids are given out again. Whoever looks one up and goes on has to hold the
//! object's lock over both.

use crate::authorise::Permit;
use crate::fields::Fields;
use crate::ids::{ClientId, Named, ObjectId};
use crate::matrix::ClientScope;
use crate::refusal::Refusal;
use serde::Deserialize;
use serde_json::Value;

/// Kinds of things that are named by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A conversation of chat; its ids are given out again.
    Conversation,
    /// A stored flow.
    Flow,
    /// A run of the orchestrator.
    Run,
    /// A meeting of the boardroom; its ids are texts.
    Meeting,
    /// A client.
    Client,
    /// A client's link to an account of a connector.
    Link,
}

/// The guard of a rule: which object its requests name, and where.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// What is named.
    pub object: Object,
    /// The variable of the path that names it.
    pub path: Option<String>,
    /// The query parameter that names it.
    pub query: Option<String>,
    /// The body's field that names it.
    pub body: Option<String>,
    /// Where none is named, one is chosen or made.
    #[serde(default)]
    pub choose: bool,
}

/// Whose an object is, as the app says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This client's, and so its user's.
    Client(ClientId),
    /// The user's own, of no client.
    User,
    /// Nobody's that the app would tell the user of.
    Nobody,
}

impl Object {
    /// Its name in tables and printed matrices.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Flow => "flow",
            Self::Run => "run",
            Self::Meeting => "meeting",
            Self::Client => "client",
            Self::Link => "link",
        }
    }

    /// Whether the answer to reading it says whose it is: then the request's own
    /// answer is looked at, and nothing has to be asked before.
    pub fn tells_its_owner(self) -> bool {
        matches!(self, Self::Flow | Self::Run | Self::Meeting)
    }
}

/// The object that a request names, from all places that its guard looks at.
///
/// Errors: [`Refusal::ObjectUnreadable`], and [`Refusal::ObjectConflict`] where two
/// places name different ones, or one names none and the other one.
pub fn named(
    guard: &Guard,
    in_path: Option<&str>,
    permit: &Permit,
    fields: Option<&Fields>,
) -> Result<Option<ObjectId>, Refusal> {
    let unreadable = |_| Refusal::ObjectUnreadable;
    let mut says = Vec::with_capacity(3);
    if let Some(text) = in_path {
        says.push(Some(ObjectId::parse(text).map_err(unreadable)?));
    }
    if let Some(name) = &guard.query {
        let names = [name.as_str()];
        for value in permit.query().values(&names) {
            says.push(ObjectId::named(value).map_err(unreadable)?);
        }
    }
    if let (Some(name), Some(fields)) = (&guard.body, fields) {
        says.extend(fields.object(name).map_err(unreadable)?);
    }
    match says.windows(2).all(|pair| pair[0] == pair[1]) {
        true => Ok(says.first().copied().flatten()),
        false => Err(Refusal::ObjectConflict),
    }
}

/// Whether the permit reaches an object of this owner.
///
/// With a decided client, that client's objects only, and what belongs to no
/// client; without one, everything of the user. A token that is limited to clients
/// never reaches what belongs to none. On rules about the clients themselves any
/// client in reach (`strict`: only the decided one). `listed`: the user's clients,
/// as far as they were asked for.
pub fn reaches(permit: &Permit, owner: Owner, listed: &[ClientId], strict: bool) -> bool {
    let Some(reach) = permit.reach() else {
        return false;
    };
    let is_managed = permit.rule().client == ClientScope::Managed;
    match (owner, permit.client()) {
        (Owner::Nobody, _) => false,
        (Owner::User, _) => !reach.is_limited(),
        (Owner::Client(client), Some(decided)) if client == decided => true,
        (Owner::Client(_), Some(_)) if strict || !is_managed => false,
        (Owner::Client(_), _) => is_own(permit, owner, listed),
    }
}

/// Decides whether the permit [`reaches`] an object of this owner. On rules about the
/// clients themselves the object's client becomes the decided one.
///
/// Errors with [`Refusal::ObjectNotFound`], whatever the reason.
pub fn admit(
    permit: Permit,
    owner: Owner,
    listed: &[ClientId],
    strict: bool,
) -> Result<Permit, Refusal> {
    if !reaches(&permit, owner, listed, strict) {
        return Err(Refusal::ObjectNotFound);
    }
    match (owner, permit.rule().client) {
        (Owner::Client(client), ClientScope::Managed) => Ok(permit.within(client)),
        _ => Ok(permit),
    }
}

/// Whether an object is the caller's own, within another client than the decided one.
pub fn is_own(permit: &Permit, owner: Owner, listed: &[ClientId]) -> bool {
    let Some(reach) = permit.reach() else {
        return false;
    };
    match owner {
        Owner::Client(client) => {
            reach.allows(client) || (!reach.is_limited() && listed.contains(&client))
        }
        Owner::User | Owner::Nobody => false,
    }
}

/// The owner that an answer about one object names; `None` where it does not say.
///
/// At the top, or in the `meeting` there. Not below `flow`, `results` or `data`:
/// what stands in these is the users' to write.
pub fn owner_in(answer: &[u8]) -> Option<Owner> {
    #[derive(Deserialize)]
    struct Tells {
        #[serde(default, deserialize_with = "present")]
        client_id: Option<Value>,
        meeting: Option<Value>,
    }
    let tells: Tells = serde_json::from_slice(answer).ok()?;
    let in_meeting = || tells.meeting.as_ref()?.get("client_id");
    owner(tells.client_id.as_ref().or_else(in_meeting)?)
}

/// A member that is there, null as well.
fn present<'de, D: serde::Deserializer<'de>>(member: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(member).map(Some)
}

/// The owner of the row with this `id` in a list of rows with `id` and `client_id`;
/// `None` where the answer is no such list.
pub fn owner_in_rows(answer: &[u8], id: ObjectId) -> Option<Owner> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let mut found = Owner::Nobody;
    for row in value.as_array()? {
        if row.get("id")?.as_u64()? == id.get() {
            found = owner(row.get("client_id")?)?;
        }
    }
    Some(found)
}

/// The owner that a `client_id` of the app's means.
pub fn owner(client: &Value) -> Option<Owner> {
    let named = match client {
        Value::Null => Named::NoClient,
        Value::Number(number) => Named::parse(&number.to_string()).ok()?,
        Value::String(text) => Named::parse(text).ok()?,
        _ => return None,
    };
    Some(match named {
        Named::Client(client) => Owner::Client(client),
        Named::NoClient => Owner::User,
    })
}

#[cfg(test)]
mod tests;
