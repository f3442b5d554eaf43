//! Asking the app which clients a user has, as that user.

use super::Sidecar;
use super::context::Context;
use bytes::Bytes;
use camarad_policies::identity::Identity;
use camarad_policies::ids::ClientId;
use camarad_policies::refusal::Refusal;
use serde_json::Value;
use std::sync::Arc;
use std::time::Instant;

const PATH: &[u8] = b"/api/clients";

impl Sidecar {
    /// The app's own list of this user's clients, at most `tenancy.directory_ttl` old.
    ///
    /// Errors with [`Refusal::DirectoryUnavailable`]: what cannot be looked up is not allowed.
    pub(super) async fn clients_of(
        &self,
        identity: &Identity,
        context: &Context,
    ) -> Result<Arc<[ClientId]>, Refusal> {
        let ask = || async {
            let started = Instant::now();
            let listed = self.ask_for_clients(identity, context).await;
            let outcome = if listed.is_some() {
                "ok"
            } else {
                "directory_unavailable"
            };
            self.observer.upstream("legacy", outcome, started.elapsed());
            listed.ok_or(Refusal::DirectoryUnavailable)
        };
        self.tenants.list(identity.user(), ask).await
    }

    async fn ask_for_clients(
        &self,
        identity: &Identity,
        context: &Context,
    ) -> Option<Vec<ClientId>> {
        let who = Some(identity.clone());
        let fetched = self
            .ask_app("GET", PATH, who, Bytes::new(), context)
            .await?;
        match fetched.status {
            200 => ids(&fetched.body),
            _ => None,
        }
    }
}

/// A list of objects with an `id`, or an object that holds it as `clients`; anything else is no list.
fn ids(body: &[u8]) -> Option<Vec<ClientId>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let rows = value
        .as_array()
        .or_else(|| value.get("clients")?.as_array())?;
    rows.iter()
        .map(|row| ClientId::parse(&row.get("id")?.as_u64()?.to_string()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_list_of_clients() {
        let read = |body: &str| {
            ids(body.as_bytes()).map(|ids| ids.iter().map(|id| id.get()).collect::<Vec<_>>())
        };
        assert_eq!(read("[]"), Some(vec![]));
        assert_eq!(read(r#"[{"id":1,"name":"a"},{"id":2}]"#), Some(vec![1, 2]));
        assert_eq!(read(r#"{"clients":[{"id":3}]}"#), Some(vec![3]));
        for body in [
            "",
            "<html>",
            "{}",
            r#"[{"id":"1"}]"#,
            r#"[{"name":"a"}]"#,
            r#"[{"id":0}]"#,
            "[1]",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
