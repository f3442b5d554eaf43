//! Handles: what a run of one permit may read, for as long as it lasts.
//!
//! A handle is a random number in the place of an account. The app carries it to
//! Coolbits and back; here it stands for one caller's credential and one account that
//! was looked at. In memory only: another process, or this one after the run, knows
//! nothing of it.

use camarad_policies::accounts::Connector;
use camarad_policies::behind::DIGITS;
use camarad_policies::identity::Token;
use camarad_policies::ids::{ClientId, UserId};
use camarad_policies::operation::Operation;
use camarad_policies::route::CoolbitsCredential;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one node of a run may read.
pub(crate) struct Handle {
    pub(crate) user: UserId,
    pub(crate) client: ClientId,
    /// The node that reads.
    pub(crate) node_id: String,
    pub(crate) connector: &'static Connector,
    /// What is read: campaigns, or the overview.
    pub(crate) operation: Operation,
    /// The caller's token: while it holds, the run may read.
    pub(crate) token: Token,
    /// With whose token Coolbits is asked; `None` where it is not to be.
    pub(crate) credential: Option<CoolbitsCredential>,
    /// The account or property; `None` where the client has none.
    pub(crate) account: Option<String>,
    /// Digits of the manager account above it.
    pub(crate) manager: Option<String>,
    /// What came of its reads, as `gateway` tells it.
    read: Mutex<Option<Value>>,
}

/// The handles of all runs under way.
#[derive(Default)]
pub(crate) struct Handles(Mutex<HashMap<String, Arc<Handle>>>);

/// The handles of one run; they end with it.
pub(crate) struct Lease {
    handles: Arc<Handles>,
    ids: Vec<(String, Arc<Handle>)>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handle {
    pub(crate) fn new(
        user: UserId,
        client: ClientId,
        connector: &'static Connector,
        operation: Operation,
        token: Token,
        credential: Option<CoolbitsCredential>,
    ) -> Self {
        Self {
            user,
            client,
            node_id: String::new(),
            connector,
            operation,
            token,
            credential,
            account: None,
            manager: None,
            read: Mutex::default(),
        }
    }

    /// Remembers a read that was answered: the app looks no further.
    pub(crate) fn note(&self, gateway: Value) {
        *lock(&self.read) = Some(gateway);
    }

    /// Remembers the first read that failed, unless one was answered: what the app asks
    /// after it are its other candidates.
    pub(crate) fn note_miss(&self, gateway: Value) {
        lock(&self.read).get_or_insert(gateway);
    }

    /// Whether a read was answered.
    pub(crate) fn was_read(&self) -> bool {
        let read = lock(&self.read);
        read.as_ref()
            .is_some_and(|read| read["status"].is_number() && read["error"].is_null())
    }

    /// What came of its reads; `None` where there was none.
    pub(crate) fn gateway(&self) -> Option<Value> {
        lock(&self.read).clone()
    }
}

impl Handles {
    /// The handles of a run that begins.
    pub(crate) fn lease(self: &Arc<Self>) -> Lease {
        Lease {
            handles: self.clone(),
            ids: Vec::new(),
        }
    }

    /// What a handle stands for, while its run lasts.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Handle>> {
        lock(&self.0).get(id).cloned()
    }
}

impl Lease {
    /// A handle that nobody can guess; `None` where there is no randomness to be had.
    pub(crate) fn add(&mut self, handle: Handle) -> Option<String> {
        let id = loop {
            let id = draw()?;
            if self.handles.find(&id).is_none() {
                break id;
            }
        };
        let handle = Arc::new(handle);
        lock(&self.handles.0).insert(id.clone(), handle.clone());
        self.ids.push((id.clone(), handle));
        Some(id)
    }

    /// What one of its own handles stands for.
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Handle>> {
        let found = self.ids.iter().find(|(own, _)| own == id)?;
        Some(&found.1)
    }

    /// Every handle of the run.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &Handle)> {
        self.ids.iter().map(|(id, handle)| (id, handle.as_ref()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut all = lock(&self.handles.0);
        for (id, _) in &self.ids {
            all.remove(id);
        }
    }
}

/// Nineteen digits, the first of which is not 0: 9 · 10^18 of them.
fn draw() -> Option<String> {
    const LEAST: u64 = 10_u64.pow(DIGITS as u32 - 1);
    const SPAN: u64 = 9 * LEAST;
    loop {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).ok()?;
        let number = u64::from_le_bytes(bytes);
        // Without the rest of a last, shorter round, so that all are alike.
        if number < u64::MAX / SPAN * SPAN {
            return Some((LEAST + number % SPAN).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use camarad_policies::behind::is_handle;
    use serde_json::json;

    fn handle() -> Handle {
        let (user, client) = (UserId::parse("1").unwrap(), ClientId::parse("10").unwrap());
        let ga4 = Connector::find("ga4").unwrap();
        Handle::new(
            user,
            client,
            ga4,
            Operation::Ga4Overview,
            Token::new("t"),
            None,
        )
    }

    #[test]
    fn the_first_failure_is_told_unless_something_was_read() {
        let one = handle();
        one.note_miss(json!({"error": "http_4xx", "status": 401}));
        one.note_miss(json!({"error": "http_4xx", "status": 404}));
        assert_eq!(one.gateway().unwrap()["status"], 401);
        assert!(!one.was_read());
        one.note(json!({"enabled": true, "path": "/x", "status": 200}));
        one.note_miss(json!({"error": "timeout"}));
        assert!(one.was_read());
        assert_eq!(one.gateway().unwrap()["path"], "/x");
    }

    #[test]
    fn a_handle_ends_with_its_run() {
        let handles = Arc::new(Handles::default());
        let mut one = handles.lease();
        let mut other = handles.lease();
        let (a, b) = (one.add(handle()).unwrap(), other.add(handle()).unwrap());
        assert!(is_handle(&a) && is_handle(&b) && a != b, "{a} {b}");
        assert!(handles.find(&a).is_some());
        assert!(one.find(&a).is_some() && one.find(&b).is_none());
        drop(one);
        assert!(handles.find(&a).is_none() && handles.find(&b).is_some());
        drop(other);
        assert!(handles.find(&b).is_none());
    }
}
